"""Inputs of the fuzz targets: where to begin, and what was worth keeping.

``checkpoint.txt`` and ``text.txt`` hold inputs in base64, one a line: a small
selection of those by which long runs reached something new.
"""

import base64
import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from charrnn.checkpoint import Remembered
from charrnn.config import CellName
from tests.checkpoint.support import split, to_bytes
from tests.factories import any_checkpoint
from tests.fuzz.targets import ENCODINGS

WORDS = "Zürich\r\nπ≈3.14 😀\nかな漢字\r"

CELLS: tuple[CellName, ...] = ("rnn", "gru", "lstm")


def kept(target: str) -> list[bytes]:
    """Read the inputs that were kept."""
    path = Path(__file__).with_name(f"{target}.txt")
    return [base64.b64decode(line) for line in path.read_text().split()]


def keep(target: str, inputs: list[bytes]) -> None:
    """Write them, the shortest first."""
    lines = [base64.b64encode(data).decode() for data in sorted(inputs, key=len)]
    Path(__file__).with_name(f"{target}.txt").write_text("\n".join(lines) + "\n")


def seeds(target: str) -> list[bytes]:
    """Make sound inputs to begin with."""
    if target == "text":
        return [
            bytes([n, options, 4]) + WORDS.encode(encoding, "replace")
            for n, encoding in enumerate(ENCODINGS)
            for options in (0, 6)
        ]
    found = []
    for cell in CELLS:
        made = any_checkpoint(cell, "sgd", hidden=1, layers=1, symbols="\na")
        memory = Remembered(ids=np.array([0, 1, 1], np.uint8), order=2, share=0.5)
        for checkpoint in (made, replace(made, memory=memory)):
            data = to_bytes(checkpoint)
            table = _of_zeros(split(data)[0])
            found.append(b"\0" + data)
            found.append(b"\1" + json.dumps(table).encode("ascii"))
    return found


def _of_zeros(table: dict[str, Any]) -> dict[str, Any]:
    """Let a manifest promise zeros, as a fuzzed one gets."""
    for entry in table["tensors"]:
        size = 4
        for n in entry["shape"]:
            size *= n
        entry["sha256"] = hashlib.sha256(bytes(size)).hexdigest()
    if (memory := table.get("memory")) is not None:
        zeros = bytes(memory["characters"])
        memory["sha256"] = hashlib.sha256(zeros).hexdigest()
    return table
