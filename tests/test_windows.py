"""Windows of a text: every character once, whatever it is cut into."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.arrays import IGNORED, Ids
from charrnn.vocab import Vocab
from charrnn.windows import STEPS, Documents, Window, regular

NEWLINE = 0
WITH = Vocab("\nab", (1, 5, 9))
WITHOUT = Vocab("abc", (1, 5, 3))

#: How texts and documents may begin: running text, lines, and without a newline.
RUNNING = Documents.of(WITH, lines=False)
LINES = Documents.of(WITH, lines=True)
UNREAD = Documents.of(WITHOUT, lines=False)

rules = pytest.mark.parametrize(
    "documents", [RUNNING, LINES, UNREAD], ids=["running", "lines", "unread"]
)


def text_of(length: int) -> Ids:
    """Random ids; a third of them newlines."""
    return np.random.default_rng(length).integers(0, 3, length).astype(np.int32)


def joined(parts: list[Window]) -> tuple[list[int], list[int], list[int]]:
    """Put windows of one row together: inputs, targets and resets."""
    whole = [np.concatenate(arrays)[:, 0] for arrays in zip(*parts, strict=True)]
    inputs, targets, resets = (array.tolist() for array in whole)
    return inputs, targets, resets


def test_what_stands_before_a_text() -> None:
    """A newline is read; without one nothing is, and the commonest stands in."""
    assert Documents(before=0, stand_in=0, start=None) == RUNNING
    assert Documents(before=0, stand_in=0, start=0) == LINES
    assert Documents(before=None, stand_in=1, start=None) == UNREAD
    assert Documents.of(WITHOUT, lines=True) == UNREAD
    assert (RUNNING.first, LINES.first, UNREAD.first) == (0, 0, 1)


@rules
@pytest.mark.parametrize("length", [1, 2, STEPS - 1, STEPS, STEPS + 1, 3 * STEPS + 7])
def test_a_text_is_read_once_each_character_after_the_one_before(
    documents: Documents, length: int
) -> None:
    """From the newline before it, or from its own first character."""
    ids = text_of(length)
    inputs, targets, resets = joined([*documents.read([ids], ahead=True)])
    before = [] if documents is UNREAD else [NEWLINE]

    assert inputs == [*before, *ids.tolist()]
    assert targets == [*ids[documents.first :].tolist(), IGNORED]
    cleared = documents is LINES
    assert resets == [int(cleared and index == NEWLINE) for index in inputs]


@rules
def test_only_reading_ahead_reads_the_last_character(documents: Documents) -> None:
    """No target follows it."""
    ids = text_of(700)
    found, ahead = (
        joined([*documents.read([ids], ahead=ahead)]) for ahead in (False, True)
    )

    for some, all_ in zip(found, ahead, strict=True):
        assert some == all_[:-1]


@given(cuts=st.lists(st.integers(0, 700)), ahead=st.booleans())
@pytest.mark.parametrize("documents", [RUNNING, UNREAD], ids=["running", "unread"])
def test_windows_do_not_depend_on_slices(
    documents: Documents, cuts: list[int], ahead: bool
) -> None:
    """Of the very same sizes, so that the very same sums are made."""
    ids = text_of(700)
    whole = [*documents.read([ids], ahead=ahead)]
    parts = [*documents.read(np.split(ids, sorted(cuts)), ahead=ahead)]

    assert len(parts) == len(whole)
    for one, other in zip(parts, whole, strict=True):
        for k in range(3):
            np.testing.assert_array_equal(one[k], other[k], strict=True)
    assert max(len(window.inputs) for window in whole) == STEPS


def test_of_an_empty_text_only_what_stands_before_it_is_read() -> None:
    for documents in (RUNNING, LINES, UNREAD):
        assert [*documents.read([])] == []
    (window,) = RUNNING.read([], ahead=True)
    assert window.inputs.tolist() == [[NEWLINE]]
    assert window.targets.tolist() == [[IGNORED]]
    assert [*UNREAD.read([], ahead=True)] == []


@rules
def test_windows_at_places_are_those_of_the_text_read_through(
    documents: Documents,
) -> None:
    """Side by side or one after another; the state is cleared where it begins."""
    ids = text_of(50)
    inputs, targets, resets = joined([*documents.read([ids])])
    places = np.arange(documents.first, 50)
    window = documents.window(ids, places[:, None])

    assert window.inputs[:, 0].tolist() == inputs
    assert window.targets[:, 0].tolist() == targets
    assert window.resets[:, 0].tolist() == [1, *resets[1:]]
    apart = documents.window(ids, np.stack([places, places[::-1]], axis=1))
    for k in range(3):
        both, alone = apart[k], window[k]
        np.testing.assert_array_equal(both[:, 0], alone[:, 0])
        np.testing.assert_array_equal(both[::-1, 1], alone[:, 0])


@rules
def test_outside_of_the_text_nothing_is_scored(documents: Documents) -> None:
    """Nor is what no network predicts; and of a text in bytes ids are made whole."""
    ids = text_of(5).astype(np.uint8)
    places = np.arange(-3, 8)[:, None]
    window = documents.window(ids, places)

    inside = (places >= documents.first) & (places < 5)
    np.testing.assert_array_equal(window.targets != IGNORED, inside)
    np.testing.assert_array_equal(window.targets[inside], ids[documents.first :])
    assert (window.inputs[places <= 0] == documents.stand_in).all()
    assert window.inputs.dtype == window.targets.dtype == np.int32
    begin = int(np.flatnonzero(places[:, 0] == documents.first)[0])
    assert window.resets[begin, 0] == 1


def test_texts_are_cut_anew_in_regular_slices() -> None:
    parts = [np.arange(3), np.arange(0), np.arange(3, 11), np.arange(11, 12)]
    slices = [part.astype(np.int32) for part in parts]

    assert [part.tolist() for part in regular(slices, 5)] == [
        [0, 1, 2, 3, 4],
        [5, 6, 7, 8, 9],
        [10, 11],
    ]


def test_steps_of_a_window_are_cut_out_of_all_its_arrays() -> None:
    window = LINES.window(text_of(20), np.arange(20)[:, None])
    parts = [window.steps(a, b) for a, b in pairwise([0, 3, 4, 20])]

    for k, whole in enumerate(window):
        np.testing.assert_array_equal(np.concatenate([p[k] for p in parts]), whole)
    assert np.shares_memory(parts[1].inputs, window.inputs)


def test_inputs_alone_score_and_clear_nothing() -> None:
    window = Window.of_inputs(text_of(6).reshape(3, 2))

    assert (window.targets == IGNORED).all()
    assert not window.resets.any()
    assert window.targets.shape == window.resets.shape == (3, 2)
    assert window.targets.dtype == np.int32
    assert window.resets.dtype == np.uint8


PAIRED = Vocab("\t\nab", (1, 5, 9, 9))
PAIRS = Documents.of(PAIRED, lines=False, pairs=True)


def scored_by_hand(text: str) -> list[bool]:
    """Tell what is scored of a text of pairs, line by line."""
    found: list[bool] = []
    for line in text.splitlines(keepends=True):
        before = line.find("\t") + 1 or len(line)
        found += [n >= before for n in range(len(line))]
    return found


@given(st.text("\t\nab"), st.integers(0, 9))
def test_outputs_alone_are_scored_of_pairs(text: str, cut: int) -> None:
    """Whatever the text, and wherever it is cut."""
    ids, expected = PAIRED.encode(text), scored_by_hand(text)
    inside = PAIRS.ends_inside(ids[:cut])
    rest = PAIRS.scored(ids[cut:], inside=inside)

    assert PAIRS.scored(ids).tolist() == expected
    assert PAIRS.scored(ids[:cut]).tolist() + rest.tolist() == expected


def test_pieces_of_pairs_have_each_scored_character_once() -> None:
    """Also where a long text is read in many pieces."""
    text = "ab\tba\n" * 1500 + "aab\tb\n" * 500
    ids = PAIRED.encode(text)
    places: list[int] = []
    for window, at in PAIRS.placed_pieces(ids):
        scored = window.targets != IGNORED
        places += at[scored].tolist()
        assert (ids[at[scored]] == window.targets[scored]).all()

    assert sorted(places) == np.flatnonzero(scored_by_hand(text)).tolist()
