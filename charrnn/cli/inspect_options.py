"""The options of `inspect`, one alias each, in the groups of its help."""

from pathlib import Path
from typing import Annotated

import typer

from charrnn.cli.options import option
from charrnn.config import UnknownPolicy
from charrnn.inspection import SignalName
from charrnn.inspection.registry import names, readers

VIEW = "What to show"
TEXT = "Text"
FORM = "Form"
FILE = "Files and kernels"

Checkpoints = Annotated[
    list[Path],
    typer.Argument(
        readable=False,
        metavar="CHECKPOINT",
        help="Models, as charrnn train saves them.",
    ),
]
View = Annotated[
    list[str] | None,
    option(
        "--view",
        panel=VIEW,
        metavar="NAME",
        help=f"{', '.join(names())}. May be given several times. Default: summary.",
    ),
]
Top = Annotated[
    int,
    option(
        "--top",
        panel=VIEW,
        metavar="K",
        help="next: choices at a position. surprise: the worst to name. neurons: "
        "units to show.",
    ),
]
Layer = Annotated[
    int | None,
    option(
        "--layer",
        panel=VIEW,
        metavar="K",
        help="neurons, gates, memory: one layer, from 0. Default: all of them.",
    ),
]
Unit = Annotated[
    list[int] | None,
    option(
        "--unit",
        panel=VIEW,
        metavar="N",
        help="neurons: show this unit, from 0, of the --layer or the last one. May "
        "be given several times. Default: the units that follow something most "
        "closely.",
    ),
]
Signal = Annotated[
    SignalName,
    option(
        "--signal",
        panel=VIEW,
        metavar="h|c|i|f|o|r|u",
        help="neurons: what to show of a unit: its output h, the tanh of an LSTM's "
        "cell c, or a gate.",
    ),
]
MaxLag = Annotated[
    int,
    option(
        "--max-lag",
        panel=VIEW,
        metavar="N",
        help="memory: how many characters to go back.",
    ),
]
CorpusPath = Annotated[
    list[str] | None,
    option(
        "--corpus",
        panel=VIEW,
        metavar="PATH",
        help="diversity: the training text, to find what was copied from it. May be "
        "given several times.",
    ),
]
TextOption = Annotated[
    str | None,
    option(
        "--text",
        panel=TEXT,
        metavar="TEXT",
        help=f"The text for {', '.join(readers())}.",
    ),
]
TextFile = Annotated[
    str | None,
    option(
        "--text-file",
        panel=TEXT,
        metavar="PATH",
        help="A file with the text instead; - is standard input.",
    ),
]
Unknown = Annotated[
    UnknownPolicy,
    option(
        "--unknown",
        panel=TEXT,
        metavar="HOW",
        help="What to do with characters of the text that the model does not "
        "know: error, skip or replace.",
    ),
]
MaxChars = Annotated[
    int | None,
    option(
        "--max-chars",
        panel=TEXT,
        metavar="N",
        help="Characters shown one by one; 0 is all. Totals of surprise are about "
        "the whole text. Default: 2000, 400 for neurons; with --json 1000000 and "
        "20000; with --plain surprise gives all.",
    ),
]
Json = Annotated[
    bool, option("--json", panel=FORM, help="One JSON object a checkpoint.")
]
Plain = Annotated[
    bool,
    option("--plain", panel=FORM, help="Tab-separated, the column names first."),
]
Svg = Annotated[
    str | None,
    option(
        "--svg",
        panel=FORM,
        metavar="FILE",
        help="Draw into a file; - is standard output.",
    ),
]
Html = Annotated[
    str | None,
    option(
        "--html",
        panel=FORM,
        metavar="FILE",
        help="Write a page to look around in. Without --view it has all there is.",
    ),
]
Width = Annotated[
    int | None,
    option("--width", panel=FORM, metavar="N", help="Columns to draw in."),
]
Ascii = Annotated[bool, option("--ascii", panel=FORM, help="Draw in ASCII only.")]
Verify = Annotated[
    bool,
    option(
        "--verify",
        panel=FILE,
        help="Check every byte of each file. Shows no view unless one is named.",
    ),
]
WarmUp = Annotated[
    bool,
    option(
        "--warmup",
        panel=FILE,
        help="Compile every kernel that the model needs, so that no later command "
        "has to. Shows no view unless one is named.",
    ),
]
