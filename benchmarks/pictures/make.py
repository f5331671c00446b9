"""Make the pictures of the README, with the commands that users have.

A model is trained with the defaults on the text that comes with charrnn, and
inspected on passages from its end, which the training held out.

    python benchmarks/pictures/make.py [--checkpoint FILE]
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

PICTURES = Path(__file__).resolve().parent
CORPUS = PICTURES.parent.parent / "corpora" / "saltmarsh.txt"

#: The passages that are shown: where they begin, and how long they are.
SURPRISE, NEURONS = ("From the log, 26th June.", 400), ('"Oh, surely!', 210)

#: Characters of the end that memory is measured on.
MEMORY = 13_000

#: Bytes that a picture may have.
MOST = 60_000


def main() -> None:
    """Train unless a checkpoint is given, and write the three drawings."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--checkpoint", type=Path, help="trained on saltmarsh.txt")
    checkpoint = parser.parse_args().checkpoint
    text = CORPUS.read_text()
    with tempfile.TemporaryDirectory() as directory:
        if checkpoint is None:
            checkpoint = Path(directory) / "saltmarsh.npz"
            charrnn("train", str(CORPUS), "-o", str(checkpoint))
        else:
            checkpoint = checkpoint.resolve()
        draw(checkpoint, "surprise", passage(text, *SURPRISE), "--top", "3")
        start, length = NEURONS  # what units follow is measured to the end
        draw(checkpoint, "neurons", text[text.index(start) :], "--top", "2",
             "--max-chars", str(length))  # fmt: skip
        draw(checkpoint, "memory", text[-MEMORY:])


def passage(text: str, start: str, length: int) -> str:
    """Cut a passage out of a text, to the end of a line."""
    place = text.index(start)
    return text[place : text.index("\n", place + length)]


def draw(checkpoint: Path, view: str, text: str, *options: str) -> None:
    """Draw one view of a text."""
    picture = PICTURES / f"{view}.svg"
    path = ("--svg", str(picture))
    charrnn("inspect", checkpoint.name, "--view", view, "--text", text, *path,
            "--width", "86", *options, where=checkpoint.parent)  # fmt: skip
    size = picture.stat().st_size
    if size > MOST:
        sys.exit(f"{picture} has {size:,} bytes")


def charrnn(*arguments: str, where: Path | None = None) -> None:
    """Run the command, and stop if it fails."""
    subprocess.run([sys.executable, "-m", "charrnn", *arguments], check=True, cwd=where)


if __name__ == "__main__":
    main()
