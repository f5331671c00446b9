"""What a run reports while it goes: plain records, drawn and logged by others.

Losses are nats per character, times seconds of training steps: compiling,
evaluating, saving and previews do not count. A checkpoint holds no clock, or the
same run would not give the same bytes, but that of a run with a limit in time says
which share of it is used. So ``elapsed`` counts from the beginning of such a run,
also where it has been resumed since; of any other run it counts from the last resume.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

from charrnn.errors import Message

if TYPE_CHECKING:  # a command that only names a reason to stop needs no numpy
    from charrnn.training.baselines import Baselines
    from charrnn.training.blending import Blend

#: Held-out inputs of pairs whose outputs an evaluation writes, at most.
EVALUATED = 1000

StopReason = Literal[
    "epochs",
    "steps",
    "time",
    "patience",
    "interrupted",
    "terminated",
    "hangup",
    "cpu_limit",
    "diverged",
]


@dataclass(frozen=True)
class Step:
    """One step of the optimizer."""

    event: ClassVar[str] = "step"

    step: int  # steps done, this one included
    epoch: float  # passes over the text, with fraction
    progress: float  # share of the run, 0 to 1
    #: Of this window, and the running mean. None where the window has no target, the
    #: inside of a long input of a pair, and as long as no window had one.
    loss: float | None
    mean_loss: float | None
    lr: float
    grad_norm: float  # before clipping
    chars_per_second: float  # of the last second or so
    elapsed: float  # seconds of training; see the module

    @property
    def bits_per_char(self) -> float | None:
        """The loss in bits per character, if there is one."""
        return None if self.loss is None else self.loss / math.log(2)


@dataclass(frozen=True)
class Evaluation:
    """One pass over the held-out text."""

    event: ClassVar[str] = "eval"

    step: int
    epoch: float
    val_loss: float
    best: bool  # lower than ever before
    elapsed: float  # seconds of training; see the module
    #: Of pairs, how many of the outputs are right, by the likeliest characters of the
    #: network alone: of the first `EVALUATED` held-out inputs by their hashes. See
    #: `charrnn.pairs.Accuracy`.
    exact: float | None = None
    error_rate: float | None = None

    @property
    def val_bits_per_char(self) -> float:
        """The loss in bits per character."""
        return self.val_loss / math.log(2)


@dataclass(frozen=True)
class Saved:
    """A checkpoint has been written."""

    event: ClassVar[str] = "save"

    step: int
    path: Path
    best: bool  # the file of the best evaluation, not the last state


@dataclass(frozen=True)
class Warned:
    """Something that the user should know, and that does not end the run."""

    event: ClassVar[str] = "warning"

    message: str  # names fields as Python does; `errors.spell` writes others

    def __post_init__(self) -> None:
        """Keep what the message says of fields, for whoever spells them."""
        object.__setattr__(self, "message", Message(self.message))


@dataclass(frozen=True)
class Ended:
    """The run is over; the last checkpoint is written."""

    event: ClassVar[str] = "end"

    reason: StopReason
    steps: int
    epochs: float
    train_loss: float | None
    val_loss: float | None
    best_val_loss: float | None
    chars_per_second: float | None
    elapsed: float  # seconds of training; see the module
    #: Of pairs, how many outputs are right: of all held-out inputs, by the network with
    #: the n-grams of the text if it was counted. Whoever asks a run to end, or has it
    #: diverge, gets those of the last evaluation, as `Evaluation` has them.
    exact: float | None = None
    error_rate: float | None = None
    #: What the command line measures, and a run by itself does not: `Run.baselines`.
    yardsticks: "Baselines | None" = None
    blend: "Blend | None" = None  # with the n-grams of the text, if it was counted
    path: Path | None = None  # of the checkpoint, if one was written


Record: TypeAlias = Step | Evaluation | Saved | Warned | Ended
