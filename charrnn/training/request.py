"""What a run is asked for, and what is made of it before it begins."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from charrnn import errors
from charrnn.config import ModelConfig
from charrnn.corpus import Corpus, ReadOptions
from charrnn.training.history import History
from charrnn.training.run import HeldOut, Subject
from charrnn.training.trainer import Trainer


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the user asked for. Options that were not given are not in the dicts."""

    sources: tuple[str, ...]
    read: ReadOptions
    model: Mapping[str, Any] = field(default_factory=dict)  # fields of ModelConfig
    train: Mapping[str, Any] = field(default_factory=dict)  # fields of TrainConfig
    val_file: str | None = None
    resume: Path | None = None
    new_corpus: bool = False
    init_from: Path | None = None


@dataclass
class Prepared:
    """A run that is ready to begin."""

    trainer: Trainer
    subject: Subject
    corpus: Corpus
    held_out: HeldOut | None
    history: History
    notes: list[str]  # for the user; see `errors.Message`

    def __post_init__(self) -> None:
        """Let notes name fields as Python does."""
        self.notes = [errors.Message(note) for note in self.notes]


def shape_conflicts(given: Mapping[str, Any], model: ModelConfig) -> list[str]:
    """List the options that contradict the shape of a model that is loaded."""
    return [
        f"{errors.field(name)} {value} (it has {getattr(model, name)})"
        for name, value in given.items()
        if getattr(model, name) != value
    ]
