"""What comes out wrong, counted once more by hand and one by one."""

import json
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from charrnn.errors import CorpusError
from charrnn.generation import decode
from charrnn.inspection.errors import Classes, Confusion, Errors, Wrong, measure_errors
from charrnn.inspection.records import as_json, tsv
from charrnn.pairs import Pairs
from charrnn.textmodel import TextModel
from tests.factories import PAIRS_TEXT, make_checkpoint, make_vocab, model_of

VOCAB = make_vocab("\t\nabcdefghijkl\\")


def pairs_of(text: str) -> Pairs:
    return Pairs.of(VOCAB.encode(text), VOCAB)


def writer(answers: dict[str, str]) -> TextModel:
    """Stand in for a model that answers as it is told."""

    def outputs(pairs: Pairs) -> list[np.ndarray]:
        return [VOCAB.encode(answers[VOCAB.decode(given)]) for given in pairs.inputs]

    return cast("TextModel", SimpleNamespace(vocab=VOCAB, outputs=outputs))


def measured(text: str, answers: dict[str, str], **options: Any) -> Errors:
    return measure_errors(writer(answers), pairs_of(text), **options)


def listed(found: Errors) -> Sequence[tuple[str, str, int]]:
    return [(item.input, item.got, item.distance) for item in found.errors]


def test_wrong_pairs_are_listed_the_most_edits_first():
    text = "a\tab\nb\tbb\nc\tccc\nd\tdd\n"
    found = measured(text, {"a": "ab", "b": "b", "c": "", "d": "dc"})

    assert found.errors[0] == Wrong("c", ("ccc",), "", 3)
    assert {item[0] for item in listed(found)} == {"b", "c", "d"}
    assert (found.inputs, found.wrong) == (4, 3)
    assert found.exact == pytest.approx(1 / 4)
    assert found.error_rate == pytest.approx((1 + 3 + 1) / 9)


def test_an_output_is_right_if_it_is_any_of_those_that_are_wanted():
    text = "a\tab\na\tcd\na\tcdd\nb\taa\nb\tbbbb\n"
    found = measured(text, {"a": "cd", "b": "bbb"})

    assert found.errors == (Wrong("b", ("bbbb", "aa"), "bbb", 1),)
    assert (found.exact, found.error_rate) == (1 / 2, 1 / (2 + 4))


def test_characters_are_compared_where_outputs_are_of_one_length():
    text = "a\taab\nb\tab\nc\taa\nd\tbaa\n"
    found = measured(text, {"a": "abb", "b": "ab", "c": "bcc", "d": "caa"})

    assert found.aligned == 3
    # Of the aligned ones: aab, ab and baa have 5 times a, and 3 times b.
    assert found.confusions == (
        Confusion("a", "b", 1, 1 / 5),
        Confusion("b", "c", 1, 1 / 3),
    )


def test_few_outputs_that_come_again_are_classes():
    text = "a\tb\nc\tb\nd\te\nf\te\ng\te\n"
    found = measured(text, {"a": "b", "c": "e", "d": "e", "f": "b", "g": "bb"})

    assert found.classes == Classes(("b", "e"), ((1, 1), (1, 1)), (0, 1))
    sums = np.sum(found.classes.counts) + sum(found.classes.others)
    assert sums == found.inputs


@pytest.mark.parametrize(("classes", "is_matrix"), [(50, True), (51, False)])
def test_many_different_outputs_are_no_classes(classes: int, is_matrix: bool):
    names = [a + b for a in "abcdefgh" for b in "abcdefgh"]
    answers = {name: names[n % classes] for n, name in enumerate(names)}
    text = "".join(f"{name}\t{output}\n" for name, output in answers.items())

    assert (measured(text, answers).classes is not None) == is_matrix


def test_outputs_that_never_come_again_are_no_classes():
    assert measured("a\tb\nb\ta\n", {"a": "b", "b": "b"}).classes is None


def test_as_many_are_listed_as_have_room():
    text = "".join(f"{a}{b}\tab\n" for a in "abcd" for b in "abcd")
    answers = dict.fromkeys((a + b for a in "abcd" for b in "abcd"), "b")
    found = measured(text, answers, keep=11)  # of 5 characters each

    assert len(found.errors) == 3
    assert found.wrong == 16
    assert found == measured(text, answers, keep=15)


def test_rows_are_cells_whatever_is_in_them():
    found = measured("a\\\tb\nb\ta\n", {"a\\": "a\\", "b": "a"})
    header, *rows = tsv(found)

    assert header == "input\twanted\tgot\tdistance"
    assert rows == ["a\\\\\tb\ta\\\\\t2"]
    assert json.loads(json.dumps(as_json(found)))["errors"][0]["got"] == "a\\"


def test_a_text_without_pairs_has_no_errors_to_tell():
    with pytest.raises(CorpusError, match="no pair"):
        measured("", {})


def test_what_is_listed_is_what_the_model_writes():
    """Of a model of random weights, whose figures are those of an evaluation."""
    model = model_of(make_checkpoint(PAIRS_TEXT, pairs=True))
    pairs = Pairs.of(model.vocab.encode(PAIRS_TEXT), model.vocab)
    found, figures = measure_errors(model, pairs), model.accuracy(pairs)

    assert figures is not None
    assert (found.exact, found.error_rate) == figures
    assert found.wrong == round((1 - found.exact) * found.inputs)
    for item in found.errors:
        given = model.vocab.encode(item.input)
        (got,) = decode(model, [given], len(item.got))
        assert model.vocab.decode(got) == item.got
