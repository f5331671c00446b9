"""What a run is asked for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from charrnn import errors
from charrnn.config import ModelConfig
from charrnn.corpus import ReadOptions
from charrnn.reading import Source


@dataclass(frozen=True, kw_only=True)
class TrainingRequest:
    """What the user asked for. Options that were not given are not in the dicts."""

    sources: tuple[Source, ...]
    read: ReadOptions
    model: Mapping[str, Any] = field(default_factory=dict)  # fields of ModelConfig
    train: Mapping[str, Any] = field(default_factory=dict)  # fields of TrainConfig
    val_file: Source | None = None
    resume: Path | None = None
    new_corpus: bool = False
    init_from: Path | None = None


def shape_conflicts(given: Mapping[str, Any], model: ModelConfig) -> list[str]:
    """List the options that contradict the shape of a model that is loaded."""
    return [
        f"{errors.field(name)} {value} (it has {getattr(model, name)})"
        for name, value in given.items()
        if getattr(model, name) != value
    ]
