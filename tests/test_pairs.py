"""Pairs: one form whatever the file's own, sides by a hash, and what is right."""

import itertools
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.arrays import Ids
from charrnn.config import UnitName
from charrnn.corpus import ReadOptions, read_corpus
from charrnn.errors import CorpusError
from charrnn.pairs import (
    SPARE,
    Accuracy,
    PairFormat,
    PairReader,
    Pairs,
    edit_distance,
    encode_input,
    nearest,
    split_pairs,
)
from charrnn.reading import Text
from charrnn.vocab import Vocab
from charrnn.windows import Documents

VOCAB = Vocab("\t\nabc", (1,) * 5)
DOCUMENTS = Documents.of(VOCAB, lines=False, pairs=True)


def read(*slices: str, separator: str = "\t", allow_empty: bool = False) -> str:
    """Read a text that comes in slices."""
    reader = PairReader("t.tsv", PairFormat(separator, allow_empty))
    parts = [reader.convert(part) for part in slices]
    return "".join([*parts, reader.convert("", final=True)])


def of(text: str) -> Ids:
    """Make ids of a text."""
    return VOCAB.encode(text)


@given(
    st.lists(st.tuples(st.text("abc", min_size=1), st.text("abc", min_size=1))),
    st.data(),
)
def test_the_form_does_not_depend_on_slices_or_separators(
    pairs: list[tuple[str, str]], data: st.DataObject
) -> None:
    separator = data.draw(st.sampled_from(["\t", ";", " => ", "\\"]))
    text = "".join(f"{one}{separator}{other}\n" for one, other in pairs)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=5)))
    ends = [0, *cuts, len(text)]
    slices = [text[a:b] for a, b in itertools.pairwise(ends)]

    assert read(*slices, separator=separator) == text.replace(separator, "\t")


class Counted(str):
    """A slice of a text that counts how often it is put behind another text."""

    copied = 0

    def __radd__(self, other: str) -> str:
        Counted.copied += len(other)
        return str(other) + str(self)


def test_a_line_that_comes_in_many_slices_is_put_together_once() -> None:
    """A file without line ends must not take its square in time."""
    reader = PairReader("t.tsv", PairFormat())
    for _ in range(300):
        assert reader.convert(Counted("a" * 10)) == ""

    assert Counted.copied <= 3000
    assert reader.convert("\tb\nc", final=False) == "a" * 3000 + "\tb\n"
    assert reader.convert("\td", final=True) == "c\td\n"


def test_the_last_line_needs_no_end_and_blank_lines_are_counted() -> None:
    reader = PairReader("t.tsv", PairFormat())

    assert reader.convert("a\tb\n\n  \nb\tc", final=True) == "a\tb\nb\tc\n"
    assert reader.blank == 2


WRONG = {
    "a\tb\nab\n": ("no tab in this line: ab", "an input, a tab and an output", 2),
    "a;b\n": ("no tab in this line: a;b", "meant?", 1),
    "a\tb\tc\n": ("more than one tab in this line", "pair", 1),
    "\n\n\tb\n": ("an empty input", "lets them be empty", 3),
    "a\t": ("an empty output", "lets them be empty", 1),
}


@pytest.mark.parametrize("text", WRONG)
def test_a_line_that_is_no_pair_is_named(text: str) -> None:
    what, hint, line = WRONG[text]
    with pytest.raises(CorpusError) as caught:
        read(text)

    assert caught.value.what == what
    assert hint in (caught.value.hint or "")
    assert caught.value.where == f"t.tsv, line {line}"


def test_other_separators_leave_no_room_for_tabs() -> None:
    with pytest.raises(CorpusError, match="a tab inside an input or an output"):
        read("a\tb;c\n", separator=";")


def test_a_tab_need_not_be_named() -> None:
    with pytest.raises(CorpusError, match="no ';' in this line") as caught:
        read("a\tb", separator=";")

    assert (caught.value.hint or "").startswith("a tab stands there: leave ")


def test_empty_ones_may_be_allowed() -> None:
    assert read("a\t\n\tb\n", allow_empty=True) == "a\t\n\tb\n"


@pytest.mark.parametrize("unit", ["char", "byte"])
def test_a_corpus_of_pairs_has_what_parts_them(unit: UnitName) -> None:
    """However rare it is; a separator beyond ASCII is found among bytes, too."""
    options = ReadOptions(pairs=True, unit=unit, pair_separator="→")
    corpus = read_corpus([Text("a→é\r\nb→a\n\naa→b")], options)
    symbols = "".join(corpus.vocab.symbols[i] for i in corpus.ids)
    if unit == "byte":
        symbols = symbols.encode("latin-1").decode()

    assert symbols == "a\té\nb\ta\naa\tb\n"
    assert "1 empty line left out" in corpus.notes
    rare = ReadOptions(pairs=True, min_count=3)
    assert read_corpus([Text("aaa\tb\n")], rare).vocab.symbols == "\t\na\ufffd"


@pytest.mark.parametrize("unit", ["char", "byte"])
def test_a_mark_of_the_byte_order_begins_no_input(unit: UnitName) -> None:
    options = ReadOptions(pairs=True, unit=unit)
    corpus = read_corpus([Text("\ufeffa\tb\n")], options)

    assert "".join(corpus.vocab.symbols[i] for i in corpus.ids) == "a\tb\n"


@pytest.mark.parametrize("unit", ["char", "byte"])
def test_a_message_shows_text_whatever_it_is_read_as(unit: UnitName) -> None:
    options = ReadOptions(pairs=True, unit=unit, pair_separator="→")
    with pytest.raises(CorpusError) as caught:
        read_corpus([Text("aé\n")], options)

    assert caught.value.what == "no '→' in this line: aé"
    assert "a '→' and an output" in (caught.value.hint or "")


def test_without_a_pair_there_is_nothing() -> None:
    with pytest.raises(CorpusError, match="there is no pair"):
        read_corpus([Text("\n\n")], ReadOptions(pairs=True))


@given(st.lists(st.text("abc", min_size=1, max_size=4), min_size=1), st.floats(0, 1))
def test_an_input_is_on_one_side(inputs: list[str], share: float) -> None:
    """And on the same one whatever stands beside it."""
    text = "".join(f"{one}\t{n % 2 * 'a'}b\n" for n, one in enumerate(inputs))
    parts = split_pairs(of(text).astype(np.uint8), DOCUMENTS, VOCAB, share)
    lines = ["".join(VOCAB.symbols[i] for i in ids).splitlines() for ids in parts]
    train, held_out = ({line.split("\t")[0] for line in some} for some in lines)

    assert not train & held_out
    assert sorted(lines[0] + lines[1]) == sorted(text.splitlines())
    alone = of(f"{inputs[0]}\tc\n").astype(np.uint8)
    assert bool(len(split_pairs(alone, DOCUMENTS, VOCAB, share)[1])) == (
        inputs[0] in held_out
    )


def test_the_share_is_about_what_was_asked_for() -> None:
    text = "".join(
        f"{n:08b}\tc\n".replace("0", "a").replace("1", "b") for n in range(256)
    )
    _, held_out = split_pairs(of(text).astype(np.uint8), DOCUMENTS, VOCAB, 0.25)

    assert 40 < np.count_nonzero(held_out == DOCUMENTS.start) < 90


def test_bytes_and_characters_are_held_out_alike() -> None:
    """The hash is of the input's UTF-8."""
    text = "".join(f"é{n}\tx\n" for n in range(50))
    sides = []
    for unit in get_args(UnitName):
        options = ReadOptions(pairs=True, unit=unit)
        corpus = read_corpus([Text(text)], options)
        documents = Documents.of(corpus.vocab, lines=False, pairs=True)
        _, held_out = split_pairs(corpus.ids, documents, corpus.vocab, 0.4)
        symbols = "".join(corpus.vocab.symbols[i] for i in held_out)
        sides.append(symbols if unit == "char" else symbols.encode("latin-1").decode())

    assert sides[0] == sides[1] != ""


def test_inputs_stand_once_with_all_their_outputs() -> None:
    pairs = Pairs.of(of("a\tb\nab\tc\na\tcc\na\tb\n"), VOCAB)
    found = {
        tuple(one.tolist()): [out.tolist() for out in outs]
        for one, outs in zip(pairs.inputs, pairs.outputs, strict=True)
    }

    assert len(pairs) == 2
    assert found == {(2,): [[3], [4, 4]], (2, 3): [[4]]}
    limits = dict(zip(found, pairs.limits, strict=True))
    assert limits == {(2,): 2 * 2 + SPARE, (2, 3): 2 + SPARE}


def test_long_texts_are_taken_apart_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """And are what they are as a whole, one line being longer than a slice."""
    ids = of("a\tb\nab\tc\nabcabcabc\tcc\nb\tbb\n" * 3)
    whole = Pairs.of(ids, VOCAB), DOCUMENTS.scored(ids).tolist()
    monkeypatch.setattr("charrnn.pairs.SLICE", 5)
    monkeypatch.setattr("charrnn.windows.SLICE", 5)
    parts = Pairs.of(ids, VOCAB), DOCUMENTS.scored(ids).tolist()

    assert parts[1] == whole[1]
    assert [[*map(bytes, one)] for one in (whole[0].inputs, *whole[0].outputs)] == [
        [*map(bytes, one)] for one in (parts[0].inputs, *parts[0].outputs)
    ]


def test_any_wanted_output_is_right_and_errors_count_to_the_nearest() -> None:
    pairs = Pairs(
        (of("a"), of("b"), of("c")),
        ((of("b"), of("cc")), (of("abc"), of("c")), (of("bb"),)),
    )
    given_ = [of("cc"), of("abb"), of("")]

    assert pairs.accuracy(given_) == Accuracy(1 / 3, 3 / 7)
    assert nearest(of("abb"), [of("c"), of("abc")]) == (1, 3)
    assert pairs.first(0).accuracy([]) is None


def by_table(one: list[int], other: list[int]) -> int:
    """Compute a distance by the textbook's table."""
    row = list(range(len(other) + 1))
    for i, x in enumerate(one, 1):
        above, row[0] = list(row), i
        for j, y in enumerate(other, 1):
            row[j] = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (x != y))
    return row[-1]


@given(
    st.lists(st.integers(0, 3), max_size=80), st.lists(st.integers(0, 3), max_size=9)
)
def test_edit_distance_is_that_of_the_table(one: list[int], other: list[int]) -> None:
    assert edit_distance(one, other) == by_table(one, other)
    assert edit_distance(other, one) == by_table(one, other)


@pytest.mark.parametrize("text", ["a\tb", "a\nb", "a\r"])
def test_an_input_has_no_separator_and_no_end(text: str) -> None:
    with pytest.raises(CorpusError, match="in an input"):
        encode_input(text, VOCAB)
