"""Windows: every character is learned once, in order, from the one before it."""

import time
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from charrnn.arrays import IGNORED, PackedIds
from charrnn.errors import CorpusError
from charrnn.streams import (
    AnyStreams,
    LineStreams,
    PairStreams,
    Streams,
    fit,
    whole_window,
)
from charrnn.windows import Documents, Window

NEWLINE = 0
BEFORE = 77


def marked(characters: int) -> PackedIds:
    """Make a text of numbered characters, so that a target tells where it came from."""
    return np.arange(100, 100 + characters, dtype=np.uint32)


def joined(windows: Iterable[Window]) -> Window:
    """Put windows one after another into a single long one."""
    inputs, targets, resets = zip(*windows, strict=True)
    return Window(
        np.concatenate(inputs), np.concatenate(targets), np.concatenate(resets)
    )


def same(one: Window, other: Window) -> bool:
    """Compare all three arrays of two windows."""
    return (
        np.array_equal(one.inputs, other.inputs)
        and np.array_equal(one.targets, other.targets)
        and np.array_equal(one.resets, other.resets)
    )


def epoch_of(streams: AnyStreams, epoch: int = 0) -> Window:
    """Read a whole epoch, checking the windows' shapes on the way."""
    windows = [streams.window(epoch, k) for k in range(streams.windows)]
    lengths = [len(window.inputs) for window in windows]
    assert all(length == streams.seq_length for length in lengths[:-1])
    assert 1 <= lengths[-1] <= streams.seq_length
    for inputs, targets, resets in windows:
        assert inputs.shape == targets.shape == resets.shape
        assert inputs.shape[1] == streams.batch_size
        assert inputs.dtype == targets.dtype == np.int32
        assert resets.dtype == np.uint8
        assert inputs.flags.c_contiguous
        assert targets.flags.c_contiguous
        assert resets.flags.c_contiguous
    return joined(windows)


@st.composite
def running(draw: st.DrawFn) -> Streams:
    """Streams over a numbered text, from one character a stream upwards."""
    characters = draw(st.integers(1, 60))
    batch_size = draw(st.integers(1, characters))
    return Streams(marked(characters), batch_size, draw(st.integers(1, 20)), BEFORE)


@st.composite
def documents(draw: st.DrawFn) -> LineStreams:
    """Streams of lines, some empty, whose other characters are all different."""
    lengths = draw(st.lists(st.integers(0, 12), min_size=1, max_size=30))
    ids = marked(sum(lengths) + len(lengths))
    ids[np.cumsum(np.array(lengths) + 1) - 1] = NEWLINE
    batch_size = draw(st.integers(1, len(lengths)))
    seed = draw(st.integers(0, 2**63 - 1))
    return LineStreams(ids, batch_size, draw(st.integers(1, 20)), NEWLINE, seed)


@given(running(), st.integers(0, 3))
def test_every_character_is_a_target_once_after_the_one_before(
    streams: Streams, epoch: int
) -> None:
    inputs, targets, _ = epoch_of(streams, epoch)

    learned = targets[targets != IGNORED]
    assert np.array_equal(np.sort(learned), streams.ids)
    preceding = np.where(targets == 100, BEFORE, targets - 1)
    assert np.array_equal(inputs[targets != IGNORED], preceding[targets != IGNORED])


@given(st.one_of(running(), documents()), st.integers(0, 2), st.data())
def test_some_streams_are_columns_of_all(
    streams: Streams | LineStreams, epoch: int, data: st.DataObject
) -> None:
    first = data.draw(st.integers(0, streams.batch_size - 1))
    rows = slice(first, data.draw(st.integers(first + 1, streams.batch_size)))

    for k in range(streams.windows):
        whole = streams.window(epoch, k)
        own = streams.window(epoch, k, rows)
        assert same(own, whole.rows(rows.start, rows.stop))


def test_state_is_handed_over_from_streams_that_are_elsewhere() -> None:
    streams = Streams(marked(24), 4, 3, BEFORE)
    state = np.arange(2 * 4 * 3.0).reshape(1, 2, 4, 3)
    whole, parts = state.copy(), [state[..., :2, :].copy(), state[..., 2:, :].copy()]

    streams.carry_over(whole)
    before = parts[0][..., -1, :].copy()
    streams.carry_over(parts[0])
    streams.carry_over(parts[1], before)

    assert np.array_equal(np.concatenate(parts, axis=-2), whole)


def test_no_window_is_longer_than_the_text() -> None:
    """Nor are the tables that it is read by: a file may ask for anything."""
    streams = Streams(np.zeros(100, np.uint8), 50, 60_000, before=0)

    assert streams._places.shape == (3, 50)
    assert streams.window(0, 0).inputs.shape == (2, 50)


@given(running())
def test_streams_are_contiguous_pieces_of_nearly_equal_length(streams: Streams) -> None:
    inputs, targets, _ = epoch_of(streams)

    N, B = streams.characters, streams.batch_size
    assert len(targets) == streams.steps == -(-N // B)
    end_to_end = targets.T[targets.T != IGNORED]
    assert np.array_equal(end_to_end, streams.ids)
    ignored = targets == IGNORED
    assert not ignored[1:].any()
    # A first step without a target reads what stands before that target's place.
    for b in np.flatnonzero(ignored[0]):
        assert inputs[0, b] == targets[1, b] - 2


@given(running())
def test_only_the_text_s_beginning_resets_the_state(streams: Streams) -> None:
    resets = epoch_of(streams).resets

    assert np.argwhere(resets).tolist() == [[0, 0]]


@given(running())
def test_windows_are_the_same_in_any_order(streams: Streams) -> None:
    forwards = [streams.window(0, k) for k in range(streams.windows)]
    backwards = [streams.window(5, k) for k in reversed(range(streams.windows))]

    for there, back in zip(forwards, reversed(backwards), strict=True):
        assert same(there, back)


def test_state_goes_on_where_the_text_goes_on() -> None:
    """Stream b of the next epoch continues what stream b - 1 has read."""
    streams = Streams(marked(12), 3, 4, BEFORE)
    state = np.arange(2 * 1 * 3 * 2, dtype=np.float32).reshape(2, 1, 3, 2) + 1
    old = state.copy()

    streams.carry_over(state)

    assert np.array_equal(state[:, :, 1:], old[:, :, :-1])
    assert not state[:, :, 0].any()
    inputs, targets, _ = streams.window(1, 0)
    assert np.array_equal(inputs[0, 1:], targets[-1, :-1])


@given(documents(), st.integers(0, 3))
def test_every_line_is_learned_whole_from_a_newline_on(
    streams: LineStreams, epoch: int
) -> None:
    inputs, targets, resets = epoch_of(streams, epoch)

    wanted = sorted(bytes_of_lines(streams.ids))
    learned = targets.T[targets.T != IGNORED]
    assert sorted(bytes_of_lines(learned)) == wanted
    first = np.ones((1, streams.batch_size), np.int32) * NEWLINE
    before = np.concatenate([first, targets[:-1]])
    before[before == IGNORED] = NEWLINE
    assert np.array_equal(inputs, before)
    assert np.array_equal(resets == 1, inputs == NEWLINE)


def bytes_of_lines(ids: np.ndarray) -> list[tuple[int, ...]]:
    """Part a text of ids into lines, each with its newline."""
    parts = np.split(ids, np.flatnonzero(ids == NEWLINE) + 1)
    assert len(parts[-1]) == 0
    return [tuple(part.tolist()) for part in parts[:-1]]


@given(documents())
def test_streams_of_lines_are_padded_at_the_end_only(streams: LineStreams) -> None:
    targets = epoch_of(streams).targets

    ignored = targets == IGNORED
    assert not (ignored[:-1] & ~ignored[1:]).any()
    assert np.array_equal(ignored.any(axis=0), ignored[-1])
    # The longest stream runs to the end: no window is without a target.
    assert not ignored[-1].all()
    lengths = (~ignored).sum(axis=0)
    longest = max(map(len, bytes_of_lines(streams.ids)))
    assert lengths.max() - lengths.min() <= longest


@given(documents())
@example(LineStreams(np.array([5, 0, 6, 0], np.uint8), 2, 3, NEWLINE, 0))
def test_order_of_lines_is_a_function_of_seed_and_epoch(streams: LineStreams) -> None:
    again = LineStreams(
        streams.ids, streams.batch_size, streams.seq_length, NEWLINE, streams.seed
    )
    first = epoch_of(streams, 2)
    epoch_of(streams, 3)

    assert same(first, epoch_of(again, 2))
    assert same(first, epoch_of(streams, 2))


def test_order_of_lines_differs_between_epochs_and_seeds() -> None:
    ids = marked(200)
    ids[3::4] = NEWLINE
    one, other = (LineStreams(ids, 4, 8, NEWLINE, seed) for seed in (1, 2))

    orders = [epoch_of(one, 0), epoch_of(one, 1), epoch_of(other, 0)]

    texts = {order.targets.tobytes() for order in orders}
    assert len(texts) == 3


def test_any_line_may_stand_anywhere() -> None:
    """Over many epochs each of five equal lines comes first about as often."""
    ids = np.array([1, 0, 2, 0, 3, 0, 4, 0, 5, 0], np.uint8)
    streams = LineStreams(ids, 1, 10, NEWLINE, 0)

    firsts = [int(streams.window(epoch, 0).targets[0, 0]) for epoch in range(500)]

    assert np.bincount(firsts, minlength=6)[1:].min() > 60


def test_lines_longer_than_a_slice_are_arranged_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("charrnn.streams.SLICE", 3)
    ids = marked(40)
    ids[[1, 2, 20, 22, 30, 39]] = NEWLINE

    streams = LineStreams(ids, 2, 7, NEWLINE, 4)

    learned = epoch_of(streams).targets.T
    lines = bytes_of_lines(learned[learned != IGNORED])
    assert sorted(lines) == sorted(bytes_of_lines(ids))


def test_state_of_lines_is_not_carried_over() -> None:
    streams = LineStreams(np.array([5, 0], np.uint8), 1, 3, NEWLINE, 0)
    state = np.ones((1, 2, 1, 3), np.float32)

    streams.carry_over(state)

    assert not state.any()


def test_200_000_lines_are_arranged_in_well_under_a_second() -> None:
    rng = np.random.default_rng(0)
    ids = rng.integers(1, 60, 200_000 * 12, dtype=np.uint8)
    ids[np.sort(rng.permutation(len(ids))[:200_000])] = NEWLINE
    ids[-1] = NEWLINE
    streams = LineStreams(ids, 64, 64, NEWLINE, 0)

    start = time.perf_counter()
    streams.window(1, 0)

    assert time.perf_counter() - start < 1


def test_more_streams_than_text_is_an_error_that_names_both() -> None:
    with pytest.raises(CorpusError) as caught:
        Streams(marked(40), 64, 8, BEFORE)
    assert str(caught.value) == "more streams (64) than the text has characters (40)"
    assert caught.value.hint == "batch_size=40 or less"

    ids = np.array([5, 0, 6, 0], np.uint8)
    with pytest.raises(CorpusError, match=r"streams \(3\) than the text has lines \(2"):
        LineStreams(ids, 3, 8, NEWLINE, 0)


def test_misuse_is_refused() -> None:
    streams = Streams(marked(8), 2, 2, BEFORE)

    for k in (-1, 2):
        with pytest.raises(IndexError, match="outside 0 to 1"):
            streams.window(0, k)
    with pytest.raises(ValueError, match="must be positive"):
        Streams(marked(8), 0, 2, BEFORE)
    with pytest.raises(ValueError, match="no newline"):
        LineStreams(np.array([5, 0, 6], np.uint8), 1, 2, NEWLINE, 0)


@given(
    st.integers(1, 5000),
    st.integers(1, 128),
    st.integers(1, 128),
    st.none() | st.integers(1, 50),
)
def test_fit_gives_every_stream_a_full_window(
    characters: int, batch_size: int, seq_length: int, lines: int | None
) -> None:
    streams, steps = fit(characters, batch_size, seq_length, lines)

    assert 1 <= streams <= batch_size
    assert 1 <= steps <= seq_length
    assert streams * steps <= characters
    if batch_size * seq_length <= characters and lines is None:
        assert (streams, steps) == (batch_size, seq_length)
    if steps < seq_length:
        assert steps == characters
    if lines is not None:
        assert streams <= lines


def test_streams_begin_anew_at_the_given_rate_and_by_the_seed_alone() -> None:
    ids = np.zeros(40_000, np.uint8)
    one, same, other = (
        Streams(ids, 20, 10, 0, reset_rate=0.1, seed=seed) for seed in (1, 1, 2)
    )

    windows = [one.window(epoch, k) for epoch in (0, 1) for k in range(1, one.windows)]
    resets = np.array([window.resets for window in windows])

    assert not resets[:, 1:].any()
    assert resets[:, 0].mean() == pytest.approx(0.1, abs=0.01)
    np.testing.assert_array_equal(
        one.window(3, 7).resets, same.window(3, 7).resets, strict=True
    )
    assert (one.window(0, 5).resets != one.window(1, 5).resets).any()
    assert any(
        (one.window(0, k).resets != other.window(0, k).resets).any() for k in range(20)
    )


PAIRED = Documents(before=0, stand_in=0, start=0, separator=1)


@st.composite
def paired(draw: st.DrawFn) -> PairStreams:
    """Streams of pairs, some longer than a window, whose characters all differ."""
    sizes = st.tuples(st.integers(1, 8), st.integers(0, 12))
    lengths = draw(st.lists(sizes, min_size=1, max_size=25))
    fresh, parts = 100, []
    for given_, wanted in lengths:
        parts += [*range(fresh, fresh + given_), 1]
        parts += [*range(fresh + given_, fresh + given_ + wanted), 0]
        fresh += given_ + wanted
    ids: PackedIds = np.array(parts, np.uint32)
    batch_size = draw(st.integers(1, len(lengths)))
    seed = draw(st.integers(0, 2**63 - 1))
    return PairStreams(ids, batch_size, draw(st.integers(1, 20)), PAIRED, seed)


@given(paired(), st.integers(0, 3))
def test_outputs_of_pairs_are_targets_once(streams: PairStreams, epoch: int) -> None:
    """Each after the character before it, and inputs are read to their ends."""
    inputs, targets, resets = epoch_of(streams, epoch)
    ids, scored = streams.ids, PAIRED.scored(streams.ids)
    wanted = targets[(targets != IGNORED) & (targets > 1)]

    assert np.array_equal(np.sort(wanted), np.sort(ids[scored & (ids > 1)]))
    assert np.count_nonzero(targets == 0) == np.count_nonzero(ids == 0)
    assert not (targets == 1).any()
    assert np.array_equal(resets, inputs == 0)
    lines = "".join(map(chr, inputs.T.ravel())).split("\0")
    texts = "".join(map(chr, ids)).split("\0")
    assert sorted(filter(None, lines)) == sorted(filter(None, texts))


@given(paired())
def test_no_pair_is_cut_that_fits_into_a_window(streams: PairStreams) -> None:
    T, ends = streams.seq_length, np.flatnonzero(streams.ids == 0)
    long = np.count_nonzero(np.diff(ends, prepend=-1) > T)
    windows = [streams.window(0, k) for k in range(streams.windows)]
    begun_before = sum(
        np.count_nonzero(~window.resets[0].astype(bool)) for window in windows
    )

    assert (begun_before > 0) == (long > 0)


def test_pairs_are_in_another_order_every_epoch() -> None:
    """The same one for the same seed and epoch, in whatever order it is asked for."""
    ids = np.tile(np.array([5, 1, 6, 0, 7, 8, 1, 9, 0], np.uint8), 40)
    one, other = (PairStreams(ids, 4, 12, PAIRED, 3) for _ in range(2))
    first, second = epoch_of(one, 0), epoch_of(one, 1)

    assert not same(first, second)
    assert same(epoch_of(other, 1), second)
    assert same(epoch_of(other, 0), first)
    assert not same(epoch_of(PairStreams(ids, 4, 12, PAIRED, 4), 0), first)


@pytest.mark.parametrize(
    ("lengths", "steps"),
    [
        ([3, 5], 32),
        ([30], 32),
        ([33], 72),
        ([60, 60, 60, 20], 120),
        ([20] * 199 + [900], 40),
        ([900] * 9, 512),
    ],
)
def test_windows_hold_whole_pairs_and_little_else(
    lengths: list[int], steps: int
) -> None:
    assert whole_window(np.array(lengths * 100)) == steps


def test_more_streams_than_pairs_are_an_error() -> None:
    with pytest.raises(CorpusError, match="pairs"):
        PairStreams(np.array([5, 1, 6, 0], np.uint8), 2, 12, PAIRED, 3)
