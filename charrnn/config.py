"""What a model, a training run and a sampler are made of.

Three frozen dataclasses, split by how long they live: :class:`ModelConfig` is
stored in every checkpoint and fixes the shape of every array,
:class:`TrainConfig` belongs to one run (and is stored so that the run can be
resumed), :class:`SampleConfig` to one call. They check themselves: this is
the only place where limits stand. Defaults are written here once and read by
the command line.

Nothing here imports numpy, so that the command line answers at once.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, get_args

from charrnn import cells
from charrnn.errors import OptionError, field

CellName: TypeAlias = str  # of `charrnn.cells`, where others can be registered
ActivationName = Literal["tanh", "sigmoid", "relu", "leaky-relu"]
NormName = Literal["none", "layer", "batch"]
InitName = Literal["auto", "orthogonal", "xavier", "he", "uniform"]
OptimizerName = Literal["adam", "rmsprop", "adagrad", "sgd"]
ScheduleName = Literal["constant", "step", "exponential", "linear", "cosine", "cyclic"]
ClipMode = Literal["norm", "value"]
UnitName = Literal["char", "byte"]
NewlineMode = Literal["keep", "lf"]
UnknownPolicy = Literal["error", "skip", "replace"]

MAX_HIDDEN = 8192
MAX_LAYERS = 16

#: Of whatever is counted: a checkpoint holds integers of 64 bits.
MAX_COUNT = 2**63 - 1

#: Passes over a text; with the longest text their steps are still countable.
MAX_EPOCHS = 10**9

#: Seconds of any duration, some 30 years, and of a training at least.
MAX_SECONDS = 10**9
MIN_TRAINING = 1e-6

#: Of numbers that become float32 somewhere.
MAX_REAL = 1e38

#: Digits that are looked at when a number of steps is read; Python refuses
#: thousands of them.
MAX_DIGITS = 30

#: Characters of a value that a message shows.
SHOWN = 60


def check_choice(name: str, value: object, choices: object) -> None:
    """Raise `OptionError` unless `value` is one of a tuple's or a Literal's words.

    Parameters
    ----------
    name : str
        What the message calls the value: a field marked by `errors.field`, or words.
    """
    allowed = choices if isinstance(choices, tuple) else get_args(choices)
    if value not in allowed:
        msg = f"{name} is {value!r}, not one of {', '.join(map(str, allowed))}"
        raise OptionError(msg, hint=_nearest(name, str(value), allowed))


def _nearest(name: str, word: str, allowed: tuple[str, ...]) -> str:
    """Guess which word was meant, or say what works without any."""
    from difflib import get_close_matches  # of use in an error only

    near = get_close_matches(word.lower(), allowed, n=1)
    return f"is {near[0]} meant?" if near else _leave_away(name)


def _leave_away(name: str) -> str:
    """Say that nobody has to set a field."""
    return f"leave {name} away for its default"


def check_number(
    name: str,
    value: float,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    open_low: bool = False,
    open_high: bool = False,
) -> None:
    """Raise `OptionError` unless `value` is finite and inside its limits.

    Parameters
    ----------
    name : str
        What the message calls the value: a field marked by `errors.field`, or words.
    low, high : float
        The limits, themselves allowed unless `open_low` or `open_high`.
    """
    # An integer of any length is finite, though no float may hold it.
    if not isinstance(value, int) and not math.isfinite(value):
        msg = f"{name} must be a finite number, not {value}"
        raise OptionError(msg, hint="write a number such as 0.5, or 20")
    too_low = value <= low if open_low else value < low
    too_high = value >= high if open_high else value > high
    if too_low or too_high:
        bounds = []
        if low > -math.inf:
            bounds.append(f"above {low}" if open_low else f"at least {low}")
        if high < math.inf:
            bounds.append(f"below {high}" if open_high else f"at most {high}")
        # In full: rounded, a value just outside would look allowed.
        shown = str(value)
        if len(shown) > SHOWN:
            shown = f"a number of {len(shown):,} digits"
        msg = f"{name} must be {' and '.join(bounds)}, not {shown}"
        raise OptionError(msg, hint=_leave_away(name))


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Everything that fixes the shape and the arithmetic of a model."""

    vocab_size: int
    cell: CellName = "lstm"
    activation: ActivationName = "tanh"  # of the vanilla cell only
    hidden: int = 256  # units per layer
    layers: int = 1
    norm: NormName = "none"  # of every layer's output

    def __post_init__(self) -> None:
        """Check the limits."""
        check_choice(field("cell"), self.cell, cells.names())
        check_choice(field("activation"), self.activation, ActivationName)
        check_choice(field("norm"), self.norm, NormName)
        check_number(field("hidden"), self.hidden, low=1, high=MAX_HIDDEN)
        check_number(field("layers"), self.layers, low=1, high=MAX_LAYERS)
        check_number("the vocabulary's size", self.vocab_size, low=1, high=0x110000)
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
class Every:
    """How often something is done: by steps or by seconds of training.

    Exactly one of the two is set; both 0 means never.
    """

    steps: int = 0
    seconds: float = 0.0

    def __post_init__(self) -> None:
        """Check that one unit is used."""
        check_number("an interval", self.steps, low=0, high=MAX_COUNT)
        check_number("an interval", self.seconds, low=0, high=MAX_SECONDS)
        if self.steps and self.seconds:
            msg = "an interval is either in steps or in seconds"
            raise ValueError(msg)

    def __bool__(self) -> bool:
        return bool(self.steps or self.seconds)


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """One training run, less its texts and its files.

    Limits (`epochs`, `steps`, `time`) count from the beginning of the run,
    what was trained before a resume included; the first one reached ends it,
    and the learning rate's schedule is planned to end there too.
    """

    batch_size: int = 32  # streams side by side
    seq_length: int = 64  # steps of truncated BPTT
    epochs: float | None = None
    steps: int | None = None
    time: float | None = None  # seconds of training steps
    patience: int = 0  # evaluations without improvement; 0 is for ever
    optimizer: OptimizerName = "adam"
    lr: float = 1e-2  # the schedule's peak; see training.plan
    schedule: ScheduleName = "cosine"
    warmup: float = 0.02  # share of the run below 1, steps from 1 on
    weight_decay: float = 0.0  # decoupled, on weight matrices
    grad_clip: float = 1.0  # 0 is off
    clip_mode: ClipMode = "norm"
    dropout: float = 0.0  # between layers and before the head
    weight_dropout: float = 0.0  # of recurrent weights
    ema: float = 0.0  # decay of the averaged weights; 0 is off
    init: InitName = "auto"
    forget_bias: float = 1.0  # LSTM: the initial value
    lines: bool = False  # every line a document
    val_fraction: float = 0.1
    seed: int = 0
    eval_every: Every | None = None  # None: by the length of the run

    def __post_init__(self) -> None:
        """Check the limits."""
        check_number(field("batch_size"), self.batch_size, low=1, high=65_536)
        check_number(field("seq_length"), self.seq_length, low=1, high=65_536)
        if self.epochs is not None:
            check_number(
                field("epochs"), self.epochs, low=0, high=MAX_EPOCHS, open_low=True
            )
        if self.steps is not None:
            check_number(field("steps"), self.steps, low=0, high=MAX_COUNT)
        if self.time is not None:
            check_number(field("time"), self.time, low=MIN_TRAINING, high=MAX_SECONDS)
        check_number(field("patience"), self.patience, low=0, high=MAX_COUNT)
        check_choice(field("optimizer"), self.optimizer, OptimizerName)
        check_number(field("lr"), self.lr, low=0, high=MAX_REAL, open_low=True)
        check_choice(field("schedule"), self.schedule, ScheduleName)
        check_number(field("warmup"), self.warmup, low=0, high=MAX_COUNT)
        check_number(field("weight_decay"), self.weight_decay, low=0, high=MAX_REAL)
        check_number(field("grad_clip"), self.grad_clip, low=0, high=MAX_REAL)
        check_choice(field("clip_mode"), self.clip_mode, ClipMode)
        check_number(field("dropout"), self.dropout, low=0, high=1, open_high=True)
        check_number(
            field("weight_dropout"), self.weight_dropout, low=0, high=1, open_high=True
        )
        check_number(field("ema"), self.ema, low=0, high=1, open_high=True)
        check_choice(field("init"), self.init, InitName)
        check_number(
            field("forget_bias"), self.forget_bias, low=-MAX_REAL, high=MAX_REAL
        )
        check_number(
            field("val_fraction"), self.val_fraction, low=0, high=1, open_high=True
        )
        check_number(field("seed"), self.seed, low=0, high=MAX_COUNT)


#: Characters that `SampleConfig.no_repeat` and `no_copy` look back.
RECENT = 2000

#: Samples, candidates included, that are made side by side.
MOST_SAMPLES = 65_536


@dataclass(frozen=True, kw_only=True)
class SampleConfig:
    """How the next character is chosen, and when to stop."""

    temperature: float = 1.0  # 0 is greedy
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    typical: float | None = None
    no_repeat: int | None = None  # length of n-grams that must not come again
    no_copy: int | None = None  # length of n-grams of a text that must not come
    logit_bias: tuple[tuple[str, float], ...] = ()  # symbols, and what is added
    allow: str | None = None  # symbols; all if not given
    ban: str = ""  # symbols
    length: int = 2000  # new characters; -1 endless
    lines: int | None = None  # newlines to end after
    time: float | None = None  # seconds to end after
    stop: tuple[str, ...] = ()
    include_stop: bool = False
    num_samples: int = 1
    best_of: int = 1  # candidates for each of them
    logprobs: int = 0  # alternatives that are told of each character
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the limits and what cannot go together."""
        check_number(field("temperature"), self.temperature, low=0)
        for option, value in (
            (field("top_p"), self.top_p),
            (field("typical"), self.typical),
        ):
            if value is not None:
                check_number(option, value, low=0, high=1, open_low=True)
        if self.min_p is not None:
            check_number(field("min_p"), self.min_p, low=0, high=1)
        for option, number, low, high in (
            (field("top_k"), self.top_k, 1, math.inf),
            (field("no_repeat"), self.no_repeat, 1, RECENT),
            (field("no_copy"), self.no_copy, 2, RECENT),
            (field("lines"), self.lines, 1, MAX_COUNT),
        ):
            if number is not None:
                check_number(option, number, low=low, high=high)
        check_number(field("length"), self.length, low=-1, high=MAX_COUNT)
        check_number(field("num_samples"), self.num_samples, low=1, high=MOST_SAMPLES)
        check_number(field("best_of"), self.best_of, low=1, high=MOST_SAMPLES)
        if self.num_samples * self.best_of > MOST_SAMPLES:
            msg = (
                f"{field('num_samples')} times {field('best_of')} must be at most "
                f"{MOST_SAMPLES:,}"
            )
            raise OptionError(msg, hint="make the samples in several calls")
        check_number(field("logprobs"), self.logprobs, low=0, high=MAX_COUNT)
        check_number(field("seed"), self.seed, low=0, high=MAX_COUNT)
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
            if len(symbol) != 1:
                name, bytes_ = field("logit_bias"), len(symbol)
                msg = f"{name}: {given!r} is {bytes_} bytes to this model"
                escape = field("escape", True, brief=True)
                one = field("logit_bias", r"'\xHH=B'")
                raise OptionError(msg, hint=f"{escape} {one} is for one byte")
            biases.append((symbol, bias))
        return replace(
            self,
            stop=tuple(map(symbols, self.stop)),
            logit_bias=tuple(biases),
            allow=None if self.allow is None else symbols(self.allow),
            ban=symbols(self.ban),
        )

    @property
    def filters(self) -> list[str]:
        """The truncating fields in use."""
        named = {
            "top_k": self.top_k,
            "typical": self.typical,
            "top_p": self.top_p,
            "min_p": self.min_p,
        }
        return [name for name, value in named.items() if value is not None]


#: Seconds in each unit that a duration may be written in.
#: A duration: numbers with units, the larger units first, each once.
_DURATION = re.compile(
    r"(?:([\d.]+)d)?(?:([\d.]+)h)?(?:([\d.]+)(?:min|m))?(?:([\d.]+)s)?", re.ASCII
)


def parse_duration(text: str, name: str) -> float:
    """Read the seconds of a duration such as ``90s``, ``5min``, ``1.5h``, ``1h30m``.

    Raises
    ------
    OptionError
        It is not a positive number followed by s, m or min, h or d, nor several of
        them in falling order; or too long a time.
    """
    match = _DURATION.fullmatch(text.strip())
    try:
        if match is None or not any(match.groups()):
            raise ValueError
        parts = zip(match.groups(), (86_400.0, 3600.0, 60.0, 1.0), strict=True)
        seconds = sum(float(number) * unit for number, unit in parts if number)
    except ValueError:
        msg = f"{name} is {_shortened(text)}, which is not a duration"
        raise OptionError(msg, hint="write 90s, 30m or 2h") from None
    check_number(name, seconds, low=0, high=MAX_SECONDS, open_low=True)
    return seconds


def _shortened(text: str) -> str:
    """Quote a value, as far as anybody would read it."""
    return repr(text if len(text) <= SHOWN else text[:SHOWN] + "...")


def parse_every(text: str, name: str) -> Every:
    """Read an interval in steps (``500``) or in time (``10m``); ``0`` is never.

    Raises
    ------
    OptionError
        It is neither, or too large.
    """
    digits = text.strip()
    if digits.isdecimal():
        if len(digits) > MAX_DIGITS:
            msg = f"{name} is a number of {len(digits):,} digits"
            raise OptionError(msg, hint="0 is never")
        check_number(name, int(digits), low=0, high=MAX_COUNT)
        return Every(steps=int(digits))
    try:
        return Every(seconds=parse_duration(text, name))
    except OptionError as error:
        error.hint = "write a number of steps, or a time such as 30s or 10m"
        raise


def parse_biases(
    given: Mapping[str, float] | Sequence[str | tuple[str, float]],
) -> tuple[tuple[str, float], ...]:
    """Read what is added to the logits of characters.

    Parameters
    ----------
    given : mapping, or sequence of str or pairs
        A bias by its character, or ``CHAR=B`` for each.

    Raises
    ------
    OptionError
        One has no character, or no number.
    """
    pairs = given.items() if isinstance(given, Mapping) else given
    return tuple(
        _parse_bias(item) if isinstance(item, str) else _bias(str(item), *item)
        for item in pairs
    )


def _parse_bias(text: str) -> tuple[str, float]:
    """Read ``CHAR=B``; escapes stay as they are."""
    symbol, _, number = text.rpartition("=")
    try:
        bias = float(number)
    except ValueError:
        bias = math.nan
    if math.isinf(bias) and number.strip().lower() not in ("-inf", "-infinity"):
        check_number(f"{field('logit_bias')} {text!r}", bias)
    return _bias(text, symbol, bias)


def _bias(shown: str, symbol: str, bias: float) -> tuple[str, float]:
    """Check a character and its bias."""
    if not symbol or math.isnan(bias):
        msg = f"{field('logit_bias')} {shown!r} is not CHAR=B"
        hint = "a character and a number, such as 'e=-1.5' or 'z=-inf'"
        raise OptionError(msg, hint=hint)
    if bias != -math.inf:
        check_number(f"{field('logit_bias')} {shown!r}", bias)
    return symbol, float(bias)


def default_length(lines: int | None, time: float | None) -> int:
    """Choose the length of a sample for which none is given."""
    if time is not None:
        return -1
    return SampleConfig.length * (lines or 1)
