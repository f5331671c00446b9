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
Escape = Annotated[
    bool,
    option(
        "--escape",
        "-e",
        panel=PROMPT,
        help=r"Read \n \t \\ \xHH \uHHHH in prompt, stop text and separator.",
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
    int,
    option(
        "--length",
        "-n",
        panel=LENGTH,
        metavar="N",
        help="New characters; -1 goes on until nobody reads.",
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
