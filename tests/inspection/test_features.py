import numpy as np
import pytest

from charrnn.inspection.features import FEATURES, features


def follow(text: str, name: str) -> list[float]:
    return features(text)[:, FEATURES.index(name)].tolist()


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("line", "ab\nc\n", [1, 2, 0, 1, 0]),
        ("quotes", 'a "b" c', [0, 0, 1, 1, 0, 0, 0]),
        ("quotes", "“b”«c»", [1, 1, 0, 1, 1, 0]),
        ("quotes", r'"\"" ', [1, 1, 1, 0, 0]),
        ("quotes", r'"\\" ', [1, 1, 1, 0, 0]),
        ("quotes", '"a\nb\n\nc', [1, 1, 1, 1, 1, 0, 0]),
        ("quotes", '"a\n \t\nc', [1, 1, 1, 1, 1, 0, 0]),
        ("brackets", "(a[b])c", [1, 1, 1, 1, 1, 0, 0]),
        ("brackets", ")(a)", [0, 1, 1, 0]),
        ("brackets", "(\n\na", [1, 1, 0, 0]),
        ("depth", "{{\n\n}}}{", [1, 2, 2, 2, 1, 0, 0, 1]),
        ("indentation", "  a b\n\tc", [1, 2, 2, 2, 2, 0, 1, 1]),
        ("digits", "a1²", [0, 1, 1]),
        ("capitals", "aÉB", [0, 1, 1]),
        ("word", "ab1 c\n", [1, 2, 3, 0, 1, 0]),
        ("output", "ab\tc\td\nab\t", [0, 0, 1, 1, 1, 1, 0, 0, 0, 1]),
    ],
)
def test_features_are_as_they_stand_after_a_character(name, text, expected):
    assert follow(text, name) == expected


def test_an_empty_text_has_no_rows():
    assert features("").shape == (0, len(FEATURES))


def test_every_feature_has_a_column():
    assert np.isfinite(features("a\x00\U0001f44d\u0301漢")).all()
