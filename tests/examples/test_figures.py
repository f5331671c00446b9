"""Examples as programs: what becomes of what nobody reads."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

LIST = [sys.executable, "-m", "charrnn.examples"]


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_closed_stream_is_no_failure(number: int) -> None:
    done = subprocess.run(LIST, preexec_fn=lambda: os.close(number))

    assert done.returncode == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_told_in_a_line() -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(LIST, stdout=full, stderr=subprocess.PIPE, text=True)

    assert done.returncode == 6
    assert done.stderr == "cannot write: No space left on device\n"


def test_a_reader_may_leave() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(LIST, stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)

    assert (done.returncode, done.stderr) == (0, b"")
