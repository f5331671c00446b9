"""Stop texts: the same output however the text was cut."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.stopping import StopScanner

# Two letters and a newline: stop texts overlap one another and themselves.
texts = st.text("ab\n", max_size=30)
stop_texts = st.lists(st.text("ab\n", min_size=1, max_size=5), max_size=4).map(tuple)
line_limits = st.none() | st.integers(1, 3)


def cut_by_hand(
    text: str, stops: tuple[str, ...], include: bool, lines: int | None
) -> tuple[str, str | None]:
    """Output and reason, from the whole text, by trying every end in turn."""
    for end in range(1, len(text) + 1):
        head = text[:end]
        complete = [stop for stop in stops if head.endswith(stop)]
        if complete:
            return head if include else head[: -max(map(len, complete))], "stop"
        if head.endswith("\n") and head.count("\n") == lines:
            return head, "lines"
    return text, None


def pieces(text: str, cuts: list[int]) -> list[str]:
    """Cut a text at some places; some of the pieces may be empty."""
    edges = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    return [text[a:b] for a, b in pairwise(edges)]


@given(texts, stop_texts, st.booleans(), line_limits, st.lists(st.integers(0, 99)))
def test_output_does_not_depend_on_the_pieces(
    text: str, stops: tuple[str, ...], include: bool, lines: int | None, cuts: list[int]
) -> None:
    scanner = StopScanner(stops, include, lines)

    output = "".join(map(scanner.feed, pieces(text, cuts))) + scanner.finish()

    assert (output, scanner.reason) == cut_by_hand(text, stops, include, lines)
    assert scanner.stopped == (scanner.reason is not None)


@given(texts, stop_texts, line_limits)
def test_no_more_is_held_back_than_could_begin_a_stop_text(
    text: str, stops: tuple[str, ...], lines: int | None
) -> None:
    scanner = StopScanner(stops, lines=lines)
    printed = ""

    for end, character in enumerate(text, start=1):
        printed += scanner.feed(character)
        if scanner.stopped:
            break
        held = text[len(printed) : end]
        assert held == "" or any(stop.startswith(held) for stop in stops)


@given(texts, stop_texts, line_limits)
def test_nothing_is_held_back_when_stop_texts_are_included(
    text: str, stops: tuple[str, ...], lines: int | None
) -> None:
    scanner = StopScanner(stops, include=True, lines=lines)

    for character in text:
        expected = "" if scanner.stopped else character
        assert scanner.feed(character) == expected
    assert scanner.finish() == ""


def test_earliest_completion_wins_over_earliest_beginning() -> None:
    scanner = StopScanner(("abcd", "c"))

    assert scanner.feed("xabcd") == "xab"
    assert scanner.stopped


def test_longest_wins_at_the_same_character() -> None:
    scanner = StopScanner(("c", "abc", "bc"))

    assert scanner.feed("xabc") == "x"


def test_held_back_text_is_released_when_it_turns_out_otherwise() -> None:
    scanner = StopScanner(("END",))

    assert scanner.feed("the EN") == "the "
    assert scanner.feed("CORE") == "ENCOR"
    assert scanner.finish() == "E"


def test_a_stop_text_that_overlaps_itself_is_found() -> None:
    scanner = StopScanner(("aab",))

    assert [scanner.feed(c) for c in "aaab"] == ["", "", "a", ""]
    assert scanner.reason == "stop"


def test_after_the_end_everything_is_dropped() -> None:
    scanner = StopScanner(("x",))

    assert scanner.feed("abxcd") == "ab"
    assert scanner.feed("more") == ""
    assert scanner.finish() == ""


def test_last_line_keeps_its_newline() -> None:
    scanner = StopScanner((), lines=2)

    assert scanner.feed("one\ntwo\nthree\n") == "one\ntwo\n"
    assert scanner.reason == "lines"


def test_stop_text_that_ends_in_the_last_newline_counts_as_a_stop() -> None:
    scanner = StopScanner(("END\n",), lines=1)

    assert scanner.feed("fin END\n") == "fin "
    assert scanner.reason == "stop"


def test_without_limits_text_passes_untouched() -> None:
    scanner = StopScanner(())

    assert scanner.feed("a\nb") == "a\nb"
    assert not scanner.stopped


def test_finish_gives_what_was_held_only_once() -> None:
    scanner = StopScanner(("ab",))
    scanner.feed("a")

    assert [scanner.finish(), scanner.finish()] == ["a", ""]


@pytest.mark.parametrize(("stops", "lines"), [(("a", ""), None), ((), 0)])
def test_meaningless_limits_are_refused(
    stops: tuple[str, ...], lines: int | None
) -> None:
    with pytest.raises(ValueError, match="must"):
        StopScanner(stops, lines=lines)
