"""The commands, put together."""

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from charrnn.cli.inspect import EXAMPLES as INSPECT_EXAMPLES
from charrnn.cli.inspect import inspect
from charrnn.cli.sample import EXAMPLES as SAMPLE_EXAMPLES
from charrnn.cli.sample import sample
from charrnn.cli.train import EXAMPLES as TRAIN_EXAMPLES
from charrnn.cli.train import train
from charrnn.version import __version__

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
    help="Train character-level RNNs on any text, on a plain CPU, and sample them.",
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
    """Train character-level RNNs on any text, on a plain CPU, and sample them."""


app.command(epilog=TRAIN_EXAMPLES)(train)
app.command(epilog=SAMPLE_EXAMPLES)(sample)
app.command(epilog=INSPECT_EXAMPLES)(inspect)
