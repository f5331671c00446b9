"""The commands, put together."""

from typing import Annotated

import typer

from charrnn.cli import inspect, sample, train
from charrnn.cli.output import require_stdout
from charrnn.cli.usage import Command, Commands
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
        require_stdout()
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
    app.command(cls=Command, help=module.ABOUT, epilog=module.EXAMPLES)(command)
