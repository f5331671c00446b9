"""Limits of settings: what is refused, and in which words."""

import math

import pytest

from charrnn.config import ModelConfig, SampleConfig, TrainConfig
from charrnn.durations import Every, parse_duration, parse_every
from charrnn.errors import OptionError, field
from charrnn.options import check_number


@pytest.mark.parametrize(
    ("value", "limits", "message"),
    [
        (-1, {"low": 0}, "n must be at least 0, not -1"),
        (0, {"low": 0, "high": 1, "open_low": True}, "above 0 and at most 1, not 0"),
        (1, {"low": 0, "high": 1, "open_high": True}, "at least 0 and below 1, not 1"),
        (math.nan, {}, "n must be a finite number, not nan"),
        (-math.inf, {}, "n must be a finite number, not -inf"),
        # Rounded to six digits, these would be said to be what is allowed.
        (1.00000001, {"high": 1}, "at most 1, not 1.00000001"),
        (10_000_001, {"high": 10_000_000}, "at most 10000000, not 10000001"),
        (2**63, {"high": 2**63 - 1}, "at most 9223372036854775807, not 922337203"),
        (10**399, {"high": 1}, "at most 1, not a number of 400 digits"),
    ],
)
def test_a_number_outside_its_limits_is_named_in_full(
    value: float, limits: dict[str, float], message: str
) -> None:
    with pytest.raises(OptionError) as caught:
        check_number(field("n"), value, **limits)  # type: ignore[arg-type]
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "given",
    [
        {"epochs": 1e308},
        {"steps": 2**63},
        {"steps": 10**400},
        {"patience": 2**63},
        {"time": 1e308},
        {"time": 1e-320},
        {"lr": 1e39},
        {"weight_decay": 1e39},
        {"grad_clip": 1e39},
        {"forget_bias": 1e39},
        {"forget_bias": -1e39},
        {"warmup": 1e39},
        {"seed": 2**63},
        {"batch_size": 2**63},
        {"seq_length": 2**63},
    ],
)
def test_numbers_that_nothing_could_hold_are_refused(given: dict[str, float]) -> None:
    """A checkpoint has 64 bits for an integer, an array 32 for a real number."""
    (name,) = given
    with pytest.raises(OptionError, match=name) as caught:
        TrainConfig(**given)  # type: ignore[arg-type]
    assert caught.value.hint


def test_a_choice_that_is_nearly_right_is_guessed() -> None:
    with pytest.raises(OptionError) as caught:
        ModelConfig(vocab_size=1, cell="LTSM")
    assert caught.value.hint == "is lstm meant?"
    with pytest.raises(OptionError) as caught:
        ModelConfig(vocab_size=1, cell="?")
    assert caught.value.hint == "leave cell away for its default"


def test_limits_themselves_are_allowed_unless_open() -> None:
    check_number(field("n"), 0, low=0, high=1)
    check_number(field("n"), 1, low=0, high=1)
    SampleConfig(top_p=1, min_p=0, seed=2**63 - 1, length=-1)
    TrainConfig(dropout=0, grad_clip=0, steps=0)


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
