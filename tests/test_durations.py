"""Durations and intervals: how they are read, and written so that they can be read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.cli.inspect import OPTIONS as INSPECT
from charrnn.cli.sample import OPTIONS as SAMPLE
from charrnn.cli.train import OPTIONS as TRAIN
from charrnn.durations import (
    MAX_SECONDS,
    SPELLINGS,
    Every,
    duration_text,
    exact_duration,
    parse_duration,
    parse_every,
)
from charrnn.errors import OptionError, field

#: Durations of every size, those of a few whole units among them.
SECONDS = st.one_of(
    st.floats(1e-6, MAX_SECONDS),
    st.integers(1, MAX_SECONDS).map(float),
    st.builds(
        lambda count, unit: float(count * unit),
        st.integers(1, 10_000),
        st.sampled_from([1, 60, 3600, 86_400]),
    ),
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("1.5h", 5400),
        (" 30m ", 1800),
        ("2d", 172_800),
        ("1e-3s", 0.001),
        ("5min", 300),
        ("1m30s", 90),
        ("1m00s", 60),
        ("1h30m", 5400),
        ("1d2h3min4.5s", 93_784.5),
        ("90sec", 90),
        ("1second", 1),
        ("2seconds", 2),
        ("5mins", 300),
        ("1minute", 60),
        ("10 minutes", 600),
        ("2hr", 7200),
        ("2hrs", 7200),
        ("1hour30minutes", 5400),
        ("1.5hours", 5400),
        ("1day", 86_400),
        ("2days12hours", 216_000),
        (2.5, 2.5),
    ],
)
def test_durations(text: str | float, seconds: float) -> None:
    assert parse_duration(text, field("time")) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text",
    [
        *("", "90", "s", "1w", "-1s", "0s", "nans", "infs", "1e308d", "9" * 5000),
        *("1s1m", "1m 30s", "1m30", "1mm", "min", "0m0s", "1m-30s", "1h1h", "1m٣s"),
        *("30min1h", "5minuets", "1hourss", "2months", "5M", "1min1minute"),
        *(0, -1.0, None, True),
    ],
)
def test_what_is_no_duration_is_refused(text: object) -> None:
    with pytest.raises(OptionError, match="time"):
        parse_duration(text, field("time"))


def test_intervals_are_steps_or_seconds_or_never() -> None:
    assert parse_every("500", field("eval_every")) == Every(steps=500)
    assert parse_every("10m", field("eval_every")) == Every(seconds=600)
    assert not parse_every("0", field("eval_every"))
    assert parse_every(500, field("eval_every")) == Every(steps=500)
    with pytest.raises(OptionError) as caught:
        parse_every("often", field("eval_every"))
    assert "a number of steps" in str(caught.value.hint)


@pytest.mark.parametrize("text", ["9" * 5000, str(2**63), "1e300d"])
def test_intervals_that_never_come_are_refused(text: str) -> None:
    with pytest.raises(OptionError, match=r"^eval_every") as caught:
        parse_every(text, field("eval_every"))
    assert len(str(caught.value)) < 200
    assert caught.value.hint


@pytest.mark.parametrize("text", ["0", "500", "10m", "90s", "1.5s", "2d", "36h", "1m"])
def test_intervals_are_written_as_they_are_read(text: str) -> None:
    assert str(parse_every(text, field("eval_every"))) == text


def test_a_duration_is_shown_about_as_long_as_it_is() -> None:
    shown = [
        duration_text(s) for s in (0, 1e-5, 0.04, 0.4, 59.4, 60, 3599, 3600, 90_061)
    ]

    assert shown == [
        *("0s", "0.001s", "0.04s", "0.4s", "59s", "1m00s", "59m59s", "1h00m", "25h01m")
    ]


@given(SECONDS)
def test_what_is_shown_can_be_given_back(seconds: float) -> None:
    """It is read as what was shown, which is the duration to the precision shown."""
    shown = duration_text(seconds)
    read = parse_duration(shown, field("time"))

    assert duration_text(read) == shown
    rounding = 0.001 if seconds < 0.001 else 0.005 if seconds < 1 else 0.5
    assert read == pytest.approx(seconds, rel=1 / 60, abs=rounding)


@given(SECONDS)
def test_what_is_written_exactly_is_read_exactly(seconds: float) -> None:
    """So a command that the program prints asks for what was asked for."""
    assert parse_duration(exact_duration(seconds), field("time")) == seconds
    every = Every(seconds=seconds)
    assert parse_every(str(every), field("save_every")) == every


@given(st.permutations(range(len(SPELLINGS))), st.data())
def test_units_stand_in_decreasing_order(order: list[int], data: st.DataObject) -> None:
    """In any spelling, and in no other order."""
    words = [data.draw(st.from_regex(w, fullmatch=True)) for w in SPELLINGS.values()]
    chosen = order[: data.draw(st.integers(2, len(words)))]
    text = "".join(f"{n + 2}{words[n]}" for n in chosen)

    if chosen == sorted(chosen):
        lengths = [86_400, 3600, 60, 1]
        expected = sum((n + 2) * lengths[n] for n in chosen)
        assert parse_duration(text, field("time")) == expected
    else:
        with pytest.raises(OptionError, match="not a duration"):
            parse_duration(text, field("time"))


def test_every_option_that_takes_a_duration_reads_all_of_them() -> None:
    found = {
        entry.name: entry.record.parse
        for table in (TRAIN, SAMPLE, INSPECT)
        for entry in table.entries
        if "DUR" in entry.metavar or entry.record.parse in (parse_duration, parse_every)
    }

    assert found == {
        "time": parse_duration,  # of training, and of sampling
        "save_every": parse_every,
        "eval_every": parse_every,
    }
