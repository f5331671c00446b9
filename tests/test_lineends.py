"""Line ends are converted the same however a text is cut, and counted at its end."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.lineends import LINE_END, LineEnds, final_line_end

PIECES = st.lists(st.sampled_from(["a", "\n", "\r", "\r\n"]))


@given(PIECES, st.integers(1, 3), st.sampled_from(["\n", "\r"]))
def test_every_line_end_becomes_one(pieces: list[str], step: int, end: str) -> None:
    text = "".join(pieces)
    ends = LineEnds(end)

    slices = [text[a : a + step] for a in range(0, len(text), step)]
    converted = "".join(map(ends.convert, slices)) + ends.convert("", final=True)

    assert converted == re.sub("\r\n|\r|\n", end, text)
    assert converted.count(end) == len(LINE_END.findall(text))


@given(PIECES)
def test_without_one_a_text_stays_as_it_is(pieces: list[str]) -> None:
    ends = LineEnds(None)

    assert "".join(map(ends.convert, pieces)) == "".join(pieces)
    assert ends.convert("", final=True) == ""


@pytest.mark.parametrize(
    ("end", "count"),
    [(b"a\n", 1), (b"\r\n", 2), (b"\r", 1), (b"\n\r", 1), (b"ab", 0), (b"", 0)],
)
def test_one_line_end_is_counted_at_the_end(end: bytes, count: int) -> None:
    assert final_line_end(end) == count
