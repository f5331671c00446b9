"""The commands, put together."""

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from charrnn.cli import inspect, sample, train
from charrnn.version import __version__

ABOUT = "Train character-level RNNs on any text, on a plain CPU, and sample them."

EXAMPLES = "\n".join(
    [
        "Examples:",
        "charrnn train lovecraft.txt",
        "charrnn sample --temperature 0.8 lovecraft.npz",
        "cat books/*.txt | charrnn train - -o books.npz",
        "echo 'The old house' | charrnn sample lovecraft.npz -n 400",
        "charrnn inspect lovecraft.npz",
    ]
)


class Escaped(Exception):  # noqa: N818 - an envelope, not an error
    """Carry what escaped from a command past typer, which would hide what it was.

    Typer takes an EOFError from anywhere for an end of input at a prompt of its own,
    prints an empty line and aborts without a reason.

    Parameters
    ----------
    error : EOFError
    """

    def __init__(self, error: EOFError) -> None:
        super().__init__(error)
        self.error = error


class Commands(TyperGroup):
    """All commands; none of them asks anybody anything."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was named."""
        try:
            return super().invoke(ctx)
        except EOFError as error:
            raise Escaped(error) from error


app = typer.Typer(
    name="charrnn",
    cls=Commands,
    help=ABOUT,
    epilog=EXAMPLES,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    """Print the version and leave."""
    if wanted:
        typer.echo(f"charrnn {__version__}")
        raise typer.Exit


@app.callback()
def charrnn(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_print_version,
            is_eager=True,
            metavar="",
            help="Print the version and leave.",
        ),
    ] = False,
) -> None:
    """Carry out what stands before a command."""


for module, command in (
    (train, train.train),
    (sample, sample.sample),
    (inspect, inspect.inspect),
):
    app.command(help=module.ABOUT, epilog=module.EXAMPLES)(command)
