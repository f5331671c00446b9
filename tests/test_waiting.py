"""Waiting for the other end of a descriptor."""

import contextlib
import errno
import os
import select
from collections.abc import Callable

import pytest

from charrnn.waiting import readable, writable


def test_a_pipe_is_waited_for() -> None:
    reading, writing = os.pipe()
    try:
        assert not readable(reading, 0)
        assert writable(writing, 0)
        os.write(writing, b"x")
        assert readable(reading)
        os.set_blocking(writing, False)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(writing, bytes(65536))
        assert not writable(writing, 0.01)
        os.read(reading, 65536)
        assert writable(writing)
    finally:
        os.close(reading)
        os.close(writing)


@pytest.mark.parametrize("wait", [readable, writable])
def test_where_only_sockets_can_be_asked_nobody_waits(
    wait: Callable[[int, float], bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Windows: reading or writing waits by itself."""

    def refuse(*arguments: object) -> None:
        raise OSError(code, "")

    monkeypatch.setattr(select, "select", refuse)
    code = errno.ENOTSOCK
    assert wait(0, 1.0)
    code = errno.EBADF
    with pytest.raises(OSError, match=f"Errno {errno.EBADF}"):
        wait(0, 1.0)
