"""An article's figures beside ours, line by line, and a verdict on each."""

import sys
from collections.abc import Callable
from textwrap import wrap
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike

from charrnn.errors import CharRNNError, OutputError
from charrnn.examples import EXAMPLES
from charrnn.stdio import settle, silence

#: Columns of a line: what it is about, the article's figure, ours; a verdict.
LABEL, FIGURE, WIDTH = 18, 27, 80


class Figures:
    """What a program prints, and how many of its figures agree.

    Parameters
    ----------
    name : str
        The program's, as `EXAMPLES` has it.
    """

    def __init__(self, name: str) -> None:
        self.compared = self.differing = 0
        example = EXAMPLES[name]
        self.say(f"{example.author}, {example.title}: {example.line}.")

    def step(self, heading: str) -> None:
        """Begin a step of the article."""
        print(f"\n{heading}")

    def say(self, text: str) -> None:
        """Print a paragraph."""
        print("\n".join(wrap(text, WIDTH)))

    def columns(self) -> None:
        """Print the heads of the columns."""
        print(f"{'':<{LABEL}}{'article':<{FIGURE}}ours")

    def compare(
        self, label: str, article: ArrayLike, ours: ArrayLike, decimals: int
    ) -> None:
        """Print figures beside each other, a row of a matrix on every line.

        Parameters
        ----------
        article, ours : float, or array of one or two axes
        decimals : int
            They agree if ours, rounded to so many, are the article's.
        """
        pairs = zip(_rows(article), _rows(ours), strict=True)
        for k, (expected, found) in enumerate(pairs):
            self.check(
                label if k == 0 else "",
                _written(expected, decimals),
                _written(found, decimals),
                bool(np.array_equal(expected, found.round(decimals))),
            )

    def check(self, label: str, article: str, ours: str, agrees: bool) -> None:
        """Print a line of words, and whether ours are what the article says."""
        verdict = "agrees" if agrees else "differs"
        self.compared += 1
        self.differing += not agrees
        print(f"{label:<{LABEL}}{article:<{FIGURE}}{ours:<{FIGURE}}{verdict}")

    def end(self) -> int:
        """Print the outcome; return the program's exit code, 0 if all agree."""
        if self.differing:
            print(f"\n{self.differing} of {self.compared} lines differ.")
            return 1
        print(f"\nAll {self.compared} lines agree.")
        return 0


def run_program(main: Callable[[], int]) -> NoReturn:
    """Run an example as a program; whoever reads its output may leave early."""
    settle()
    try:
        code = main()
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        silence(sys.stdout.buffer)
        code = 0
    except OSError as error:  # examples open no file of their own
        silence(sys.stdout.buffer)
        print(f"cannot write: {error.strerror or error}", file=sys.stderr)
        code = OutputError.exit_code
    except CharRNNError as error:
        print(error, error.hint or "", sep="\n", file=sys.stderr)
        code = error.exit_code
    raise SystemExit(code)


def _rows(figures: ArrayLike) -> Any:
    """Make a matrix of figures; a number or a vector is one row."""
    return np.atleast_2d(np.asarray(figures, float))


def _written(row: Any, decimals: int) -> str:
    """Write a row of numbers, in columns; nothing is written as minus zero."""
    rounded = row.round(decimals) + 0.0
    width = decimals + 2 + bool((rounded < 0).any()) if decimals else 3
    return " ".join(f"{x:{width}.{decimals}f}" for x in rounded)
