"""What a model, a training run and a sampler are made of.

Frozen dataclasses, split by how long they live: :class:`ModelConfig` is
stored in every checkpoint and fixes the shape of every array,
:class:`TrainConfig` belongs to one run (and is stored so that the run can be
resumed), :class:`TextConfig` and :class:`RunConfig` to one call of training,
:class:`SampleConfig` and :class:`SampleInputs` to one call of sampling.

This is the only place where an option is written down: what it does, its
default, its limits and its group stand at its field (see `charrnn.options`),
and whoever shows, checks or reads options takes them from here. A
configuration checks itself; what several fields must not say together stands
in its ``__post_init__``.

Nothing here imports numpy, so that the command line answers at once.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from operator import index
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from charrnn import cells
from charrnn.counting import plural
from charrnn.durations import (
    MAX_COUNT,
    MAX_SECONDS,
    Every,
    parse_duration,
    parse_every,
)
from charrnn.errors import CountsError, Message, OptionError, field
from charrnn.escapes import expand, shortened
from charrnn.filenames import read_output
from charrnn.options import SHOWN, Option, check, check_choice, check_number, option
from charrnn.steering import HeldUnit, read_units

CellName: TypeAlias = str  # of `charrnn.cells`, where others can be registered
ActivationName = Literal["tanh", "sigmoid", "relu", "leaky-relu"]

#: The activations that have no upper bound.
RECTIFIED: tuple[ActivationName, ...] = ("relu", "leaky-relu")
NormName = Literal["none", "layer", "batch"]
InitName = Literal["auto", "orthogonal", "xavier", "he", "uniform"]
OptimizerName = Literal["adam", "rmsprop", "adagrad", "sgd"]
ScheduleName = Literal["constant", "step", "exponential", "linear", "cosine", "cyclic"]
ClipMode = Literal["norm", "value"]
UnitName = Literal["char", "byte"]

#: What a training's products are made of, and what may be asked for.
PrecisionName = Literal["float32", "bfloat16"]
TrainPrecision = Literal["float32", "bfloat16", "auto"]
PRECISIONS = get_args(TrainPrecision)
NewlineMode = Literal["keep", "lf"]
UnknownPolicy = Literal["error", "skip", "replace"]

#: How many bits the weights have that a text is made with.
WeightsName = Literal["float32", "bfloat16", "int8"]
SamplePrecision = Literal["float32", "bfloat16", "int8", "auto"]
DivergencePolicy = Literal["stop", "rollback"]
DistributedMode = Literal["auto", "none", "mpi"]

MAX_HIDDEN = 8192
MAX_LAYERS = 16

#: The most streams side by side, and the longest window.
MAX_WINDOW = 65_536

#: Passes over a text; with the longest text their steps are still countable.
MAX_EPOCHS = 10**9

#: Seconds of a training at least.
MIN_TRAINING = 1e-6

#: The limit of numbers that become float32 somewhere.
MAX_REAL = 1e38

#: Weights of a network's layers from which on it is large where a text is made: they
#: are read for every character, and are more than a processor keeps at hand.
LARGE = 2**19

#: What a new run uses where the user says nothing; see `training.plan`.
EMA = 0.999
PATIENCE = 6
SHORT_BATCH, SHORT_WINDOW = 64, 32

PLANNED = "planned"

#: Groups of options, as help shows them.
OUTPUT = "Output"
TEXT = "Text"
MODEL = "Model"
RUN_LENGTH = "How long"
LEARNING = "Learning"
REPORTS = "Reports"
PROMPT = "Prompt"
LENGTH = "Length"
CHOICE = "Choice of characters"

#: How many lags a network may have, and how far back the furthest may be.
MOST_LAGS, FURTHEST_LAG = 8, 64

LAGS_HINT = f"{field('lags', '1,2,3')} shows a cell its last three states"


def read_pair_separator(given: Any, name: str) -> str:
    r"""Read what parts an input from its output: text, in which ``\t`` is a tab.

    Raises
    ------
    OptionError
        It is no text, is empty, or would end a line.
    """
    if not isinstance(given, str):
        msg = f"{name} must be a text, not {shortened(repr(given))}"
        raise OptionError(msg, hint=f"leave {name} away for a tab")
    try:
        separator = expand(given)
    except ValueError as error:
        what, hint = error.args
        msg = f"{name}: {what}"
        raise OptionError(msg, hint=hint) from None
    if not separator or set(separator) & set("\r\n"):
        what = "is empty" if not separator else "has a line end"
        msg = f"{name} {what}, and is to part two texts in a line"
        raise OptionError(msg, hint=f"leave {name} away for a tab")
    return separator


def read_lags(given: Any, name: str) -> tuple[int, ...]:
    """Read lags: text such as ``1,2,3``, a number, or several of either.

    Parameters
    ----------
    name : str
        What a message calls the option.

    Returns
    -------
    tuple of int
        From small to large; whether they are allowed is not checked.

    Raises
    ------
    OptionError
        Something in it is no whole number.
    """
    found: list[int] = []
    parts = [given] if isinstance(given, str) or not _is_list(given) else list(given)
    for part in parts:
        for word in part.split(",") if isinstance(part, str) else [part]:
            try:
                # A number of any length would be read, if it were not cut off here.
                number = int(word[:SHOWN]) if isinstance(word, str) else index(word)
            except (TypeError, ValueError):
                number = None
            if number is None or isinstance(word, bool):
                shown = repr(part)
                shown = shown if len(shown) <= SHOWN else f"{shown[:SHOWN]}..."
                msg = f"{name} must be whole numbers such as 1,2,3, not {shown}"
                raise OptionError(msg, hint=LAGS_HINT)
            found.append(number)
    return tuple(sorted(found))


def _is_list(given: Any) -> bool:
    """Tell whether a value is several values."""
    return isinstance(given, Iterable) and not isinstance(given, (str, bytes))


def read_precision(given: Any, name: str) -> PrecisionName:
    """Read the precision of a training's products; ``auto`` is float32.

    It would be bfloat16 if the loss after the same characters were known to be the same
    within what seeds differ by, over texts, cells and long runs; that has been measured
    of short ones only (`benchmarks/recipe.py`).

    Raises
    ------
    OptionError
        It is none.
    """
    check_choice(name, given, PRECISIONS)
    return "bfloat16" if given == "bfloat16" else "float32"


def check_lags(lags: tuple[int, ...]) -> None:
    """Raise `OptionError` unless a network can have these lags."""
    name, shown = field("lags"), ",".join(map(str, lags[: MOST_LAGS + 1]))
    if not lags or lags[0] != 1:
        msg = f"{name} must have 1 among them, the state of the step before"
        if lags and lags[0] < 1:
            msg = f"{name} must be at least 1, not {str(lags[0])[:SHOWN]}"
        raise OptionError(msg, hint=LAGS_HINT)
    if len(lags) > MOST_LAGS:
        msg = f"{name} are {len(lags):,}, at most {MOST_LAGS} are allowed"
        raise OptionError(msg, hint=LAGS_HINT)
    if lags[-1] > FURTHEST_LAG:
        msg = f"{name} must be at most {FURTHEST_LAG}, not {str(lags[-1])[:SHOWN]}"
        raise OptionError(msg, hint=LAGS_HINT)
    if any(a >= b for a, b in pairwise(lags)):
        msg = f"{name} {shown} must be different, from small to large"
        raise OptionError(msg, hint=LAGS_HINT)


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Everything that fixes the shape and the arithmetic of a model."""

    vocab_size: int
    cell: CellName = option("lstm", Option("Kind of cell.", MODEL, choices=cells.names))
    activation: ActivationName = option(
        "tanh",
        Option(
            f"tanh, sigmoid, relu or leaky-relu, of {field('cell', 'rnn')}.",
            MODEL,
            metavar="NAME",
        ),
    )
    hidden: int = option(
        256, Option("Units per layer.", MODEL, low=1, high=MAX_HIDDEN, usual=PLANNED)
    )
    layers: int = option(
        1, Option(f"Layers, 1 to {MAX_LAYERS}.", MODEL, low=1, high=MAX_LAYERS)
    )
    lags: tuple[int, ...] = option(
        (1,),
        Option(
            "Steps back to the states that a cell sees: 1,2,3 are its last three. "
            f"1 is among them; at most {MOST_LAGS}, each up to {FURTHEST_LAG}.",
            MODEL,
            metavar="LIST",
            usual="1",
            parse=read_lags,
        ),
    )
    norm: NormName = option(
        "none",
        Option(
            "Normalize the output of every layer.",
            MODEL,
            usual="layer for an lstm, else none",
        ),
    )

    def __post_init__(self) -> None:
        """Check the limits."""
        check(self)
        check_number("the vocabulary's size", self.vocab_size, low=1, high=0x110000)
        check_lags(self.lags)
        settings = cells.cell_of(self.cell).settings
        if self.activation != "tanh" and "activation" not in settings:
            msg = (
                f"{field('activation', self.activation)} needs "
                f"{field('cell', 'rnn')}, not {self.cell}"
            )
            raise OptionError(msg, hint="gated cells always use sigmoid and tanh")
        if self.norm == "layer" and self.hidden == 1:
            msg = (
                f"{field('norm', 'layer')} compares the units of a layer and needs "
                f"{field('hidden', 2)}"
            )
            raise OptionError(msg, hint="with one unit it would say nothing at all")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """One training run, less its texts and its files.

    Limits (`epochs`, `steps`, `time`) count from the beginning of the run,
    what was trained before a resume included; the first one reached ends it,
    and the learning rate's schedule is planned to end there too.
    """

    batch_size: int = option(
        32,
        Option(
            "Streams read side by side.",
            LEARNING,
            low=1,
            high=MAX_WINDOW,
            usual=f"32, of short lines {SHORT_BATCH}, of pairs by their length",
        ),
    )
    seq_length: int = option(
        64,
        Option(
            "Steps of backpropagation through time.",
            LEARNING,
            low=1,
            high=MAX_WINDOW,
            usual=f"64, of short lines {SHORT_WINDOW}, of pairs by their length",
        ),
    )
    epochs: float | None = option(
        None,
        Option(
            "Passes over the text.",
            RUN_LENGTH,
            metavar="X",
            low=0,
            high=MAX_EPOCHS,
            open_low=True,
            usual=PLANNED,
            changeable=True,
        ),
    )
    steps: int | None = option(
        None,
        Option("Steps in all.", RUN_LENGTH, low=0, high=MAX_COUNT, changeable=True),
    )
    time: float | None = option(
        None,
        Option(
            "Time of training: 90s, 30m, 1h30m. The first limit reached ends.",
            RUN_LENGTH,
            metavar="DUR",
            low=MIN_TRAINING,
            high=MAX_SECONDS,
            parse=parse_duration,
            changeable=True,
        ),
    )
    patience: int = option(
        0,
        Option(
            "Stop after N evaluations without improvement; 0 never.",
            RUN_LENGTH,
            low=0,
            high=MAX_COUNT,
            usual=f"{PATIENCE} if {field('epochs')} and {field('steps')} are left "
            "open, else 0",
            changeable=True,
        ),
    )
    optimizer: OptimizerName = option(
        "adam",
        Option("adam, rmsprop, adagrad or sgd.", LEARNING, metavar="NAME"),
    )
    lr: float = option(
        1e-2,
        Option(
            "Peak learning rate.",
            LEARNING,
            low=0,
            high=MAX_REAL,
            open_low=True,
            usual="by cell and width",
            changeable=True,
        ),
    )
    schedule: ScheduleName = option(
        "cosine",
        Option(
            "constant, step, exponential, linear, cosine or cyclic.",
            LEARNING,
            metavar="NAME",
            changeable=True,
        ),
    )
    warmup: float = option(
        0.05,
        Option(
            "Share of the run, or steps from 1 on.",
            LEARNING,
            metavar="X",
            low=0,
            high=MAX_COUNT,
            changeable=True,
        ),
    )
    weight_decay: float = option(
        0.0,
        Option(
            "Decoupled, on weight matrices.",
            LEARNING,
            low=0,
            high=MAX_REAL,
            changeable=True,
            after="optimizer",
        ),
    )
    grad_clip: float = option(
        1.0,
        Option(
            "Limit of the gradient; 0 is off.",
            LEARNING,
            low=0,
            high=MAX_REAL,
            changeable=True,
        ),
    )
    clip_mode: ClipMode = option(
        "norm", Option("What the limit is on.", LEARNING, changeable=True)
    )
    dropout: float = option(
        0.0,
        Option(
            "Share of outputs dropped after every layer.",
            MODEL,
            metavar="P",
            low=0,
            high=1,
            open_high=True,
            usual=PLANNED,
            changeable=True,
        ),
    )
    weight_dropout: float = option(
        0.0,
        Option(
            "Share of recurrent weights dropped, anew each step.",
            MODEL,
            metavar="P",
            low=0,
            high=1,
            open_high=True,
            usual=PLANNED,
            changeable=True,
        ),
    )
    ema: float = option(
        0.0,
        Option(
            "Decay of the averaged weights that are evaluated, sampled and saved; "
            "0 is off.",
            LEARNING,
            low=0,
            high=1,
            open_high=True,
            usual=str(EMA),
            after="warmup",
        ),
    )
    precision: PrecisionName = option(
        "float32",
        Option(
            "Of the products in the layers. bfloat16 rounds what is multiplied to 8 "
            "bits, adds up in float32, and is faster on processors that have it; "
            "auto is float32.",
            LEARNING,
            choices=lambda: PRECISIONS,
            parse=read_precision,
            changeable=True,
        ),
    )
    init: InitName = option(
        "auto",
        Option("auto, orthogonal, xavier, he or uniform.", MODEL, metavar="NAME"),
    )
    forget_bias: float = option(
        1.0,
        Option(
            "First bias of the LSTM's forget gate.",
            MODEL,
            low=-MAX_REAL,
            high=MAX_REAL,
        ),
    )
    lines: bool = option(
        False, Option("Every line is a document; order is shuffled.", TEXT)
    )
    pairs: bool = option(
        False,
        Option(
            "Every line is an input, a tab and its output, to be written when the "
            "input is read. Held out are whole pairs.",
            TEXT,
        ),
    )
    val_fraction: float = option(
        0.1,
        Option(
            "Tail of the text held out for validation; of pairs, a share of the "
            "inputs that a hash of each decides on.",
            TEXT,
            low=0,
            high=1,
            open_high=True,
        ),
    )
    seed: int = option(
        0,
        Option(
            "What first weights, dropout and order are drawn by.",
            LEARNING,
            low=0,
            high=MAX_COUNT,
        ),
    )
    eval_every: Every | None = option(
        None,
        Option(
            "Steps, or time of training, between validations.",
            REPORTS,
            metavar="N|DUR",
            usual="20 in a run",
            parse=parse_every,
            changeable=True,
        ),
    )

    def __post_init__(self) -> None:
        """Check the limits, and that lines are one thing."""
        check(self)
        if self.lines and self.pairs:
            msg = f"{field('lines')} and {field('pairs')} exclude each other"
            hint = f"{field('pairs', True)} reads line by line, too"
            raise OptionError(msg, hint=hint)

    @property
    def by_line(self) -> bool:
        """Whether every line is a document, of itself or as a pair."""
        return self.lines or self.pairs


@dataclass(frozen=True, kw_only=True)
class TextConfig:
    """How texts become characters."""

    encoding: str = option(
        "utf-8", Option("Encoding of the texts.", TEXT, metavar="NAME")
    )
    newlines: NewlineMode = option(
        "keep", Option("lf turns CR LF and CR into LF.", TEXT)
    )
    unit: UnitName = option("char", Option("Model characters, or raw bytes.", TEXT))
    min_count: int = option(
        1, Option("Rarer characters become U+FFFD.", TEXT, low=1, high=MAX_COUNT)
    )
    pair_separator: str = option(
        "\t",
        Option(
            r"What parts an input from its output in the file; \t and \uHHHH work.",
            TEXT,
            metavar="TEXT",
            usual="a tab",
            parse=read_pair_separator,
            needs=("pairs", "resume"),
            after="pairs",
        ),
    )
    allow_empty: bool = option(
        False,
        Option(
            "Let inputs and outputs be empty.",
            TEXT,
            needs=("pairs", "resume"),
            after="pair_separator",
        ),
    )

    def __post_init__(self) -> None:
        """Check the limits."""
        check(self)


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Where a run begins, where its checkpoints go, and what saves it."""

    output: str | None = option(
        None,
        Option(
            "Checkpoint; named after the first text by default. - is stdout.",
            OUTPUT,
            metavar="PATH",
            short="o",
            parse=read_output,
        ),
    )
    force: bool = option(
        False, Option("Replace an existing checkpoint.", OUTPUT, short="f")
    )
    resume: bool = option(
        False, Option("Continue the checkpoint exactly where it stopped.", OUTPUT)
    )
    new_corpus: bool = option(
        False,
        Option(
            f"Let {field('resume')} go on with another text.",
            OUTPUT,
            needs=("resume",),
        ),
    )
    init_from: Path | None = option(
        None, Option("Begin with another checkpoint's weights.", OUTPUT)
    )
    save_every: Every = option(
        Every(seconds=60.0),
        Option(
            "Steps, or time of training, between saves.",
            OUTPUT,
            metavar="N|DUR",
            parse=parse_every,
        ),
    )
    keep_best: bool = option(
        True, Option("Keep the best validation in STEM.best.npz.", OUTPUT)
    )
    memory: bool = option(
        True,
        Option(
            "Store the text itself in the checkpoint at the end, in recoverable form: "
            "blended with counts of what stands there, a model predicts better.",
            OUTPUT,
        ),
    )
    val_file: str | None = option(
        None,
        Option("A text to validate on.", TEXT, metavar="PATH", after="val_fraction"),
    )
    distributed: DistributedMode = option(
        "auto",
        Option(
            "Train with all processes that a launcher of MPI, such as mpiexec, has "
            "started together: auto, none (each for itself) or mpi.",
            RUN_LENGTH,
            metavar="HOW",
            after="time",
        ),
    )
    on_divergence: DivergencePolicy = option(
        "rollback",
        Option(
            "When loss, gradient or weights are not finite.",
            LEARNING,
            after="clip_mode",
        ),
    )

    def __post_init__(self) -> None:
        """Check the choices, and what cannot go together."""
        again, anew = field("resume", True), field("force", True)
        if self.resume and self.force:
            msg = f"{field('resume')} and {field('force')} exclude each other"
            hint = f"{again} continues the file, {anew} begins it anew"
            raise OptionError(msg, hint=hint)
        if self.resume and self.init_from:
            msg = f"{field('resume')} and {field('init_from')} exclude each other"
            hint = f"{again} continues a run, {field('init_from')} begins one"
            raise OptionError(msg, hint=hint)
        check(self)


#: The network's share in what is predicted; see `Blending`.
Share: TypeAlias = Literal["auto"] | float


def read_share(given: Any, name: str) -> Share:
    """Read the network's share in a blend.

    Parameters
    ----------
    given : float or str
        "auto", or a number in [0, 1].
    name : str
        What a message calls the option.

    Raises
    ------
    OptionError
        It is something else.
    """
    if given == "auto":
        return "auto"
    try:
        share = float(given)
    except (TypeError, ValueError):
        msg = f"{name} must be auto or a number, not {given!r}"
        raise OptionError(msg, hint=f"leave {name} away for auto") from None
    check_number(name, share, low=0, high=1)
    return share


def needs_memory(share: Share, *, adapt: bool) -> bool:
    """Tell whether what is asked for cannot be had of a network alone."""
    return share != 1 and (adapt or share != "auto")


def no_memory(
    share: Share, *, adapt: bool = False, where: str | None = None
) -> CountsError:
    """Say that there is nothing to blend a network with.

    Parameters
    ----------
    adapt : bool
        Whether the counts were to go on, whatever the share.
    where : str, optional
        The checkpoint, if it is one.
    """
    asked = field("adapt", True) if adapt else field("blend", share)
    msg = f"{asked} needs a model with a memory, and this one has none"
    hint = (
        f"leave {field('adapt' if adapt else 'blend')} away for the network alone; "
        f"training stores a memory at its end, but not with {field('memory', False)}"
    )
    return CountsError(msg, where=where, hint=hint)


#: The option `blend`, for all that predict.
BLEND = Option(
    "The network's share in predictions; the rest is what stood in the training text "
    "after the same characters, as far as the checkpoint has it. 1 is the network "
    "alone, auto the share that training found best.",
    CHOICE,
    metavar="auto|F",
    parse=read_share,
    recorded=True,
)


#: The option `adapt`, for all that predict.
ADAPT = Option(
    "Go on counting in what is read, so that its names and its manner are expected "
    "again. Needs a checkpoint with the training text; it is never changed.",
    CHOICE,
    recorded=True,
)


@dataclass(frozen=True, kw_only=True)
class Blending:
    """How much of a prediction is the network's, and what is counted for the rest."""

    blend: Share = option("auto", BLEND)
    adapt: bool = option(False, ADAPT)
    adapt_output: bool = option(
        False,
        Option(
            "Count in what is written, too: it then repeats itself far more.",
            CHOICE,
            needs=("adapt",),
            recorded=True,
        ),
    )


#: How the predictions of several models become one; see `Mixing`.
MixMode = Literal["linear", "log"]


def read_weights(given: Any, name: str) -> tuple[float, ...]:
    """Read the weights of several models: text such as ``0.7,0.3``, or numbers.

    Parameters
    ----------
    name : str
        What a message calls the option.

    Raises
    ------
    OptionError
        One is no finite number from 0 on, or none is above 0.
    """
    found: list[float] = []
    parts = [given] if isinstance(given, str) or not _is_list(given) else list(given)
    for part in parts:
        for word in part.split(",") if isinstance(part, str) else [part]:
            try:
                found.append(float(word))
            except (TypeError, ValueError, OverflowError):
                shown = shortened(repr(part))
                msg = f"{name} must be numbers such as 0.7,0.3, not {shown}"
                hint = "give a weight for each model"
                raise OptionError(msg, hint=hint) from None
            if not 0 <= found[-1] <= MAX_REAL:
                msg = f"{name} must be finite numbers from 0 on, not {found[-1]}"
                raise OptionError(msg, hint="0 leaves a model out")
    if not sum(found) > 0:
        msg = f"{name} must have a weight above 0"
        raise OptionError(msg, hint="0 leaves a model out")
    return tuple(found)


#: The options of `Mixing`, for all that predict.
MIX = Option(
    "Weights of several checkpoints, whose probabilities are mixed, character by "
    "character. They are made to add up to 1, and 0 leaves a model out. Equal weights "
    "by default.",
    CHOICE,
    metavar="LIST",
    parse=read_weights,
    usual="",
)
MIX_MODE = Option(
    "How they are mixed. linear: the weighted mean; what a model does not know has no "
    "probability there. log: the weighted product, made to add up to 1, of the "
    "characters that all models know; all others are left out.",
    CHOICE,
)


@dataclass(frozen=True, kw_only=True)
class Mixing:
    """How the predictions of several models become one."""

    mix: tuple[float, ...] = option((), MIX)
    mix_mode: MixMode = option("linear", MIX_MODE)

    def __post_init__(self) -> None:
        """Check the choice."""
        check(self)

    def weights(self, models: int) -> tuple[float, ...]:
        """Give so many models their weights, which add up to 1.

        Raises
        ------
        OptionError
            There is another number of weights, or no model at all.
        """
        if not models:
            msg = "a mixture needs a model"
            raise OptionError(msg, hint="give one or more")
        if not self.mix:
            return (1 / models,) * models
        if len(self.mix) != models:
            weights = plural(len(self.mix), "weight")
            msg = f"{field('mix')} has {weights} for {plural(models, 'model')}"
            raise OptionError(msg, hint="give a weight for each model")
        total = math.fsum(self.mix)
        return tuple(weight / total for weight in self.mix)


#: Characters that `SampleConfig.no_repeat` and `no_copy` look back.
RECENT = 2000

#: Samples, candidates included, that are made side by side.
MOST_SAMPLES = 65_536

#: Beams of a search, at most.
MOST_BEAMS = 32


def read_biases(given: Any, name: str) -> tuple[tuple[str, float], ...]:
    """Read what is added to the logits of characters; escapes stay as they are.

    Parameters
    ----------
    given : mapping, or iterable of str or of pairs
        ``{"e": -1.5}``, ``["e=-1.5"]`` or ``[("e", -1.5)]``.
    name : str
        What a message calls the option.

    Raises
    ------
    OptionError
        One has no character, or no number.
    """
    if isinstance(given, Mapping):
        given = given.items()
    elif isinstance(given, str):
        given = [given]
    return tuple(_read_bias(one, name) for one in given)


def _read_bias(given: Any, name: str) -> tuple[str, float]:
    """Read ``CHAR=B``, or a character and a number."""
    symbol, number = given, ""
    if isinstance(given, str):
        symbol, _, number = given.rpartition("=")
    elif isinstance(given, tuple) and len(given) == 2:
        symbol, number = given
    try:
        bias = float(number)
    except (TypeError, ValueError):
        bias = math.nan
    if not symbol or not isinstance(symbol, str) or math.isnan(bias):
        msg = f"{name} {given!r} is not CHAR=B"
        hint = "a character and a number, such as 'e=-1.5' or 'z=-inf'"
        raise OptionError(msg, hint=hint)
    # A number that is too large for a float is no way to write -inf.
    if str(number).strip().lower() not in ("-inf", "-infinity"):
        check_number(f"{name} {given!r}", bias)
    return symbol, bias


@dataclass(frozen=True, kw_only=True)
class SampleConfig:
    """How the next character is chosen, and when to stop."""

    temperature: float = option(
        1.0,
        Option(
            "Below 1 is safer, above 1 wilder; 0 takes the likeliest, which is the "
            "default for outputs of pairs if neither a filter nor "
            f"{field('best_of')} is given.",
            CHOICE,
            short="t",
            low=0,
            recorded=True,
        ),
    )
    top_k: int | None = option(
        None, Option("Choose from the N likeliest.", CHOICE, low=1, recorded=True)
    )
    top_p: float | None = option(
        None,
        Option(
            "Choose from the fewest likeliest that reach this share.",
            CHOICE,
            low=0,
            high=1,
            open_low=True,
            recorded=True,
        ),
    )
    min_p: float | None = option(
        None,
        Option(
            "Leave out what is less than F times as likely as the likeliest.",
            CHOICE,
            low=0,
            high=1,
            recorded=True,
        ),
    )
    typical: float | None = option(
        None,
        Option(
            "Choose from the fewest that surprise about as much as expected, up to "
            "this share.",
            CHOICE,
            low=0,
            high=1,
            open_low=True,
            recorded=True,
        ),
    )
    no_repeat: int | None = option(
        None,
        Option(
            f"No N characters in a row that stand in the last {RECENT} already.",
            CHOICE,
            low=1,
            high=RECENT,
            recorded=True,
        ),
    )
    no_copy: int | None = option(
        None,
        Option(
            f"No N characters in a row that stand in the {field('corpus')}, or in the "
            "training text if the checkpoint has it.",
            CHOICE,
            low=2,
            high=RECENT,
            recorded=True,
        ),
    )
    logit_bias: tuple[tuple[str, float], ...] = option(
        (),
        Option(
            "Make a character likelier by e^B, or less likely; -inf bans it. May be "
            "given several times.",
            CHOICE,
            metavar="CHAR=B",
            parse=read_biases,
        ),
    )
    allow: str | None = option(
        None, Option("Write these only.", CHOICE, metavar="CHARS", recorded=True)
    )
    ban: str = option(
        "", Option("Never write these.", CHOICE, metavar="CHARS", recorded=True)
    )
    pattern: str | None = option(
        None,
        Option(
            "New text that matches all of a regular expression, as Python's re has it, "
            "and where the model chooses what that leaves open. It ends where nothing "
            "can follow, at a newline that may not, or with the "
            f"{field('length')}.",
            CHOICE,
            metavar="REGEX",
            recorded=True,
        ),
    )
    set_unit: tuple[HeldUnit, ...] = option(
        (),
        Option(
            "Hold a unit of the network at a value while it reads and writes: its "
            "output h, before it is normalized, or of an LSTM c, with which it begins "
            "to read every character. Layers and units count from 0. May be given "
            "several times.",
            CHOICE,
            metavar="LAYER:UNIT[:h|c]=VALUE",
            parse=read_units,
        ),
    )
    beam: int | None = option(
        None,
        Option(
            "Of a model of pairs: search for the likeliest output with N beams, 1 to "
            f"{MOST_BEAMS}. By default the likeliest character is taken at every step.",
            CHOICE,
            low=1,
            high=MOST_BEAMS,
            recorded=True,
            usual="",
        ),
    )
    precision: SamplePrecision = option(
        "auto",
        Option(
            "How weights of layers are rounded while a text is made; fewer bits are "
            "faster. The same seed gives another text in another precision. auto: "
            "float32; int8 where the layers have half a million weights or more, as "
            "one of 384 LSTM units has.",
            CHOICE,
            recorded=True,
        ),
    )
    length: int = option(
        2000,
        Option(
            "New characters; -1 goes on until nobody reads. By default 2000, with "
            f"{field('lines')} 2000 a line, with {field('time')} no limit.",
            LENGTH,
            short="n",
            low=-1,
            high=MAX_COUNT,
            usual="",
        ),
    )
    lines: int | None = option(
        None, Option("End after N newlines.", LENGTH, low=1, high=MAX_COUNT)
    )
    time: float | None = option(
        None,
        Option(
            "End after so long: 10s, 5min. The text then depends on the machine.",
            LENGTH,
            metavar="DUR",
            parse=parse_duration,
        ),
    )
    stop: tuple[str, ...] = option(
        (), Option("End before this text. May be given several times.", LENGTH)
    )
    include_stop: bool = option(
        False, Option("End after the stop text.", LENGTH, needs=("stop",))
    )
    num_samples: int = option(
        1,
        Option(
            "Samples, made side by side.",
            OUTPUT,
            short="N",
            low=1,
            high=MOST_SAMPLES,
        ),
    )
    best_of: int = option(
        1,
        Option(
            "Of N candidates for each sample show the one that the model finds "
            "likeliest, by bits per character.",
            OUTPUT,
            low=1,
            high=MOST_SAMPLES,
            recorded=True,
        ),
    )
    logprobs: int = option(
        0,
        Option(
            f"With {field('json')}: of every character the K likeliest, with their "
            "logarithms of probability.",
            OUTPUT,
            metavar="K",
            low=0,
            high=MAX_COUNT,
            needs=("json",),
            after="json",
        ),
    )
    seed: int = option(
        0,
        Option(
            "For the same text again. Random by default; "
            f"{field('verbose', brief=True)} and {field('json')} tell it.",
            CHOICE,
            low=0,
            high=MAX_COUNT,
            usual="",
        ),
    )

    def __post_init__(self) -> None:
        """Check the limits and what cannot go together."""
        check(self)
        if self.num_samples * self.best_of > MOST_SAMPLES:
            msg = (
                f"{field('num_samples')} times {field('best_of')} must be at most "
                f"{MOST_SAMPLES:,}"
            )
            raise OptionError(msg, hint="make the samples in several calls")
        for symbol, bias in self.logit_bias:
            if bias != -math.inf:
                check_number(f"{field('logit_bias')} {symbol!r}", bias)
        if "" in self.stop:
            msg = f"{field('stop')} must not be empty"
            hint = f"leave it away to stop at {field('length')} only"
            raise OptionError(msg, hint=hint)
        if self.temperature == 0 and self.filters:
            msg = (
                f"{field('temperature', 0)} cannot be combined with "
                f"{field(self.filters[0])}"
            )
            hint = "temperature 0 always takes the likeliest character"
            raise OptionError(msg, hint=hint)

    def in_symbols(self, symbols: Callable[[str], str]) -> "SampleConfig":
        """Write its texts in the symbols of a vocabulary.

        Parameters
        ----------
        symbols : callable
            Turns a text into symbols, such as `Vocab.to_symbols`.

        Raises
        ------
        OptionError
            A character with a bias is several bytes to the model.
        """
        biases = []
        for given, bias in self.logit_bias:
            symbol = symbols(given)
            if len(symbol) != 1 and symbol == given:
                msg = f"{field('logit_bias')} is for one character, not {given!r}"
                raise OptionError(msg, hint="give each character a bias of its own")
            if len(symbol) != 1:
                bytes_ = f"{given!r} is {len(symbol)} bytes to this model"
                msg = f"{field('logit_bias')}: {bytes_}"
                hint = "byte 0xHH by itself is '\\udcHH', for HH from 80 to ff"
                raise OptionError(msg, hint=hint)
            biases.append((symbol, bias))
        return replace(
            self,
            stop=tuple(map(symbols, self.stop)),
            logit_bias=tuple(biases),
            allow=None if self.allow is None else symbols(self.allow),
            ban=symbols(self.ban),
        )

    def in_vain(self, symbols: str, stop: Sequence[str]) -> Iterator[Message]:
        """Say what of it does nothing, as the model never writes it.

        Its own texts are in symbols; see `in_symbols`.

        Parameters
        ----------
        symbols : str
            All that the model knows.
        stop : sequence of str
            The texts to stop at as they were given.
        """
        known = set(symbols)
        for given, text in zip(stop, self.stop, strict=True):
            if not set(text) <= known:
                strange = "has characters that the model never writes"
                yield Message(f"{field('stop')} {given!r} {strange}")
        if self.lines is not None and "\n" not in known:
            of_no_use = "is of no use: the model never writes a newline"
            yield Message(f"{field('lines')} {of_no_use}")
        for name, text in (
            ("allow", self.allow or ""),
            ("ban", self.ban),
            ("logit_bias", "".join(symbol for symbol, _ in self.logit_bias)),
        ):
            missing = "".join(dict.fromkeys(s for s in text if s not in known))
            if missing:
                never = f"names what the model never writes: {missing!r}"
                yield Message(f"{field(name)} {never}")

    @property
    def filters(self) -> list[str]:
        """The truncating fields in use."""
        names = ("top_k", "typical", "top_p", "min_p")
        return [name for name in names if getattr(self, name) is not None]


#: What outputs of pairs are drawn by, with the values that ask for nothing; if no
#: other is given, the likeliest is taken.
DRAWING: dict[str, Any] = {
    "temperature": None,
    "top_k": None,
    "top_p": None,
    "min_p": None,
    "typical": None,
    "best_of": 1,
}

#: What a search with beams leaves no room for, likewise, and what to do instead.
NOT_SEARCHING: tuple[tuple[dict[str, Any], str], ...] = (
    (
        DRAWING | {"temperature": 0},
        "a search finds what the model itself holds likeliest, without chance",
    ),
    (
        {"no_repeat": None, "no_copy": None, "logit_bias": (), "pattern": None},
        f"of what changes the choice only {field('allow')} and {field('ban')} go with "
        "a search",
    ),
    (
        {"lines": None, "time": None, "stop": ()},
        f"an output ends with its line; {field('length')} is the most it may have",
    ),
    (
        {"num_samples": 1, "logprobs": 0},
        f"a search finds one output; {field('json')} tells all beams and their nats",
    ),
)


def settle(given: Mapping[str, Any], *, pairs: bool | None = None) -> SampleConfig:
    """Make the configuration of what was given; the rest depends on it, and on a model.

    Parameters
    ----------
    given : mapping
        Fields of `SampleConfig` by name.
    pairs : bool, optional
        Whether the model is one of pairs, whose outputs are lines and are the
        likeliest ones, unless something is given that draws; None if that is not
        known yet.

    Raises
    ------
    OptionError
        Something is out of range, does not go together, or not with such a model.
    """
    settled = dict(given)
    settled.setdefault("length", usual_length(given.get("lines"), given.get("time")))
    if given.get("beam") is not None:
        _check_beam(given, pairs=pairs)
    if pairs:
        if given.get("lines") is not None:
            msg = f"{field('lines')} has no place here: an output is one line"
            hint = "leave it away: an input has one output, which ends with its line"
            raise OptionError(msg, hint=hint)
        settled["lines"] = 1
        if not _asked_for(given, DRAWING):
            settled["temperature"] = 0.0
    return SampleConfig(**settled)


def settle_completion(given: Mapping[str, Any]) -> SampleConfig:
    """Make the configuration of how lines are completed while they are written.

    Parameters
    ----------
    given : mapping
        Fields of `SampleConfig` by name. Unless one of them draws, continuations go on
        by the likeliest characters.

    Raises
    ------
    OptionError
        Something is out of range, or does not go together.
    """
    drawn = _asked_for(given, DRAWING)
    return SampleConfig(**({} if drawn else {"temperature": 0.0}) | dict(given))


def _asked_for(given: Mapping[str, Any], nothing: Mapping[str, Any]) -> list[str]:
    """Name what was given of some fields, but for values that ask for nothing."""
    return [n for n, value in nothing.items() if n in given and given[n] != value]


def _check_beam(given: Mapping[str, Any], *, pairs: bool | None) -> None:
    """Raise `OptionError` for what a search with beams cannot do."""
    for nothing, hint in NOT_SEARCHING:
        for name in _asked_for(given, nothing):
            msg = f"{field('beam')} cannot be combined with {field(name)}"
            raise OptionError(msg, hint=hint)
    if given.get("length") == -1:
        msg = f"{field('beam')} cannot be combined with {field('length', -1)}"
        hint = f"a search must end: leave {field('length')} away, or give a limit"
        raise OptionError(msg, hint=hint)
    if pairs is False:
        msg = f"{field('beam')} is for models of pairs, and this is one of running text"
        hint = f"{field('best_of', 16)} chooses among samples"
        raise OptionError(msg, hint=hint)


def check_search(config: SampleConfig, blending: Blending) -> None:
    """Raise `OptionError` if a search is to count in what it writes.

    Its beams go on from one another: none of them is a text that could be counted.
    """
    if config.beam is not None and blending.adapt_output:
        msg = f"{field('beam')} cannot be combined with {field('adapt_output')}"
        raise OptionError(msg, hint=f"{field('adapt', True)} counts in the inputs")


def usual_length(lines: int | None, time: float | None) -> int:
    """Choose the length of a sample for which none is given; -1 is endless.

    A number of lines that is out of range is refused by its own name later, and
    must not lead to a length that would be refused first.
    """
    if time is not None:
        return -1
    if lines is None or lines < 1:
        return SampleConfig.length
    return min(SampleConfig.length * lines, MAX_COUNT)


@dataclass(frozen=True, kw_only=True)
class SampleInputs:
    """What sampling reads beside the model: which prompts it takes, and a text."""

    unknown: UnknownPolicy = option(
        "error",
        Option(
            "What to do with characters of the prompt that the model does not know: "
            "error, skip or replace.",
            PROMPT,
            metavar="HOW",
            after="escape",
        ),
    )
    allow_empty: bool = option(
        False,
        Option("Of pairs: let inputs be empty.", PROMPT, after="unknown"),
    )
    corpus: tuple[str, ...] = option(
        (),
        Option(
            f"The text that {field('no_copy')} is about, if it is not the one in the "
            "checkpoint. May be given several times.",
            CHOICE,
            metavar="PATH",
            needs=("no_copy",),
            after="no_copy",
        ),
    )

    def __post_init__(self) -> None:
        """Check the choice."""
        check(self)

    def check_model(self, *, pairs: bool) -> None:
        """Raise `OptionError` for what is about another kind of model."""
        if self.allow_empty and not pairs:
            name = field("allow_empty")
            msg = f"{name} is about models of pairs, which this one is not"
            hint = f"leave {name} away: an empty prompt is none"
            raise OptionError(msg, hint=hint)
