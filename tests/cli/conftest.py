"""What tests of several commands share."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from charrnn.__main__ import run
from tests.cli.training import Train
from tests.training.support import TEXT


@pytest.fixture
def train_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Work beside t.txt, with nothing piped in."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.txt").write_text(TEXT)
    with Path(os.devnull).open() as nothing:
        monkeypatch.setattr("sys.stdin", nothing)
        yield tmp_path


@pytest.fixture
def train(train_directory: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> Train:
    """Run the command here: its exit code, stdout and stderr."""

    def call(*arguments: str) -> tuple[int, bytes, str]:
        code = run(["train", *arguments])
        out, err = capsysbinary.readouterr()
        return code, out, err.decode()

    return call


@pytest.fixture
def beside_models(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Work in the module's `directory` of checkpoints, with nothing piped in."""
    monkeypatch.chdir(directory)
    with Path(os.devnull).open() as nothing:
        monkeypatch.setattr("sys.stdin", nothing)
        # The first test to run may have to compile: nothing to be told of.
        monkeypatch.setattr("charrnn.cli.notes.PATIENCE", 3600)
        yield


@pytest.fixture
def sample(capsysbinary: pytest.CaptureFixture[bytes]) -> Train:
    """Run the command here: its exit code, stdout and stderr."""

    def call(*arguments: str) -> tuple[int, bytes, str]:
        code = run(["sample", *arguments])
        out, err = capsysbinary.readouterr()
        return code, out, err.decode()

    return call
