"""``charrnn train``: texts in, a checkpoint out."""

import contextlib
import sys
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from charrnn.cli.options import COMMON, Common, takes
from charrnn.cli.training_settings import ReportOptions, settings_of
from charrnn.config import (
    LEARNING,
    MODEL,
    OUTPUT,
    REPORTS,
    RUN_LENGTH,
    TEXT,
    ModelConfig,
    RunConfig,
    TextConfig,
    TrainConfig,
)
from charrnn.display.color import is_terminal
from charrnn.errors import CharRNNError, OptionError
from charrnn.launcher import Launched, joins, launched
from charrnn.options import OptionTable, configure

#: What the command is about, for its help. No docstring: Python may leave those out.
ABOUT = """Train a network on texts and save it as a checkpoint.

Prints the checkpoint's path on stdout. Ctrl-C saves and tells how to
go on.
"""

EXAMPLES = "\n".join(
    [
        "Examples:",
        "charrnn train lovecraft.txt --time 10m",
        "cat books/*.txt | charrnn train - -o books.npz -q",
        "charrnn train names.txt --lines --time 60s",
        "charrnn train words.tsv --pairs --time 60s",
        "charrnn train lovecraft.txt --resume --epochs 20",
        "charrnn train mail.txt --init-from lovecraft.npz",
    ]
)

OPTIONS = OptionTable(
    kinds=(RunConfig, TextConfig, ModelConfig, TrainConfig, ReportOptions, Common),
    groups=(OUTPUT, TEXT, MODEL, RUN_LENGTH, LEARNING, REPORTS, COMMON),
)

Paths = Annotated[
    list[str] | None,
    typer.Argument(metavar="PATHS...", help="Texts, joined in order; - is stdin."),
]


@takes(OPTIONS)
def train(context: typer.Context, paths: Paths = None, **options: Any) -> None:
    """Carry out what `ABOUT` says."""
    how = launched()
    # As it was given: whether it is a mode at all is seen with the other options.
    alone = not joins(options["distributed"] or RunConfig.distributed, how)
    # What goes wrong before ranks have met goes wrong on all of them.
    with contextlib.nullcontext() if alone else _said_by_one_a_machine(how):
        common = configure(Common, options)
        if not paths:
            _explain(context)
        settings = settings_of(tuple(paths or ()), options)
        if alone and not common.quiet:
            _announce(paths or [])
        # Heavy: numpy, and numba with it.
        from charrnn.cli.training_session import Session
        from charrnn.training.company import meet

        company = meet(settings.request.run.distributed, common.threads, how)
    Session(settings, common, company).execute()


@contextlib.contextmanager
def _said_by_one_a_machine(how: Launched) -> Iterator[None]:
    """Have the first process of a machine alone say what is wrong on all of them."""
    try:
        yield
    except CharRNNError as error:
        if how.rank_here:
            raise SystemExit(error.exit_code) from None
        raise


def _explain(context: typer.Context) -> None:
    """Print the help to a person who gave no text, and refuse to guess."""
    if is_terminal(sys.stderr):
        # Typer prints the help itself, wherever it would go.
        with contextlib.redirect_stdout(sys.stderr):
            typer.echo(context.get_help())
    msg = "no text to train on"
    raise OptionError(msg, hint="charrnn train FILE..., or - for standard input")


def _announce(sources: list[str]) -> None:
    """Say at once that something happens; reading may take a while."""
    names = ", ".join("standard input" if s == "-" else s for s in sources[:3])
    more = f" and {len(sources) - 3} more" if len(sources) > 3 else ""
    shown = "".join(c if c.isprintable() else "?" for c in names)
    with contextlib.suppress(OSError, ValueError):  # nobody listens
        typer.echo(f"charrnn: reading {shown}{more}", err=True)
