"""Completion: what is offered is what the model expects, however it was typed."""

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.checkpoint import Remembered
from charrnn.config import SampleConfig, settle_completion
from charrnn.errors import OptionError, VocabError
from charrnn.generation import Generation, Stopped
from charrnn.generation.completion import (
    END_OF_LINE,
    STEPS,
    Completer,
    Offers,
    Place,
    first_word,
)
from charrnn.inspection.predictions import predict
from charrnn.textmodel import TextModel
from charrnn.vocab import Vocab
from tests.factories import PAIRS_TEXT, TEXT, make_checkpoint, model_of

CHECKPOINT = make_checkpoint(TEXT * 2)
VOCAB = CHECKPOINT.vocab
NO_NEWLINE = Vocab(VOCAB.symbols.replace("\n", "\v"), VOCAB.counts)

GREEDY = SampleConfig(temperature=0.0)


def remembering(model: TextModel) -> TextModel:
    """Give a model the memory of its text."""
    ids = model.vocab.encode(TEXT * 2).astype(np.uint8)
    return model.remembering(Remembered(ids=ids, order=4, share=0.25))


def make(kind: str) -> TextModel:
    """Make a model of one of `KINDS`."""
    if kind == "no newline":
        return model_of(CHECKPOINT, NO_NEWLINE)
    model = model_of(make_checkpoint(TEXT * 2, lines=kind == "lines"))
    return remembering(model) if kind == "counts" else model


KINDS = ("network", "lines", "no newline", "counts")


@pytest.fixture(scope="module", params=KINDS)
def model(request: pytest.FixtureRequest) -> TextModel:
    return make(request.param)


@pytest.fixture(scope="module")
def blended() -> TextModel:
    """Make a model that writes words, by counting."""
    return make("counts").blended(0.05)


def likeliest(model: TextModel, text: str, count: int) -> list[str]:
    """Ask a view for the likeliest characters after a text."""
    return [
        each.char for each in predict(model, model.vocab.encode(text), top=count).after
    ]


def greedy(model: TextModel, text: str, length: int) -> str:
    """Ask sampling for the likeliest text behind another, up to a line's end."""
    config = SampleConfig(temperature=0.0, length=length)
    pieces = Generation(model, [model.vocab.encode(text)], config).pieces()
    return "".join(piece.text for piece in pieces).partition("\n")[0]


def whole_words(text: str, length: int) -> str:
    """Cut off the last word of a text that was cut."""
    if len(text) < length:
        return text
    return re.sub(r"\s+\S*\Z", "", text) or text


@pytest.mark.parametrize("before", ["", "old", "the sea, the sea!\n", TEXT + "t\n"])
@pytest.mark.parametrize("line", ["", "t", "the sea, the h"])
def test_texts_are_what_sampling_writes(
    model: TextModel, before: str, line: str
) -> None:
    """The likeliest beginnings, each with what the likeliest characters make of it."""
    if "\n" not in model.vocab.symbols:
        before = ""
    completer = Completer(model, GREEDY)
    for each in before.split("\n")[:-1]:
        completer.finish(each)
    text = before[: before.rfind("\n") + 1] + line
    wanted = []
    for first in likeliest(model, text, 4):
        if first == "\n":
            wanted += [END_OF_LINE] if line else []
        else:
            found = first + greedy(model, text + first, 11)
            wanted.append(whole_words(found, 12))

    assert completer.complete(line, 3, 12) == wanted[:3]


@settings(max_examples=25)
@given(
    kind=st.sampled_from(KINDS),
    lines=st.lists(st.text("the sa,\x00", max_size=20), max_size=6),
    finished=st.booleans(),
)
def test_typing_makes_no_difference(
    kind: str, lines: list[str], finished: bool
) -> None:
    """Characters one by one, taken back, or pasted: the same as written at once."""
    model = make(kind)
    typed, fresh = Completer(model, GREEDY), Completer(model, GREEDY)
    if finished:
        typed.finish("old houses")
        fresh.finish("old houses")
    for line in lines:
        fresh._places.clear()
        assert typed.complete(line, 2, 6) == fresh.complete(line, 2, 6)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Tell how many characters were read at a time."""
    found: list[int] = []
    behind = Completer._behind

    def counted(self: Completer, place: Place, ids: Any) -> Place:
        found.append(len(ids))
        return behind(self, place, ids)

    monkeypatch.setattr(Completer, "_behind", counted)
    return found


def test_a_character_is_read_once(read: list[int]) -> None:
    completer = Completer(make("network"), GREEDY)
    del read[:]
    for size in range(8):
        completer.complete("the sea"[:size])
    assert read == [1] * 7

    del read[:]
    for size in range(7, -1, -1):
        completer.complete("the sea"[:size])
    assert read == []

    completer.finish("the sea")
    completer.complete("")
    assert read == [1]


def test_what_is_pasted_is_read_bit_by_bit(read: list[int]) -> None:
    """So that somebody who goes on writing is not waited for, or for long."""
    completer = Completer(make("network"), GREEDY)
    del read[:]
    completer.complete("the sea" * 5)
    assert read == [STEPS] * 4 + [3]

    asked = iter([False, False, True])
    with pytest.raises(Stopped):
        completer.complete("old" * 20, stopped=lambda: next(asked))
    with pytest.raises(Stopped):
        completer.complete("the sea" * 5, stopped=lambda: True)


def test_what_is_kept_is_bounded() -> None:
    completer = Completer(make("network"), GREEDY)
    completer._most = 5
    for line in ("the sea, the sea!", "old houses by the sea"):
        for size in range(len(line)):
            completer.complete(line[:size], 1, 2)
            assert len(completer._places) <= 5


def test_control_characters_are_not_offered() -> None:
    """Where one is likely, the text ends before it; none begins with one."""
    symbols = "\t\x1b\u202eab\r"
    text = "".join(sorted(symbols)) * 3
    completer = Completer(model_of(make_checkpoint(text, hidden=7)), GREEDY)
    found = [
        text
        for line in ("", "a", "ab", "ba\t", "bb", "aab")
        for text in completer.complete(line, 6)
    ]

    assert len(found) > 12
    assert all(text == END_OF_LINE or set(text) <= set("\tab") for text in found)


def test_bytes_make_whole_characters() -> None:
    """What is no UTF-8 is not offered."""
    checkpoint = make_checkpoint("é☃aé☃bé\n" * 9, unit="byte")
    model = model_of(checkpoint)
    ids = model.vocab.encode("é☃aé☃bé\n" * 9).astype(np.uint8)
    model = model.remembering(Remembered(ids=ids, order=9, share=0.0))
    completer = Completer(model, GREEDY)

    assert completer.complete("é☃a", 1) == ["é☃bé"]
    assert completer.complete("é☃a", 1, 4) == ["é"]
    assert completer.complete("é☃a", 1, 1) == []


def test_lines_that_are_finished_are_counted(blended: TextModel) -> None:
    """As far as the model adapts."""
    adapting = blended.blended(0.0, adapt=True)
    lines = ["a sea, a sea", "a sea, a sea, a sea"]
    found = []
    for model in (blended.blended(0.0), adapting):
        completer = Completer(model, GREEDY)
        before = completer.complete("a s", 1)
        for line in lines:
            completer.finish(line)
        found.append((before, completer.complete("a sea, a", 1)))

    assert found[0][0] == found[1][0]
    assert found[1][1][0].startswith(" sea")
    assert not found[0][1][0].startswith(" sea")


def test_drawn_texts_depend_on_the_seed_and_the_line(model: TextModel) -> None:
    def drawn(seed: int, *lines: str, **options: Any) -> list[str]:
        config = settle_completion({"temperature": 2.0, "seed": seed, **options})
        completer = Completer(model, config)
        return [completer.complete(line, 3, 30) for line in lines][-1]

    first = drawn(1, "the")
    assert first == drawn(1, "t", "th", "the")
    assert first != drawn(2, "the")
    assert [text[0] for text in first] == [text[0] for text in drawn(2, "the")]
    assert set("".join(drawn(1, "the", allow="aeo"))) <= set("aeo")
    assert len(drawn(1, "the", top_k=2)) <= 2


def test_filters_are_those_of_sampling(model: TextModel) -> None:
    config = settle_completion({"ban": " ", "no_repeat": 1})
    found = Completer(model, config).complete("sea", 9, 6)

    assert config.temperature == 0
    assert found
    assert not set("".join(found)) & set("sea ")
    assert all(len(set(text)) == len(text) for text in found)


@pytest.mark.parametrize("given", [{"top_k": 3}, {"min_p": 0.1}, {"temperature": 1.0}])
def test_what_draws_makes_texts_that_are_drawn(given: dict[str, Any]) -> None:
    assert settle_completion(given).temperature == 1
    assert settle_completion({"ban": "a", "seed": 3}).temperature == 0


def test_unknown_characters(model: TextModel) -> None:
    """They are left out, replaced, or refused."""
    skipped = Completer(model, GREEDY).complete("the ☃s")

    assert skipped == Completer(model, GREEDY).complete("the s")
    with pytest.raises(VocabError, match="☃"):
        Completer(model, GREEDY, unknown="error").complete("the ☃s")
    replaced = Completer(model, GREEDY, unknown="replace")
    assert replaced.complete("the☃s") == Completer(model, GREEDY).complete("the s")


def test_pairs_are_refused() -> None:
    with pytest.raises(OptionError, match="model of pairs"):
        Completer(model_of(make_checkpoint(PAIRS_TEXT, pairs=True)), GREEDY)


def test_texts_as_python_asks_for_them(blended: TextModel) -> None:
    found = blended.complete("the sea, the sea!\nold h", 2)
    completer = Completer(blended, GREEDY)
    completer.finish("the sea, the sea!")

    assert found == completer.complete("old h", 2)
    assert found[0] == "ouses by the sea."
    assert blended.complete("old houses by the sea.", 1) == [END_OF_LINE]
    assert blended.complete("old h", 1, length=8) == ["ouses"]
    assert blended.complete("old h", 0) == []
    assert blended.complete("old h", 3, blend=1) != found
    with pytest.raises(VocabError, match="☃"):
        blended.complete("☃")
    with pytest.raises(OptionError, match="length must be at least 1"):
        blended.complete("old", length=0)


WORDS = {
    "ouses by": "ouses",
    " by the": " by",
    "  the sea": "  the",
    ", the": ",",
    "!” he": "!”",
    "'s house": "'",
    "don't go": "don't",
    "so-called": "so-called",
    "   ": "   ",
    "\tx": "\tx",
    "": "",
}


@pytest.mark.parametrize(("text", "word"), WORDS.items())
def test_words(text: str, word: str) -> None:
    assert first_word(text) == word


def test_offers_are_turned_around() -> None:
    offers = Offers()
    offers.add("", ["one", "two", "three"])
    shown = []
    for by in (0, 1, 1, 1, -1, -1):
        offers.turn(by)
        shown.append(offers.shown)

    assert shown == ["one", "two", "three", "one", "three", "two"]
    assert (offers.word(), offers.rest()) == ("two", "two")


def test_what_is_typed_off_a_text_leaves_the_rest() -> None:
    """Until there is more, which keeps what is shown in its place."""
    offers = Offers()
    offers.follow("the ")
    offers.add("the ", ["sea", "old house"])
    offers.turn(1)
    offers.follow("the old")
    assert offers.shown == " house"

    offers.add("the o", ["ther"])  # too late
    assert offers.shown == " house"
    offers.add("the old", ["er", " house by the sea"])
    assert offers.texts == [" house by the sea", "er"]
    offers.follow("the old house")
    offers.add("the old house", ["s", "!"])
    assert offers.texts == [" by the sea", "s"]
    offers.follow("the old houses")
    assert offers.shown == ""


def test_nothing_is_taken_where_the_line_ends() -> None:
    offers = Offers()
    offers.turn(1)
    assert (offers.shown, offers.word(), offers.rest()) == ("", "", "")

    offers.add("", [END_OF_LINE, "x"])
    assert (offers.shown, offers.word(), offers.rest()) == (END_OF_LINE, "", "")
    offers.follow("\n")
    assert offers.shown == ""
