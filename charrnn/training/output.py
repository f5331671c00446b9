"""Where a run's checkpoints go: its file, the file of the best, or stdout."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from charrnn.checkpoint import (
    Checkpoint,
    OutputLock,
    load,
    resolve_output,
    save,
    write_to,
)
from charrnn.errors import DivergedError, OutputError, field, writing_hint
from charrnn.filenames import best_path, files_of
from charrnn.training.records import Saved
from charrnn.training.surviving import survive

#: What to do about a directory in which no lock can be made.
WRITABLE = (
    f"{field('output')}: its directory must be there, and you may have to write in it"
)


class FileOutput:
    """Checkpoints in files, locked against a second run while in use.

    Parameters
    ----------
    path : Path
        The file of the last state; `best_path` names that of the best one.
    replace : bool
        Whether files that exist may be replaced: ``force`` or ``resume``.
    survives : bool
        Whether what is being saved gets into its file even if this process is killed
        meanwhile; see `surviving`.

    Raises
    ------
    OutputError
        A file exists and may not be replaced, is not a regular file, or
        another run holds it.
    """

    once = False

    def __init__(self, path: Path, *, replace: bool, survives: bool = False) -> None:
        self.path = path
        self._replace = replace
        self._survives = survives
        self._locks = ExitStack()
        #: The files that are locked: a link that is changed meanwhile leads nowhere
        #: else.
        self._targets: dict[Path, Path] = {}

    def __enter__(self) -> Self:
        """Check and lock both files."""
        try:
            self._lock()
        except OutputError as error:
            error.hint = error.hint or WRITABLE
            raise
        return self

    def check(self) -> dict[Path, Path]:
        """See whether both files could be written, and write nothing.

        Returns
        -------
        dict
            Where each of them leads to.

        Raises
        ------
        OutputError
            A file exists and may not be replaced, or is not a regular file.
        """
        best = best_path(self.path)
        targets = {}
        for path in files_of(self.path):
            targets[path] = resolve_output(path)
            if path.exists() and not self._replace:
                hint = (
                    f"{field('force', True)} replaces it, {field('resume', True)} "
                    f"continues it, or name another {field('output', brief=True)}"
                )
                msg = f"{path} exists already"
                raise OutputError(msg, hint=hint)
        if targets[self.path] == targets[best]:
            msg = f"{self.path} and {best} are one file"
            hint = f"remove the link, or name another {field('output', brief=True)}"
            raise OutputError(msg, hint=hint)
        return targets

    def _lock(self) -> None:
        """Check and lock both files."""
        targets = self.check()
        with ExitStack() as locks:
            for path in targets:
                locks.enter_context(OutputLock(path))
            self._locks, self._targets = locks.pop_all(), targets

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let other runs have the files."""
        self.release()

    def release(self) -> None:
        """Let other runs have the files, whatever becomes of this one."""
        self._locks.close()
        self._targets = {}

    @contextmanager
    def held(self) -> Iterator[None]:
        """Lock the files for a while, unless they are locked already.

        Raises
        ------
        OutputError
            Another run holds one of them.
        """
        if self._targets:
            yield
            return
        with self:
            yield

    def save(self, checkpoint: Checkpoint, *, best: bool, last: bool) -> Saved:
        """Replace one of the files; see `checkpoint.save` for its errors."""
        path = best_path(self.path) if best else self.path
        task = partial(save, self._targets.get(path, path), checkpoint)
        try:
            survive(task) if self._survives else task()
        except (OutputError, DivergedError) as error:
            error.where = str(path)
            raise
        self._replace = True  # from now on it is this run's own
        step = checkpoint.training.step if checkpoint.training else 0
        return Saved(step, path, best)

    def read_best(self) -> Checkpoint | None:
        """Read the file of the best evaluation; see `checkpoint.load` for its errors.

        Returns
        -------
        Checkpoint or None
            None if there is no such file.
        """
        path = best_path(self.path)
        target = self._targets.get(path, path)
        return load(target) if target.exists() else None


class StreamOutput:
    """The last checkpoint as bytes on a stream, and nothing before.

    Parameters
    ----------
    stream : binary file
        It is not sought in.
    """

    path: Path | None = None
    once = True

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def __enter__(self) -> Self:
        """Nothing is opened."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Nothing is closed."""

    def release(self) -> None:
        """Nothing is held."""

    @contextmanager
    def held(self) -> Iterator[None]:
        """Lock nothing."""
        yield

    def save(self, checkpoint: Checkpoint, *, best: bool, last: bool) -> Saved | None:
        """Write the bytes if this is the last one.

        Raises
        ------
        OutputError
            The stream does not take them.
        """
        if best or not last:
            return None
        try:
            write_to(self._stream, checkpoint)
            self._stream.flush()
        except OSError as error:
            msg = f"cannot write the checkpoint: {error.strerror}"
            hint = writing_hint(error)
            raise OutputError(msg, where="standard output", hint=hint) from None
        step = checkpoint.training.step if checkpoint.training else 0
        return Saved(step, Path("-"), best)

    def read_best(self) -> Checkpoint | None:
        """Have no file of the best evaluation."""
        return None


class NoOutput:
    """No file at all: whoever wants one asks the run for it."""

    path: Path | None = None
    once = False

    @contextmanager
    def held(self) -> Iterator[None]:
        """Lock nothing."""
        yield

    def save(self, checkpoint: Checkpoint, *, best: bool, last: bool) -> Saved | None:
        """Write nothing."""
        return None

    def read_best(self) -> Checkpoint | None:
        """Have no file of the best evaluation."""
        return None


class Elsewhere(NoOutput):
    """The output of a run whose files another rank writes.

    Parameters
    ----------
    output : FileOutput or StreamOutput
        What is written there; not entered here.
    """

    def __init__(self, output: FileOutput | StreamOutput) -> None:
        self.path = output.path
        self.once = output.once
