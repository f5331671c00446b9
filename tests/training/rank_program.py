"""The command as one of several processes, which leaves its number and may fail.

Run as ``python -m tests.training.rank_program FAILURE train ...``. Rank n writes its
process number to the file ``rank-n`` in the working directory. At its third step, rank
1 meets a FAILURE: ``error`` raises an exception. With ``disk`` it is rank 0's, whose
files cannot grow, and with ``slow`` each of its files takes a second; ``none`` is none.
"""

import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

from charrnn.__main__ import main
from charrnn.launcher import launched


def fail_at_third_step() -> None:
    """Have the third step of this process raise what nobody expects."""
    from charrnn.training.trainer import Trainer

    step, taken = Trainer.step, [0]

    def failing(trainer: Trainer, progress: float) -> Any:
        taken[0] += 1
        if taken[0] == 3:
            msg = "a fault of ours"
            raise RuntimeError(msg)
        return step(trainer, progress)

    Trainer.step = failing  # type: ignore[method-assign, assignment]


def fill_the_disk() -> None:
    """Have every file that this process saves be too large."""
    from charrnn.training.output import FileOutput

    save = FileOutput.save

    def limited(output: FileOutput, *given: Any, **more: Any) -> Any:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))
        return save(output, *given, **more)

    FileOutput.save = limited  # type: ignore[method-assign, assignment]


def save_slowly() -> None:
    """Have every file that this process saves take a second."""
    from charrnn.training import output

    save = output.save  # type: ignore[attr-defined]

    def slow(*given: Any) -> None:
        time.sleep(1)
        save(*given)

    output.save = slow  # type: ignore[attr-defined, assignment]


if __name__ == "__main__":
    failure = sys.argv.pop(1)
    rank = launched().rank
    Path(f"rank-{rank}").write_text(str(os.getpid()))
    if failure == "error" and rank == 1:
        fail_at_third_step()
    if failure == "disk" and rank == 0:
        fill_the_disk()
    if failure == "slow" and rank == 0:
        save_slowly()
    main()
