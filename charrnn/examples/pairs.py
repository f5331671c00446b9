"""Sets of pairs to train on: a line is an input, a tab and the output wanted for it.

    python -m charrnn.examples.pairs dates -n 20000 > dates.tsv
    charrnn train dates.tsv --pairs

A set has no input twice, and of numbers and dates no output either: a pair that is
held out is news to the network, not another way to write what it has seen. The same
count and seed give the same lines everywhere.
"""

import argparse
import random
from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from itertools import islice
from string import ascii_lowercase
from typing import TypeAlias, TypeVar

from charrnn.examples.figures import run_program

#: An input, and the output wanted for it.
Pair: TypeAlias = tuple[str, str]

Thing = TypeVar("Thing")

ONES = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
    "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen",
    "seventeen", "eighteen", "nineteen",
]  # fmt: skip
TENS = [
    "", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty",
    "ninety",
]  # fmt: skip

#: Names of months and days, which `strftime` would write in the language of the user.
MONTHS = [
    "January", "February", "March", "April", "May", "June", "July", "August",
    "September", "October", "November", "December",
]  # fmt: skip
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]

#: Dates are from the first of these days on, and before the second.
FIRST_DAY, LAST_DAY = date(1700, 1, 1), date(2200, 1, 1)


class Chance:
    """Choices made by a seed, the same ones in every version of Python.

    Parameters
    ----------
    seed : int
    """

    def __init__(self, seed: int) -> None:
        # Of all that the module draws only `random` is promised to stay as it is.
        self._draw = random.Random(seed).random  # noqa: S311  # no secrets

    def below(self, limit: int) -> int:
        """Choose an integer from 0 on, below a limit."""
        return int(self._draw() * limit)

    def between(self, low: int, high: int) -> int:
        """Choose an integer, both ends included."""
        return low + self.below(high - low + 1)

    def among(self, things: Sequence[Thing]) -> Thing:
        """Choose one of some things."""
        return things[self.below(len(things))]


def reversals(chance: Chance) -> Iterator[Pair]:
    """Reverse random strings of 3 to 10 letters: "tide" gives "edit"."""
    while True:
        letters = [chance.among(ascii_lowercase) for _ in range(chance.between(3, 10))]
        text = "".join(letters)
        yield text, text[::-1]


def numbers(chance: Chance) -> Iterator[Pair]:
    """Write numbers from 1 to 999,999 in words, small ones as often as large ones.

    "four hundred and twelve thousand and six" gives "412006". Some are written with
    "and" and some without it, some with "a hundred" and some with "one hundred".
    """
    while True:
        number = chance.between(1, 10 ** chance.between(1, 6) - 1)
        words = in_words(number, joint=chance.among([" and ", " "]))
        if words.startswith(("one hundred", "one thousand")):
            words = chance.among(["a", "one"]) + words.removeprefix("one")
        yield words, str(number)


def in_words(number: int, joint: str = " and ") -> str:
    """Write a number from 0 to 999,999 in English.

    Parameters
    ----------
    number : int
    joint : str
        What stands before the tens and ones: " and ", or a blank.
    """
    if number < 20:
        return ONES[number]
    if number < 100:
        tens, ones = divmod(number, 10)
        return TENS[tens] + (f"-{ONES[ones]}" if ones else "")
    size, name = (1000, "thousand") if number >= 1000 else (100, "hundred")
    many, rest = divmod(number, size)
    words = f"{in_words(many, joint)} {name}"
    if not rest:
        return words
    return words + (joint if rest < 100 else " ") + in_words(rest, joint)


def dates(chance: Chance) -> Iterator[Pair]:
    """Write dates of five centuries in five ways; all give "1987-03-03".

    "March 3, 1987", "3 March 1987", "the 3rd of March 1987", "3.3.1987" and
    "Tue, 3 Mar 1987".
    """
    while True:
        day = FIRST_DAY + timedelta(chance.below((LAST_DAY - FIRST_DAY).days))
        yield chance.among(ways_to_write(day)), day.isoformat()


def ways_to_write(day: date) -> list[str]:
    """Write a date in each of the five ways."""
    d, month, year = day.day, MONTHS[day.month - 1], day.year
    return [
        f"{month} {d}, {year}",
        f"{d} {month} {year}",
        f"the {ordinal(d)} of {month} {year}",
        f"{d}.{day.month}.{year}",
        f"{DAYS[day.weekday()][:3]}, {d} {month[:3]} {year}",
    ]


def ordinal(number: int) -> str:
    """Write the ordinal of a number below 100: "3rd" for 3, but "13th" for 13."""
    endings = {1: "st", 2: "nd", 3: "rd"}
    teen = number // 10 == 1
    return f"{number}{'th' if teen else endings.get(number % 10, 'th')}"


def written(chance: Chance) -> Iterator[Pair]:
    """Take turns with a date and a number: what a text spells out, in figures."""
    for pairs in zip(dates(chance), numbers(chance), strict=True):
        yield from pairs


def colors(_: Chance) -> Iterator[Pair]:
    """Give each phrase of the example `colors` its color: "The Sea" gives "0 0 255"."""
    from charrnn.examples.colors import COLORS, NAMES  # imports the kernels

    for name, color in zip(NAMES, COLORS, strict=True):
        yield name, " ".join(f"{part:.0f}" for part in color)


def reviews(_: Chance) -> Iterator[Pair]:
    """Judge the reviews of the example `sentiment`: + was liked, - was not."""
    from charrnn.examples.sentiment import REVIEWS  # imports the kernels

    for review, liked in REVIEWS.items():
        yield review, "+" if liked else "-"


#: How pairs of every set are made. The last two have a few pairs; the others go on.
SETS: dict[str, Callable[[Chance], Iterator[Pair]]] = {
    "reversals": reversals,
    "numbers": numbers,
    "dates": dates,
    "written": written,
    "colors": colors,
    "reviews": reviews,
}

#: Sets that have no output twice.
ONE_TO_ONE = ("numbers", "dates", "written")

#: Pairs of a set of which there are more than anybody asks for, unless told.
USUAL = 20_000

#: Pairs that may be asked for: no set comes to an end before.
MOST = 100_000


def pairs(name: str, count: int = USUAL, seed: int = 0) -> list[Pair]:
    """Make the first pairs of a set.

    Parameters
    ----------
    name : str
        One of `SETS`.
    count : int
        How many, at most `MOST`; there are fewer of the sets of the tutorials.
    seed : int
        Chooses other pairs.

    Returns
    -------
    list of (str, str)
        Inputs and outputs. No two pairs have the same input, and no two numbers or
        dates the same output.
    """
    found = SETS[name](Chance(seed))
    return list(islice(_without_repeats(found, by_output=name in ONE_TO_ONE), count))


def _without_repeats(found: Iterator[Pair], *, by_output: bool) -> Iterator[Pair]:
    """Pass on the pairs whose input, or whose output, has not come before."""
    known = set()
    for pair in found:
        if pair[by_output] not in known:
            known.add(pair[by_output])
            yield pair


def lines(found: Sequence[Pair]) -> str:
    """Write pairs as a file has them: an input, a tab, its output; a pair a line."""
    return "".join(f"{given}\t{wanted}\n" for given, wanted in found)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the pairs of a set."""
    parser = argparse.ArgumentParser(
        prog="python -m charrnn.examples.pairs",
        description="Print pairs to train on: input, tab, output; a pair a line.",
    )
    parser.add_argument("set", choices=SETS, help=", ".join(SETS), metavar="SET")
    parser.add_argument("-n", type=int, default=USUAL, help="pairs", metavar="N")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    asked = parser.parse_args(arguments)
    if not 1 <= asked.n <= MOST:
        parser.error(f"-n is from 1 to {MOST}")
    print(lines(pairs(asked.set, asked.n, asked.seed)), end="")
    return 0


if __name__ == "__main__":
    run_program(main)
