"""The command as a process, without the second that a process takes to start.

Most of what ``python -m charrnn`` takes for a little work is spent on importing Numba
and on loading kernels, the same in every process. Here one process has done so and
forks: `Command` is `subprocess.Popen`, and `run` is `subprocess.run`, but what they
start is a copy of that process, which becomes the command. It is a process like any
other: a child of whoever started it, with a number of its own, its streams and files,
its working directory, variables and permissions; it can be sent signals, dies by
them, and ends as Python ends. What it has not done itself is to import modules.

So whatever bears on how Python, Numba or a library starts has to be a process from
the beginning, and is one: with any variable that is not among `LATE`, with anything
to be done before the program runs (``preexec_fn``), and whatever is not `command`.
Others that mean to test the start call `subprocess` themselves. So do those that
compare the bytes of several runs: all copies hash strings alike.

The one that forks must have no thread but its first one. It therefore loads kernels
by calling them with one thread, for which no library starts another. GNU's OpenMP
would still be refused to its children, whether it has started threads or not. They
are its grandchildren instead, whose parent is gone, and which Linux gives to the
process that has asked for such orphans, the one with the tests. Other systems start
real processes.

Run as ``python -m tests.commands NUMBER``, it is the one that forks; the number is
that of a socket, from which it reads a request for each command.
"""

import ctypes
import functools
import gc
import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

ROOT = Path(__file__).parent.parent

#: What no library reads while it is imported, and what does not say how to start.
LATE = {"COLUMNS", "NO_COLOR", "PATH", "PWD", "PYTEST_CURRENT_TEST", "TERM"}

#: Linux gives orphans to a process that asks for them by this number.
_SET_CHILD_SUBREAPER = 36

#: Descriptors below are the standard streams, or may be in the way of one.
SPARE = 20

#: Bytes of a request that are read at most.
_MOST = 1 << 20


def command(*arguments: str | Path) -> list[str]:
    """Spell out the command as a process of its own, by this very Python."""
    return [sys.executable, "-m", "charrnn", *map(str, arguments)]


class Command(subprocess.Popen[Any]):
    """A process as `subprocess.Popen` starts it, or a copy of one that has started."""

    def _execute_child(self, *given: Any) -> None:
        """Start the process.

        Parameters
        ----------
        given
            What `subprocess.Popen` hands to its own method of this name: the words,
            what to execute in place of the first, what to call before; whether to
            close files, and which not; where, and with which variables; what is of
            interest to Windows or a shell; the descriptors of the streams, each with
            the one at the other end; and how the process differs from its parent.
        """
        words, executable, before, _, passed, where, variables = given[:7]
        _, _, shell, stdin, _, _, stdout, _, stderr, *differing = given[7:]
        usual = [True, None, None, None, -1, False, -1]
        special = executable or before or passed or shell or differing != usual
        server = None
        words = [os.fsdecode(word) for word in words]
        if not special and words[:3] == command() and sys.platform == "linux":
            server = _server()
        environment = dict(os.environ) if variables is None else dict(variables)
        if server is None or not server.fits(environment):
            super()._execute_child(*given)  # type: ignore[misc]
            return
        streams = [
            n if found == -1 else found
            for n, found in enumerate((stdin, stdout, stderr))
        ]
        self.pid = server.fork(words[3:], streams, where, environment)
        self._child_created = True
        self._close_pipe_fds(*given[10:16])  # type: ignore[attr-defined]


def run(
    words: Sequence[str | bytes],
    *,
    capture_output: bool = False,
    input: str | bytes | None = None,
    timeout: float | None = None,
    **more: Any,
) -> "subprocess.CompletedProcess[Any]":
    """Start a `Command`, wait for its end, and return what it has written.

    Parameters
    ----------
    words, capture_output, input, timeout, **more
        As for `subprocess.run`.
    """
    if capture_output:
        more |= {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    if input is not None:
        more["stdin"] = subprocess.PIPE
    with Command(words, **more) as process:
        try:
            out, err = process.communicate(input, timeout)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(words, process.returncode, out, err)


class Server:
    """The process that forks, as whoever has started it sees it.

    Raises
    ------
    OSError
        The system gives no orphans to this process.
    """

    def __init__(self) -> None:
        # By this the orphans become children of this process.
        library = ctypes.CDLL(None, use_errno=True)
        if library.prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "prctl")
        self._environment = _early(os.environ)
        self._socket, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _MOST)
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        with other:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.commands", str(other.fileno())],
                cwd=ROOT,
                # As the command sets it before it imports anything.
                env={"OPENBLAS_NUM_THREADS": "1"} | os.environ | {"PYTHONPATH": path},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(other.fileno(),),
            )

    def fits(self, environment: Mapping[str, str]) -> bool:
        """Tell whether a process with these variables would have started as it did."""
        return _early(environment) == self._environment

    def fork(
        self,
        arguments: Sequence[str],
        streams: Sequence[int],
        where: str | Path | None,
        environment: Mapping[str, str],
    ) -> int:
        """Let it fork, and return the number of the new child of this process.

        Parameters
        ----------
        arguments : sequence of str
            What comes after the command's name.
        streams : sequence of int
            The descriptors of standard input, output and error.
        where : str or Path, optional
            The working directory, if it is not that of this process.
        environment : mapping
            All variables.

        Raises
        ------
        RuntimeError
            It is no longer there.
        ChildProcessError
            What it has made is no child of this process.
        """
        umask = os.umask(0)
        os.umask(umask)
        request = {
            "arguments": list(arguments),
            "environment": dict(environment),
            "umask": umask,
        }
        place = os.open(where or ".", os.O_RDONLY | os.O_DIRECTORY)
        try:
            # A name may be no text.
            message = json.dumps(request).encode()
            socket.send_fds(self._socket, [message], [*streams, place])
        finally:
            os.close(place)
        answer = self._socket.recv(100)
        if not answer:
            msg = "the process that forks has ended, as it says above"
            raise RuntimeError(msg)
        number = int(answer)
        # `subprocess` takes the exit code of what is no child of ours for 0.
        os.waitid(os.P_PID, number, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        return number

    def stop(self) -> None:
        """Let it end."""
        self._socket.close()
        self._process.wait()


def _early(environment: Mapping[str, str]) -> dict[str, str]:
    """Select the variables that are read when a process starts."""
    return {name: value for name, value in environment.items() if name not in LATE}


@functools.cache
def _server() -> Server:
    """Start the process that forks; commands are rare in many sessions."""
    return Server()


def stop() -> None:
    """Let the process that forks end, if there is one."""
    if _server.cache_info().currsize:
        _server().stop()
        _server.cache_clear()


# What follows is the process that forks, and its copies.


def _load() -> None:
    """Import what commands import, and load the usual kernels."""
    import charrnn.__main__
    import charrnn.cli.inspect
    import charrnn.cli.sample
    import charrnn.cli.train  # noqa: F401
    from charrnn.config import ModelConfig
    from charrnn.training.probe import compile_kernels

    for norm in ("none", "layer"):
        compile_kernels(ModelConfig(vocab_size=2, norm=norm), threads=1)


def _serve(connection: socket.socket) -> None:
    """Fork for every request; returns in each copy that is to be the command."""
    while True:
        message, files, _, _ = socket.recv_fds(connection, _MOST, 4)
        if not message:
            os._exit(0)
        reading, writing = os.pipe()
        between = os.fork()
        if between == 0:
            copy = os.fork()
            if copy:
                os.write(writing, str(copy).encode())
                os._exit(0)
            connection.close()
            os.close(reading)
            os.close(writing)
            _become(json.loads(message), files)
            return
        # Only now that its parent is gone the copy belongs to whoever asked for it.
        os.waitpid(between, 0)
        connection.send(os.read(reading, 100))
        for descriptor in (reading, writing, *files):
            os.close(descriptor)


def _become(request: dict[str, Any], files: list[int]) -> None:
    """Take everything on that makes one process another than its parent."""
    *streams, place = [moved(descriptor) for descriptor in files]
    os.fchdir(place)
    os.close(place)
    os.umask(request["umask"])
    os.environ.clear()
    os.environ.update(request["environment"])
    take_streams(cast("list[int | None]", streams))
    sys.argv = [sys.argv[0], *request["arguments"]]


def take_streams(descriptors: Sequence[int | None]) -> None:
    """Open the standard streams on some files, as Python does when it starts.

    Parameters
    ----------
    descriptors : sequence of int or None
        None is a stream that is closed; others are closed in the end.
    """
    for number, (name, descriptor) in enumerate(
        zip(("stdin", "stdout", "stderr"), descriptors, strict=True)
    ):
        stream: Any = None
        if descriptor is None:
            os.close(number)
        else:
            os.dup2(descriptor, number)
            os.close(descriptor)
            usual = getattr(sys, f"__{name}__")
            stream = open(  # noqa: SIM115
                number,
                "w" if number else "r",
                encoding=usual.encoding,
                errors=usual.errors,
                closefd=False,
            )
            if number == 2:
                stream.reconfigure(line_buffering=True)
        setattr(sys, name, stream)


def moved(descriptor: int) -> int:
    """Give a file a number that is no standard stream's."""
    import fcntl

    other = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, SPARE)
    os.close(descriptor)
    return other


def prepare() -> None:
    """Let copies share what is there: to collect it, they would have to copy it."""
    gc.collect()
    gc.freeze()


if __name__ == "__main__":
    from charrnn.__main__ import main

    _load()
    prepare()
    _serve(socket.socket(fileno=int(sys.argv[1])))
    main()
