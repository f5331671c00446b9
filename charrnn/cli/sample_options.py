"""The options of `sample`, one alias each, in the groups of its help."""

from pathlib import Path
from typing import Annotated

import typer

from charrnn.cli.options import option
from charrnn.config import UnknownPolicy

PROMPT = "Prompt"
LENGTH = "Length"
CHOICE = "Choice of characters"
OUTPUT = "Output"


CheckpointPath = Annotated[
    Path,
    typer.Argument(
        readable=False, metavar="CHECKPOINT", help="A model, as charrnn train saves it."
    ),
]
PromptText = Annotated[
    str | None,
    option(
        "--prompt",
        "-p",
        panel=PROMPT,
        metavar="TEXT",
        help="Text to continue; '' is none. Default: what is piped in, if anything.",
    ),
]
PromptFile = Annotated[
    str | None,
    option(
        "--prompt-file",
        panel=PROMPT,
        metavar="PATH",
        help="File with the prompt; - is standard input. A final newline is dropped.",
    ),
]
PromptLines = Annotated[
    bool,
    option(
        "--prompt-lines",
        panel=PROMPT,
        help="Every line of the prompt is a prompt of its own.",
    ),
]
Escape = Annotated[
    bool,
    option(
        "--escape",
        "-e",
        panel=PROMPT,
        help=r"Read \n \t \\ \xHH \uHHHH in prompt, stop text, separator and "
        "characters.",
    ),
]
Unknown = Annotated[
    UnknownPolicy,
    option(
        "--unknown",
        panel=PROMPT,
        metavar="HOW",
        help="What to do with characters of the prompt that the model does not "
        "know: error, skip or replace.",
    ),
]
Echo = Annotated[
    bool, option("--echo/--no-echo", panel=PROMPT, help="Print the prompt too.")
]
Length = Annotated[
    int | None,
    option(
        "--length",
        "-n",
        panel=LENGTH,
        metavar="N",
        help="New characters; -1 goes on until nobody reads. By default 2000, with "
        "--lines 2000 a line, with --time no limit.",
    ),
]
Lines = Annotated[
    int | None,
    option("--lines", panel=LENGTH, metavar="N", help="End after N newlines."),
]
Time = Annotated[
    str | None,
    option(
        "--time",
        panel=LENGTH,
        metavar="DUR",
        help="End after so long: 10s, 5m. The text then depends on the machine.",
    ),
]
Stop = Annotated[
    list[str] | None,
    option(
        "--stop",
        panel=LENGTH,
        metavar="TEXT",
        help="End before this text. May be given several times.",
    ),
]
IncludeStop = Annotated[
    bool, option("--include-stop", panel=LENGTH, help="End after the stop text.")
]
Temperature = Annotated[
    float,
    option(
        "--temperature",
        "-t",
        panel=CHOICE,
        metavar="F",
        help="Below 1 is safer, above 1 wilder; 0 takes the likeliest.",
    ),
]
TopK = Annotated[
    int | None,
    option("--top-k", panel=CHOICE, metavar="N", help="Choose from the N likeliest."),
]
TopP = Annotated[
    float | None,
    option(
        "--top-p",
        panel=CHOICE,
        metavar="F",
        help="Choose from the fewest likeliest that reach this share.",
    ),
]
MinP = Annotated[
    float | None,
    option(
        "--min-p",
        panel=CHOICE,
        metavar="F",
        help="Leave out what is less than F times as likely as the likeliest.",
    ),
]
Typical = Annotated[
    float | None,
    option(
        "--typical",
        panel=CHOICE,
        metavar="F",
        help="Choose from the fewest that surprise about as much as expected, up to "
        "this share.",
    ),
]
NoRepeat = Annotated[
    int | None,
    option(
        "--no-repeat",
        panel=CHOICE,
        metavar="N",
        help="No N characters in a row that stand in the last 2000 already.",
    ),
]
NoCopy = Annotated[
    int | None,
    option(
        "--no-copy",
        panel=CHOICE,
        metavar="N",
        help="No N characters in a row that stand in the --corpus.",
    ),
]
CorpusPath = Annotated[
    list[str] | None,
    option(
        "--corpus",
        panel=CHOICE,
        metavar="PATH",
        help="The training text, for --no-copy. May be given several times.",
    ),
]
LogitBias = Annotated[
    list[str] | None,
    option(
        "--logit-bias",
        panel=CHOICE,
        metavar="CHAR=B",
        help="Make a character likelier by e^B, or less likely; -inf bans it. May "
        "be given several times.",
    ),
]
Allow = Annotated[
    str | None,
    option("--allow", panel=CHOICE, metavar="CHARS", help="Write these only."),
]
Ban = Annotated[
    str | None,
    option("--ban", panel=CHOICE, metavar="CHARS", help="Never write these."),
]
Seed = Annotated[
    int | None,
    option(
        "--seed",
        panel=CHOICE,
        metavar="N",
        help="For the same text again. Random by default; -v and --json tell it.",
    ),
]
NumSamples = Annotated[
    int,
    option(
        "--num-samples",
        "-N",
        panel=OUTPUT,
        metavar="N",
        help="Samples, made side by side.",
    ),
]
BestOf = Annotated[
    int,
    option(
        "--best-of",
        panel=OUTPUT,
        metavar="N",
        help="Of N candidates for each sample show the one that the model finds "
        "likeliest, by bits per character.",
    ),
]
Output = Annotated[
    str | None,
    option(
        "--output",
        "-o",
        panel=OUTPUT,
        metavar="PATH",
        help="Write there, replacing what is there, and not to standard output.",
    ),
]
Separator = Annotated[
    str | None,
    option(
        "--separator",
        panel=OUTPUT,
        metavar="TEXT",
        help="Between samples. A newline by default.",
    ),
]
Null = Annotated[
    bool,
    option("--null", "-0", panel=OUTPUT, help="End every sample with a NUL byte."),
]
Json = Annotated[bool, option("--json", panel=OUTPUT, help="One JSON object a sample.")]
Logprobs = Annotated[
    int,
    option(
        "--logprobs",
        panel=OUTPUT,
        metavar="K",
        help="With --json: of every character the K likeliest, with their "
        "logarithms of probability.",
    ),
]
Stream = Annotated[
    bool,
    option("--stream/--no-stream", panel=OUTPUT, help="Show a sample while it grows."),
]
Raw = Annotated[
    bool,
    option(
        "--raw",
        panel=OUTPUT,
        help="Exactly the text: a terminal gets control characters unescaped, and "
        "no newline is added at the end.",
    ),
]
