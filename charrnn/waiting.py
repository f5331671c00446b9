"""Wait until somebody writes, or reads, at the other end of a descriptor."""

import errno
import select


def readable(descriptor: int, seconds: float | None = None) -> bool:
    """Wait until a read would not wait; False if nothing has come in that time.

    Parameters
    ----------
    seconds : float, optional
        For ever, if not given.
    """
    try:
        return bool(select.select([descriptor], [], [], seconds)[0])
    except OSError as error:
        return _cannot_wait(error)


def writable(descriptor: int, seconds: float | None = None) -> bool:
    """Wait until a write would not wait; False if nobody has read in that time.

    Parameters
    ----------
    seconds : float, optional
        For ever, if not given.
    """
    try:
        return bool(select.select([], [descriptor], [], seconds)[1])
    except OSError as error:
        return _cannot_wait(error)


def _cannot_wait(error: OSError) -> bool:
    """Let whoever reads or writes wait by doing so, where only sockets can be asked.

    That is so on Windows. Other errors are raised again.
    """
    if error.errno != errno.ENOTSOCK:
        raise error
    return True
