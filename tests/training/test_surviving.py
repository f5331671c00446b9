"""What is done by a process of its own, so that it outlives this one."""

import os
from pathlib import Path

import pytest

from charrnn.errors import OutputError, field
from charrnn.training import surviving
from charrnn.training.surviving import survive


def test_another_process_of_another_session_does_it(tmp_path: Path):
    """No signal to this one's group, or from its terminal, reaches it."""
    found = tmp_path / "found"

    survive(lambda: found.write_text(f"{os.getpid()} {os.getpgid(0)} {os.getsid(0)}"))

    process, group, session = map(int, found.read_text().split())
    assert process == group == session
    assert process != os.getpid()


def test_what_it_raises_is_raised_here():
    def task() -> None:
        msg = f"no {field('output')}"
        raise OutputError(msg, where="m.npz", hint="find one")

    with pytest.raises(OutputError) as caught:
        survive(task)

    assert str(caught.value) == "no output (m.npz)"
    assert caught.value.hint == "find one"


def test_it_is_done_here_if_the_other_process_is_ended(tmp_path: Path):
    here, found = os.getpid(), tmp_path / "found"

    def task() -> None:
        if os.getpid() != here:
            os._exit(3)
        found.write_text("done")

    survive(task)

    assert found.read_text() == "done"


def test_it_is_done_here_where_there_can_be_no_other_process(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(surviving, "_fork", lambda: None)
    done: list[int] = []

    survive(lambda: done.append(os.getpid()))

    assert done == [os.getpid()]
