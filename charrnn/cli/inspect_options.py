"""The options of `inspect`."""

from dataclasses import dataclass, replace

from charrnn import cells
from charrnn.cli.schemas import LIST, MAKERS
from charrnn.config import (
    ADAPT,
    BLEND,
    MIX,
    MIX_MODE,
    Mixing,
    MixMode,
    Share,
    TextConfig,
    UnknownPolicy,
    read_pair_separator,
)
from charrnn.errors import field
from charrnn.filenames import read_output
from charrnn.inspection import MAX_LAG, LivePrecision, SignalName
from charrnn.inspection.registry import names, readers
from charrnn.options import Option, check, option

VIEW = "What to show"
TEXT = "Text"
FORM = "Form"
FILE = "Files and kernels"

#: The views that predict what comes next.
PREDICT = ("next", "surprise", "diversity", "errors", "compare")

#: Those of them that read a text.
ADAPTING = ("next", "surprise", "compare")

#: Narrower than this, nothing can be drawn.
MIN_WIDTH = 20


@dataclass(frozen=True, kw_only=True)
class InspectOptions:
    """What `inspect` is asked for, option by option."""

    view: tuple[str, ...] = option(
        (),
        Option(
            f"{', '.join(names())}. May be given several times. Default: summary.",
            VIEW,
            metavar="NAME",
        ),
    )
    top: int = option(
        5,
        Option(
            "next: choices at a position. surprise: the worst to name. neurons: units "
            "to show.",
            VIEW,
            metavar="K",
            low=1,
        ),
    )
    layer: int | None = option(
        None,
        Option(
            "neurons, gates, memory: one layer, from 0. Default: all of them.",
            VIEW,
            metavar="K",
        ),
    )
    unit: tuple[int, ...] = option(
        (),
        Option(
            f"neurons: show this unit, from 0, of the {field('layer')} or the last "
            "one. May be given several times. Default: the units that follow "
            "something most closely.",
            VIEW,
        ),
    )
    signal: SignalName = option(
        "h",
        Option(
            "neurons: what to show of a unit: its output h, the tanh of an LSTM's "
            "cell c, or a gate.",
            VIEW,
            metavar="h|c|i|f|o|r|u",
            choices=cells.signals,
        ),
    )
    max_lag: int = option(
        MAX_LAG, Option("memory: how many characters to go back.", VIEW, low=1)
    )
    corpus: tuple[str, ...] = option(
        (),
        Option(
            "diversity: the training text, to find what was copied from it. May be "
            "given several times.",
            VIEW,
            metavar="PATH",
        ),
    )
    held_out: bool = option(
        False,
        Option(
            "errors: of the pairs in the text only those that training has held out, "
            "where the text is the one that it was given.",
            VIEW,
        ),
    )
    blend: Share = option(
        "auto",
        replace(BLEND, group=VIEW, help=f"{', '.join(PREDICT)}: {BLEND.help}"),
    )
    adapt: bool = option(
        False,
        replace(ADAPT, group=VIEW, help=f"{', '.join(ADAPTING)}: {ADAPT.help}"),
    )
    mix: tuple[float, ...] = option(
        (),
        replace(
            MIX,
            group=VIEW,
            help="surprise: by all checkpoints together, with these weights: their "
            "probabilities are mixed, character by character. 0 leaves one out. "
            "compare: such a mixture, too.",
            needs=("text", "text_file"),
        ),
    )
    mix_mode: MixMode = option(
        "linear",
        replace(MIX_MODE, group=VIEW, needs=("mix",)),
    )
    text: str | None = option(
        None,
        Option(
            f"The text for {', '.join(readers())}. Of a model of pairs: pairs, one a "
            "line; for next alone, an input, a tab and what there is of its output.",
            TEXT,
        ),
    )
    text_file: str | None = option(
        None,
        Option(
            "A file with the text instead; - is standard input.", TEXT, metavar="PATH"
        ),
    )
    pair_separator: str = option(
        TextConfig.pair_separator,
        Option(
            r"Of pairs: what parts an input from its output in the text; \t and "
            r"\uHHHH work.",
            TEXT,
            metavar="TEXT",
            usual="a tab",
            parse=read_pair_separator,
            needs=("text", "text_file"),
        ),
    )
    allow_empty: bool = option(
        TextConfig.allow_empty,
        Option(
            "Of pairs: let inputs and outputs be empty.",
            TEXT,
            needs=("text", "text_file"),
        ),
    )
    unknown: UnknownPolicy = option(
        "error",
        Option(
            "What to do with characters of the text that the model does not know: "
            "error, skip or replace.",
            TEXT,
            metavar="HOW",
            needs=("text", "text_file"),
        ),
    )
    max_chars: int | None = option(
        None,
        Option(
            "Characters shown one by one, of errors those of wrong pairs; 0 is all. "
            "Totals of surprise and errors are about the whole text. Default: 2000, "
            "400 for neurons; "
            f"with {field('json')} 1000000 and 20000; "
            f"with {field('plain')} surprise and errors give all.",
            TEXT,
            low=0,
            needs=("text", "text_file"),
        ),
    )
    json: bool = option(False, Option("One JSON object a checkpoint.", FORM))
    schema: str | None = option(
        None,
        Option(
            "Print the JSON Schema of what a command writes or reads as JSON, and end; "
            f"{LIST} names them all. Needs no checkpoint.",
            FORM,
            metavar="|".join([*MAKERS, LIST]),
        ),
    )
    plain: bool = option(False, Option("Tab-separated, the column names first.", FORM))
    svg: str | None = option(
        None,
        Option(
            "Draw into a file; - is standard output.",
            FORM,
            metavar="FILE",
            parse=read_output,
        ),
    )
    html: str | None = option(
        None,
        Option(
            f"Write a page to look around in. Without {field('view')} it has all "
            "there is.",
            FORM,
            metavar="FILE",
            parse=read_output,
        ),
    )
    live: str | None = option(
        None,
        Option(
            "Write a page that runs the network in a browser: it writes, reads along, "
            "explains itself and can be steered. It opens with the text.",
            FORM,
            metavar="FILE",
            parse=read_output,
        ),
    )
    live_precision: LivePrecision = option(
        "float16",
        Option(
            "How the page stores weights: fewer bits make it smaller.",
            FORM,
            needs=("live",),
        ),
    )
    width: int | None = option(
        None, Option("Columns to draw in.", FORM, low=MIN_WIDTH, high=10_000)
    )
    ascii: bool = option(False, Option("Draw in ASCII only.", FORM))
    verify: bool = option(
        False,
        Option(
            "Check every byte of each file. Shows no view unless one is named.", FILE
        ),
    )
    warmup: bool = option(
        False,
        Option(
            "Compile every kernel that the model needs, so that no later command has "
            "to. Shows no view unless one is named.",
            FILE,
        ),
    )

    def __post_init__(self) -> None:
        """Check the limits."""
        check(self)

    @property
    def mixing(self) -> Mixing | None:
        """How the predictions of all checkpoints become one, if they are to."""
        if not self.mix:
            return None
        return Mixing(mix=self.mix, mix_mode=self.mix_mode)
