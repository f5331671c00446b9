"""Limits of settings: what is refused, and in which words."""

import math
import re
from typing import Any

import numpy as np
import pytest

from charrnn.config import ModelConfig, SampleConfig, TrainConfig
from charrnn.errors import OptionError, field
from charrnn.options import check_number, read


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
    ("limits", "hint"),
    [
        ({}, "write a number such as 0.5, or 20"),
        ({"low": 0, "high": 1}, "write a number such as 0.5"),
        ({"low": 0.5, "open_low": True}, "write a number such as 20"),
        ({"high": 0.5, "open_high": True}, "leave n away for its default"),
    ],
)
def test_numbers_in_a_hint_are_allowed(limits: dict[str, float], hint: str) -> None:
    with pytest.raises(OptionError) as caught:
        check_number(field("n"), math.nan, **limits)  # type: ignore[arg-type]
    assert caught.value.hint == hint


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


@pytest.mark.parametrize(
    "given",
    [
        "1,2,3",
        "3, 2,1",
        (1, 2, 3),
        [3, 1, 2],
        ["1,3", "2"],
        np.array([1, 2, 3]),
        {1, 2, 3},
    ],
)
def test_lags_are_read_in_any_form(given: Any) -> None:
    assert read(ModelConfig, {"lags": given}) == {"lags": (1, 2, 3)}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("", "not ''"),
        ("1,,2", "not '1,,2'"),
        ("1.5", "not '1.5'"),
        ((1, 2.0), "not 2.0"),
        ((1, True), "not True"),
        (b"1,2", "not b'1,2'"),
        (["1", "two"], "not 'two'"),
        ("2,3", "must have 1 among them"),
        ((), "must have 1 among them"),
        ("1,1", "must be different"),
        ("-1,1", "must be at least 1, not -1"),
        ("1,65", "must be at most 64, not 65"),
        ("1," + "9" * 5000, "must be at most 64, not 999"),
        (range(1, 10), "are 9, at most 8"),
    ],
)
def test_lags_that_no_network_has_are_refused(given: Any, message: str) -> None:
    with pytest.raises(OptionError, match=re.escape(message)) as caught:
        ModelConfig(vocab_size=1, **read(ModelConfig, {"lags": given}))
    assert len(str(caught.value)) < 200
    assert caught.value.hint


def test_as_many_lags_as_are_allowed_as_far_as_they_may_be() -> None:
    ModelConfig(vocab_size=1, lags=(1, 2, 3, 4, 5, 6, 7, 64))


def test_limits_themselves_are_allowed_unless_open() -> None:
    check_number(field("n"), 0, low=0, high=1)
    check_number(field("n"), 1, low=0, high=1)
    SampleConfig(top_p=1, min_p=0, seed=2**63 - 1, length=-1)
    TrainConfig(dropout=0, grad_clip=0, steps=0)
