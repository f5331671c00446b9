import json
import math
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from charrnn.inspection.records import ViewData, as_json, decimal, tsv


@dataclass(frozen=True)
class Part:
    """Something inside a view."""

    values: tuple[float, ...]
    name: str | None


@dataclass(frozen=True)
class Whole(ViewData):
    """A view without rows of its own."""

    part: Part
    count: int
    flag: bool
    names: dict[str, str]


WHOLE = Whole(Part((1.5, math.nan, math.inf), None), 3, True, {"a": "x\ty"})


def test_json_is_nested_and_has_null_for_what_is_not_finite():
    assert as_json(WHOLE) == {
        "part": {"values": [1.5, None, None], "name": None},
        "count": 3,
        "flag": True,
        "names": {"a": "x\ty"},
    }
    json.dumps(as_json(WHOLE), allow_nan=False)


def test_rows_of_a_view_without_its_own_are_paths_and_values():
    assert list(tsv(WHOLE)) == [
        "key\tvalue",
        "part.values.0\t1.5",
        "part.values.1\t",
        "part.values.2\t",
        "part.name\t",
        "count\t3",
        "flag\ttrue",
        "names.a\tx\\ty",
    ]


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_decimals_read_back_the_same_and_have_no_exponent(value: float):
    text = decimal(value)

    assert float(text) == value
    assert "e" not in text
