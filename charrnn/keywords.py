"""The options of `train` and `sample` as keyword arguments, for who checks types.

Editors complete these names, and type checkers know their values. What an option
means, its default and its limits stand at its field in `charrnn.config`; a test holds
the names and the types together. Every option may be None, which says nothing.
"""

import os
from collections.abc import Iterable, Mapping
from typing import TypeAlias, TypedDict

from charrnn.config import (
    ActivationName,
    CellName,
    ClipMode,
    DistributedMode,
    DivergencePolicy,
    InitName,
    NewlineMode,
    NormName,
    OptimizerName,
    SamplePrecision,
    ScheduleName,
    TrainPrecision,
    UnitName,
    UnknownPolicy,
)
from charrnn.durations import Every
from charrnn.reading import Text
from charrnn.steering import HeldUnit

#: Numbers may be written as texts, as at a command line; times have units: "90s".
Whole: TypeAlias = int | str | None
Number: TypeAlias = float | str | None
Interval: TypeAlias = int | str | Every | None
File: TypeAlias = str | os.PathLike[str]


class TrainOptions(TypedDict, total=False):
    """What `charrnn.train` takes beside the texts."""

    # The network: `config.ModelConfig`.
    cell: CellName | None
    activation: ActivationName | None
    hidden: Whole
    layers: Whole
    lags: str | Iterable[int] | None
    norm: NormName | None

    # Its training: `config.TrainConfig`.
    batch_size: Whole
    seq_length: Whole
    epochs: Number
    steps: Whole
    time: Number
    patience: Whole
    optimizer: OptimizerName | None
    lr: Number
    schedule: ScheduleName | None
    warmup: Number
    weight_decay: Number
    grad_clip: Number
    clip_mode: ClipMode | None
    dropout: Number
    weight_dropout: Number
    ema: Number
    init: InitName | None
    forget_bias: Number
    precision: TrainPrecision | None
    lines: bool | None
    pairs: bool | None
    val_fraction: Number
    seed: Whole
    eval_every: Interval

    # How texts are read: `config.TextConfig`.
    encoding: str | None
    newlines: NewlineMode | None
    unit: UnitName | None
    min_count: Whole
    pair_separator: str | None
    allow_empty: bool | None

    # Files, and what saves a run: `config.RunConfig`.
    output: File | None
    force: bool | None
    resume: bool | None
    new_corpus: bool | None
    init_from: File | None
    save_every: Interval
    keep_best: bool | None
    memory: bool | None
    val_file: File | Text | None
    distributed: DistributedMode | None
    on_divergence: DivergencePolicy | None

    # The machine: `api.Machine`.
    threads: Whole


class SampleOptions(TypedDict, total=False):
    """What `TextModel.sample` and `TextModel.stream` take beside the prompt."""

    # How characters are chosen, and when the text ends: `config.SampleConfig`.
    temperature: Number
    top_k: Whole
    top_p: Number
    min_p: Number
    typical: Number
    no_repeat: Whole
    no_copy: Whole
    logit_bias: Mapping[str, float] | Iterable[str | tuple[str, float]] | None
    allow: str | None
    ban: str | None
    pattern: str | None
    set_unit: str | HeldUnit | Iterable[str | HeldUnit] | None
    beam: Whole
    length: Whole
    lines: Whole
    time: Number
    stop: str | Iterable[str] | None
    include_stop: bool | None
    best_of: Whole
    seed: Whole
    precision: SamplePrecision | None

    # How much of a prediction is the network's: `config.Blending`.
    blend: Number
    adapt: bool | None
    adapt_output: bool | None

    # What is read beside the prompt: `config.SampleInputs`.
    unknown: UnknownPolicy | None
    allow_empty: bool | None
    corpus: File | Text | Iterable[File | Text] | None
