"""A process that scores a text with another weight of what is read.

`growth.WEIGHT` is compiled into kernels. A process that has another one keeps its
kernels in a directory that it is given, so that nobody else ever meets them.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def adapted_loss(
    checkpoint: Path, text: Path, weight: int, cache: Path, threads: int
) -> float:
    """Compute what a character of a text costs on average where counts go on.

    Parameters
    ----------
    checkpoint : Path
    text : Path
        Read from its beginning.
    weight : int
        What a count of the text is worth.
    cache : Path
        Where kernels with this weight are kept: no other's directory.
    threads : int

    Returns
    -------
    float
        Nats.
    """
    given = checkpoint.absolute(), text.absolute(), weight, cache.absolute(), threads
    done = subprocess.run(
        [sys.executable, "-c", "import weighing; weighing.score()", *map(str, given)],
        cwd=HERE,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    found: float = json.loads(done.stdout)
    return found


def score() -> None:
    """Print the loss, in a process of its own that is given all of it in words."""
    checkpoint, text, weight, cache, threads = sys.argv[1:]
    # Read when kernels are imported.
    os.environ["CHARRNN_CACHE_DIR"] = cache
    os.environ.pop("NUMBA_CACHE_DIR", None)  # would go before ours

    import charrnn
    from charrnn.kernels import growth

    growth.WEIGHT = int(weight)  # read when kernels are compiled
    model = charrnn.load(checkpoint, threads=int(threads))
    read = Path(text).read_bytes().decode("utf-8")
    print(json.dumps(model.loss(read, adapt=True)))
