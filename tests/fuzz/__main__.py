"""Fuzz a reader for a while, guided by the code that its inputs reach.

    pip install atheris
    python -m tests.fuzz checkpoint|text [--minutes M] [--keep]

Begins with what was kept and with sound inputs. A broken promise ends it with
a traceback and the input; --keep afterwards replaces what was kept by a small
selection of inputs that reaches every line that all of them reach.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

#: Inputs are this long at most.
LONGEST = 4096

#: Inputs after which a new process goes on: atheris keeps a few kilobytes of each
#: text it watches (the same texts unwatched take nothing, 100,000 of them).
ROUND = 50_000


def work(target: str, arguments: list[str]) -> None:
    """Fuzz in this process, which libFuzzer ends."""
    import atheris  # type: ignore[import-untyped, unused-ignore]

    with atheris.instrument_imports(include=["charrnn", "json"]):
        from tests.fuzz.targets import TARGETS
    atheris.Setup([sys.argv[0], *arguments], TARGETS[target])
    atheris.Fuzz()


def lines_of(function: Callable[[bytes], None], data: bytes) -> set[tuple[str, int]]:
    """Find the lines of ours that an input reaches."""
    reached = set()

    def trace(frame: FrameType, event: str, _: object) -> object:
        name = frame.f_code.co_filename
        if "charrnn" not in Path(name).parent.parts:
            return None
        if event == "line":
            reached.add((name, frame.f_lineno))
        return trace

    sys.settrace(trace)  # type: ignore[arg-type]
    try:
        function(data)
    finally:
        sys.settrace(None)
    return reached


def selection(target: str, inputs: list[bytes]) -> list[bytes]:
    """Choose the shortest inputs by which each line is reached first."""
    from tests.fuzz.targets import TARGETS

    chosen, known = [], set[tuple[str, int]]()
    for data in sorted(inputs, key=len):
        reached = lines_of(TARGETS[target], data)
        if not reached <= known:
            chosen.append(data)
            known |= reached
    return chosen


def main() -> None:
    """Fuzz one target."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=("checkpoint", "text"))
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--worker", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    if options.worker is not None:
        work(options.target, options.worker)
        return
    from tests.fuzz.inputs import keep, kept, seeds  # not before they are watched

    with tempfile.TemporaryDirectory() as name:
        found = Path(name)
        for n, data in enumerate((*kept(options.target), *seeds(options.target))):
            (found / str(n)).write_bytes(data)
        command = (sys.executable, "-m", "tests.fuzz", options.target, "--worker")
        limits = (f"-max_len={LONGEST}", "-rss_limit_mb=1024", "-timeout=20")
        end = time.monotonic() + options.minutes * 60
        while (seconds := round(end - time.monotonic())) > 0:
            stop = (f"-max_total_time={seconds}", f"-runs={ROUND}")
            done = subprocess.run((*command, *stop, *limits, name), check=False)
            if done.returncode:
                sys.exit(done.returncode)
        inputs = [path.read_bytes() for path in found.iterdir()]
    chosen = selection(options.target, inputs)
    print(f"{len(inputs):,} inputs reach something new, {len(chosen)} every line")  # noqa: T201
    if options.keep:
        keep(options.target, chosen)


if __name__ == "__main__":
    main()
