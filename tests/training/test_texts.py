"""What is held out, what is trained on, and how it is cut."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from charrnn.errors import VocabError
from charrnn.streams import LineStreams, Streams
from charrnn.training.job import Job
from tests.training.support import TEXT, prepared


@pytest.fixture
def text(tmp_path: Path) -> Path:
    return tmp_path / "t.txt"


def parts(made: Job) -> tuple[str, str]:
    """Read back what is trained on, and what is held out."""
    held = "" if made.held_out is None else made.vocab.decode(made.held_out)
    return made.vocab.decode(made.trainer.streams.ids), held


def test_tail_is_held_out(text: Path) -> None:
    train, held = parts(prepared(text, val_fraction=0.25))

    assert train + held == TEXT
    assert len(held) == len(TEXT) // 4


def test_nothing_is_held_out_if_asked_for(text: Path) -> None:
    made = prepared(text, val_fraction=0.0)

    assert parts(made) == (TEXT, "")
    assert made.notes == []


@pytest.mark.parametrize(
    ("content", "fraction"), [("abcdefgh" * 9, 0.1), ("ab", 0.5), ("abc", 0.9)]
)
def test_tail_too_small_for_a_window_is_not_held_out(
    text: Path, content: str, fraction: float
) -> None:
    """The command tells it."""
    plan: dict[str, Any] = {"batch_size": None, "seq_length": None}
    made = prepared(text, content, val_fraction=fraction, **plan)

    assert parts(made) == (content, "")


def test_lines_are_held_out_whole(text: Path) -> None:
    made = prepared(text, val_fraction=0.3, lines=True)
    train, held = parts(made)

    assert train + held == TEXT
    assert train.endswith("\n")
    assert held
    assert made.held_out is not None
    assert made.documents.start == made.vocab.newline_id
    assert isinstance(made.trainer.streams, LineStreams)


def test_a_single_line_leaves_nothing_to_hold_out(text: Path) -> None:
    made = prepared(
        text, "one line and no more", lines=True, batch_size=None, seq_length=None
    )

    assert parts(made) == ("one line and no more\n", "")


def test_the_reason_why_nothing_is_held_out(text: Path) -> None:
    plan: dict[str, Any] = {"batch_size": None, "seq_length": None}
    tried: list[tuple[str, dict[str, Any], str]] = [
        ("abcdefgh" * 99, {"val_fraction": 0.9999}, "too little would be left"),
        ("abcdefgh" * 9, {"val_fraction": 0.1}, "less than a window"),
        ("one line", {"val_fraction": 0.1, "lines": True}, "less than a line"),
    ]
    for content, options, reason in tried:
        made = prepared(text, content, **plan, **options)
        assert made.held_out is None
        assert reason in str(made.not_validated)
    assert prepared(text, val_fraction=0.0).not_validated is None
    assert prepared(text, val_fraction=0.25).not_validated is None


@pytest.mark.parametrize(
    ("content", "options", "cause"),
    [
        ("a very long line " * 400, {"lines": True}, "there is only one line"),
        ("one\rtwo\rthree\r" * 99, {"lines": True}, "CR ends none"),
        ((("a long line " * 40) + "\n") * 9, {"lines": True}, "there are only 9 lines"),
        ("abcdefgh" * 99, {"val_fraction": 0.97}, "only 24 characters left"),
        ("abcdefgh" * 9, {}, "the text is short"),
    ],
)
def test_the_reason_why_a_batch_is_small(
    text: Path, content: str, options: dict[str, Any], cause: str
) -> None:
    plan = {"batch_size": None, "seq_length": None, "val_fraction": 0.0} | options
    made = prepared(text, content, **plan)

    (note,) = (note for note in made.notes if "using" in note)
    assert cause in note
    assert ("the text is short" in note) == (cause == "the text is short")
    assert f"batch_size={made.trainer.config.batch_size}" in note


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_many_empty_lines_are_noted(text: Path, end: str) -> None:
    """Where each is a document, and more than a few are."""
    names = [f"Ann{end}{end}", f"Bob{end}"] * 50

    def notes(content: str, **options: Any) -> list[str]:
        made = prepared(text, content, val_fraction=0.0, **options)
        return [note for note in made.notes if "empty" in note]

    (note,) = notes("".join(names), lines=True)
    assert note.startswith("50 of 150 lines are empty")
    assert notes("".join(names)) == []
    assert notes(f"Ann{end}" * 200 + end, lines=True) == []


def test_validation_file_leaves_the_whole_text(text: Path, tmp_path: Path) -> None:
    other = tmp_path / "v.txt"
    other.write_text("the old girl came back\n")
    made = prepared(text, val_file=str(other))

    assert parts(made) == (TEXT, "the old girl came back\n")
    assert made.trainer.config.val_fraction == 0


def test_validation_file_with_unknown_characters(text: Path, tmp_path: Path) -> None:
    """Refused, or replaced where the vocabulary has a replacement."""
    other = tmp_path / "v.txt"
    other.write_text("the gïrl\n")
    with pytest.raises(VocabError, match="U\\+00EF"):
        prepared(text, val_file=str(other))
    made = prepared(text, val_file=str(other), read={"min_count": 12})

    assert "\ufffd" in parts(made)[1]


def test_running_text_begins_anew_now_and_then(text: Path) -> None:
    """So that a sample, which starts from nothing, is not a surprise."""
    made = prepared(text, TEXT * 20, seed=3)
    streams = made.trainer.streams
    resets = [streams.window(0, k).resets.any() for k in range(1, streams.windows)]

    assert isinstance(streams, Streams)
    assert 0 < np.mean(resets) < 0.2


def test_order_of_lines_follows_the_seed(text: Path) -> None:
    def windows(**options: Any) -> list[bytes]:
        streams = prepared(text, lines=True, **options).trainer.streams
        return [streams.window(1, k).inputs.tobytes() for k in range(streams.windows)]

    assert windows(seed=1) == windows(seed=1)
    assert windows(seed=1) != windows(seed=2)
