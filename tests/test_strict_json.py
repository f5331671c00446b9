"""JSON as its standard has it: what Python's parser lets pass is an error."""

import pytest

from charrnn import strict_json


def test_what_is_json_is_read() -> None:
    assert strict_json.parse('{"a": [1, 2.5, null, "é"]}') == {"a": [1, 2.5, None, "é"]}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a": {"b": 1, "b": 1}}', "a key stands twice"),
        ("[NaN]", "NaN is not a number"),
        ("-Infinity", "-Infinity is not a number"),
        ("[" * 100_000, "too much in one another"),
        ("{", "Expecting"),
    ],
)
def test_what_is_not_is_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        strict_json.parse(text)
