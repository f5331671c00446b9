"""Sets of pairs: every output is right, nothing comes twice, a seed says it all."""

import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from charrnn.examples import pairs
from charrnn.examples.pairs import SETS, in_words, ordinal

CORPORA = Path(__file__).parents[2] / "corpora"

#: What each word of a number adds; "hundred" and "thousand" multiply.
VALUES = {
    **{word: value for value, word in enumerate(pairs.ONES)},
    **{word: 10 * tens for tens, word in enumerate(pairs.TENS)},
    "a": 1,
    "and": 0,
}

#: The ways to write a date, as `strptime` reads them; ordinals lose their endings.
FORMS = ("%B %d, %Y", "%d %B %Y", "the %d of %B %Y", "%d.%m.%Y", "%a, %d %b %Y")


def value_of(words: str) -> int:
    """Read a number in words, another way than it was written."""
    total = part = 0
    for word in re.split("[ -]", words):
        if word == "thousand":
            total, part = 1000 * part, 0
        elif word == "hundred":
            part *= 100
        else:
            part += VALUES[word]
    return total + part


def form_of(text: str) -> tuple[str, str]:
    """Read a date: which way it was written, and the day."""
    plain = re.sub(r"(?<=\d)(st|nd|rd|th) ", " ", text)
    for form in FORMS:
        try:
            read = datetime.strptime(plain, form).replace(tzinfo=UTC)
        except ValueError:
            continue
        # A weekday that is not the day's own is read, too.
        assert "%a" not in form or read.strftime("%a") == plain[:3]
        return form, read.date().isoformat()
    raise AssertionError(text)


def test_reversals_are_said_backwards() -> None:
    found = pairs.pairs("reversals", 2000)

    assert all(wanted == given[::-1] for given, wanted in found)
    assert {len(given) for given, _ in found} == set(range(3, 11))


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (7, "seven"),
        (20, "twenty"),
        (100, "one hundred"),
        (342, "three hundred and forty-two"),
        (1006, "one thousand and six"),
        (1106, "one thousand one hundred and six"),
        (412006, "four hundred and twelve thousand and six"),
        (999999, "nine hundred and ninety-nine thousand nine hundred and ninety-nine"),
    ],
)
def test_numbers_are_in_english(number: int, words: str) -> None:
    assert in_words(number) == words
    assert in_words(number, " ") == words.replace(" and", "")


def test_numbers_in_words_are_what_they_stand_for() -> None:
    """Of every length, with "and" and without, with "a" and with "one"."""
    found = pairs.pairs("numbers", 5000)

    assert all(value_of(words) == int(digits) for words, digits in found)
    assert {len(digits) for _, digits in found} == set(range(1, 7))
    for begin in ("a hundred ", "one hundred ", "a thousand ", "one thousand "):
        rests = [w.removeprefix(begin) for w, _ in found if w.startswith(begin)]
        assert {rest.startswith("and ") for rest in rests} == {True, False}


def test_dates_are_the_days_that_they_name() -> None:
    """In all five ways, about as often."""
    found = pairs.pairs("dates", 2000)
    forms = []
    for text, iso in found:
        form, day = form_of(text)
        assert day == iso
        forms.append(form)

    assert all(forms.count(form) > 300 for form in FORMS)


def test_ordinals() -> None:
    """11, 12 and 13 end as no other 1, 2 and 3 do."""
    days = [1, 2, 3, 4, 11, 12, 13, 20, 21, 22, 23, 31]
    ordinals = "1st 2nd 3rd 4th 11th 12th 13th 20th 21st 22nd 23rd 31st"

    assert " ".join(map(ordinal, days)) == ordinals


def test_sets_of_the_tutorials() -> None:
    """As `test_worked_examples` states their figures."""
    assert pairs.lines(pairs.pairs("colors")) == (
        "The Forest\t0 128 0\nThe Sea\t0 0 255\nThe Fire\t255 165 0\n"
    )
    reviews = dict(pairs.pairs("reviews"))
    assert len(reviews) == 12
    assert reviews["not great really"] == "-"
    assert reviews["not bad really"] == "+"


@pytest.mark.parametrize("name", SETS)
def test_no_input_comes_twice_and_a_tab_parts(name: str) -> None:
    found = pairs.pairs(name, 3000)
    inputs, outputs = zip(*found, strict=True)

    assert len(set(inputs)) == len(found)
    assert len(found) == (3000 if name not in ("colors", "reviews") else len(found))
    if name in ("numbers", "dates", "written"):
        assert len(set(outputs)) == len(found)
    for text in inputs + outputs:
        assert text
        assert text.isprintable()


@pytest.mark.parametrize("name", ["reversals", "numbers", "dates", "written"])
def test_a_seed_says_it_all(name: str) -> None:
    """More pairs begin as fewer do; another seed gives others."""
    few = pairs.pairs(name, 50, seed=4)

    assert few == pairs.pairs(name, 500, seed=4)[:50]
    assert few != pairs.pairs(name, 50, seed=5)


def test_the_pairs_are_the_same_ones_everywhere() -> None:
    """Wherever this runs: only what Python promises to keep is drawn from."""
    assert pairs.lines(pairs.pairs("written", 4)) == (
        "19.3.2122\t2122-03-19\n"
        "two hundred fifty-nine\t259\n"
        "21.6.1902\t1902-06-21\n"
        "forty-eight\t48\n"
    )


def test_as_many_as_the_program_allows() -> None:
    """No set that goes on is exhausted before the most that may be asked for."""
    for name in ("numbers", "dates"):
        assert len(pairs.pairs(name, pairs.MOST)) == pairs.MOST


def test_the_program_prints_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert pairs.main(["dates", "-n", "7", "--seed", "2"]) == 0

    assert capsys.readouterr().out == pairs.lines(pairs.pairs("dates", 7, seed=2))


@pytest.mark.parametrize(
    "wrong", [[], ["tides"], ["dates", "-n", "0"], ["dates", "-n", "100001"]]
)
def test_what_cannot_be_made_is_a_usage_error(
    wrong: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as raised:
        pairs.main(wrong)

    assert raised.value.code == 2
    assert capsys.readouterr().out == ""


def test_it_runs_as_a_module_without_kernels() -> None:
    """Numbers and dates need no network to be written."""
    code = (
        "import sys; from charrnn.examples.pairs import main; "
        "main(['written', '-n', '2']); print('numba' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert done.stdout == pairs.lines(pairs.pairs("written", 2)) + "False\n"


def test_the_bundled_pairs_are_what_the_program_makes() -> None:
    """`python -m charrnn.examples.pairs written -n 4000` wrote the file."""
    bundled = (CORPORA / "written.tsv").read_bytes()

    assert bundled == pairs.lines(pairs.pairs("written", 4000)).encode()
