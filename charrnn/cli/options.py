"""Options that several commands share, and the settings they add up to."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import typer

from charrnn.config import check_choice
from charrnn.errors import OptionError, field
from charrnn.processors import resolve_threads

ColorMode = Literal["auto", "always", "never"]
ProgressMode = Literal["auto", "bar", "plain", "none"]

COMMON = "Common"


def option(*names: str, panel: str, help: str, metavar: str = "", **more: Any) -> Any:
    """Declare an option of one of a command's groups; a flag has no metavar.

    Paths are told not to be ``readable``, which typer would check: a file that
    cannot be read is no mistake in the options.
    """
    return typer.Option(
        *names,
        help=help,
        metavar=metavar,
        rich_help_panel=panel,
        readable=False,
    )


Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet",
        "-q",
        metavar="",
        help="Print errors only.",
        rich_help_panel=COMMON,
    ),
]
Verbose = Annotated[
    bool,
    typer.Option(
        "--verbose",
        "-v",
        metavar="",
        help="Say more on stderr.",
        rich_help_panel=COMMON,
    ),
]
Color = Annotated[
    str,
    typer.Option(
        "--color",
        metavar="WHEN",
        help="auto, always or never.",
        rich_help_panel=COMMON,
    ),
]
Progress = Annotated[
    str,
    typer.Option(
        "--progress",
        metavar="HOW",
        help="auto, bar, plain or none.",
        rich_help_panel=COMMON,
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        "--threads",
        metavar="N",
        help="Processors to use; all that are allowed by default.",
        rich_help_panel=COMMON,
    ),
]


@dataclass(frozen=True)
class Common:
    """How a command talks, and on how many processors it runs."""

    quiet: bool = False
    verbose: bool = False
    color: str = "auto"
    progress: str = "auto"
    threads: int | None = None

    def __post_init__(self) -> None:
        """Check the choices."""
        for name, value, choices in (
            ("color", self.color, ColorMode),
            ("progress", self.progress, ProgressMode),
        ):
            check_choice(field(name), value, choices)
        if self.threads is not None and self.threads < 1:
            msg = f"--threads must be at least 1, not {self.threads}"
            raise OptionError(msg, hint="leave it away to use all processors")

    def resolve_threads(self) -> tuple[int, str | None]:
        """Settle the number of threads; see `processors.resolve_threads`."""
        return resolve_threads(self.threads)
