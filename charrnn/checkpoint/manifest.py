"""The manifest: everything of a checkpoint but its arrays, as JSON.

Dataclasses are written field by field and read back by their own type hints,
exactly: a number in quotes, a NaN or a key that stands twice is an error. A
field that a file does not have yet takes its default, a key that nobody knows
is skipped; so files of any format 1.x and 2.x can be read.
"""

import dataclasses
import functools
import json
import math
import re
import sys
import types
from dataclasses import dataclass
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np

from charrnn import strict_json
from charrnn.checkpoint.archive import Member
from charrnn.checkpoint.contents import (
    Checkpoint,
    CorpusFingerprint,
    Remembered,
    TrainingState,
    check_remembered,
    expected_tensors,
    ids_type,
    thinned,
    to_columns,
    to_rows,
)
from charrnn.config import ModelConfig
from charrnn.errors import CharRNNError, CheckpointError, OutputError, field
from charrnn.parameters import Shape
from charrnn.vocab import Vocab
from charrnn.windows import SEPARATOR

FORMAT = "charrnn"
VERSION = "1.0"

#: The version of files that say `Manifest.lines`, which 1.0 does not know.
LINES_VERSION = "1.1"

#: The version of files that say `Manifest.remembers`, which 1.1 does not know.
REMEMBERS_VERSION = "1.2"

#: The version of files that no program for 1.x can use: those with a member more, a
#: memory, and those of networks with lags.
MEMORY_VERSION = "2.0"

#: The version of files of pairs, which 2.0 would take for running text.
PAIRS_VERSION = "2.1"

#: The versions of files of runs in bfloat16, for programs of 1.x and 2.x. Older ones
#: can read and use them; resuming such a run, they would go on in float32.
PRECISION_VERSIONS = ("1.3", "2.2")

#: The first numbers of the versions that are read.
MAJORS = range(1, 3)

#: The manifest's member, the first of the file.
NAME = "charrnn.json"

#: The member of the memory, the last of the file.
MEMORY = "memory"

MAX_BYTES = 16 * 2**20

#: What reading a manifest may take, as `_memory_needed` estimates it: the file's
#: bytes do not bound it, for Python has up to a hundred bytes for one of them.
MAX_MEMORY = 48 * 2**20

MAX_FLOAT = sys.float_info.max

NOT_OURS = "not a charrnn checkpoint"


@dataclass(frozen=True)
class TensorEntry:
    """One line of the table of tensors."""

    name: str
    dtype: Literal["float32"]
    shape: Shape
    sha256: str  # of the values alone, without the member's header


@dataclass(frozen=True)
class MemoryEntry:
    """What a file says of its memory: the text's ids are a member of their own."""

    order: int
    share: float
    dtype: Literal["uint8", "uint16", "uint32"]
    characters: int
    sha256: str  # of the ids alone, without the member's header

    def __post_init__(self) -> None:
        """Check that it can be counted."""
        check_remembered(self.characters, self.order, self.share)

    @classmethod
    def of(cls, memory: Remembered, vocab_size: int, digest: str) -> "MemoryEntry":
        """Describe a memory whose ids have this SHA-256, in hexadecimal."""
        dtype: Any = ids_type(vocab_size).name
        return cls(memory.order, memory.share, dtype, len(memory.ids), digest)

    @property
    def member(self) -> Member:
        """The member that holds the ids."""
        descr = np.dtype(self.dtype).newbyteorder("<").str
        return Member(MEMORY, descr, (self.characters,))


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The JSON object, field by field."""

    format: str = FORMAT
    version: str = VERSION
    model: ModelConfig
    vocab: Vocab
    tensors: tuple[TensorEntry, ...]
    training: TrainingState | None
    corpus: CorpusFingerprint
    history: dict[str, list[int | float | None]]  # columns
    #: Whether a model without a run was trained on lines as documents. Written only
    #: where it is true: a run says so in its own configuration.
    lines: bool = False
    #: The same of pairs; a run's configuration has `pairs` where that is true only.
    pairs: bool = False
    #: Written only where there is one.
    memory: MemoryEntry | None = None
    #: Whether there will be one when the run ends. Written only where that is so.
    remembers: bool = False

    @property
    def members(self) -> list[Member]:
        """The members behind the manifest, in the order of the file."""
        found = [Member(entry.name, "<f4", entry.shape) for entry in self.tensors]
        return found if self.memory is None else [*found, self.memory.member]

    def __post_init__(self) -> None:
        """Check that the parts fit together."""
        if self.memory is not None:
            self._check_memory(self.memory)
        self._check_pairs()
        if len(self.vocab.symbols) != self.model.vocab_size:
            msg = "the vocabulary's size is not the model's"
            raise ValueError(msg)
        to_rows(self.history)
        expected = expected_tensors(self.model, self.training)
        found = [entry.name for entry in self.tensors]
        for name in found:
            if name not in expected:
                msg = f"unexpected tensor {name[:80]!r}"
                raise ValueError(msg)
        for name in expected:
            if found.count(name) != 1:
                msg = (
                    f"tensor {name} is {'listed twice' if name in found else 'missing'}"
                )
                raise ValueError(msg)
        if found != list(expected):
            msg = "its tensors are out of order"
            raise ValueError(msg)
        for entry in self.tensors:
            if entry.shape != expected[entry.name]:
                msg = f"{entry.name} is {entry.shape}, not {expected[entry.name]}"
                raise ValueError(msg)

    @property
    def of_pairs(self) -> bool:
        """Whether the model was trained on pairs, by its run or without one."""
        return self.pairs if self.training is None else self.training.config.pairs

    def _check_pairs(self) -> None:
        """Check that a model of pairs can read some."""
        if self.pairs and (self.lines or self.training is not None):
            msg = "a model of pairs is of lines, too, or says so twice"
            raise ValueError(msg)
        if not self.of_pairs:
            return
        if _numbers(self.version) < _numbers(PAIRS_VERSION):
            msg = f"files of format {self.version} know no pairs"
            raise ValueError(msg)
        if not {SEPARATOR, "\n"} <= set(self.vocab.symbols):
            msg = "a model of pairs without a tab or a newline"
            raise ValueError(msg)

    def _check_memory(self, memory: MemoryEntry) -> None:
        """Check that there can be a memory, and that its ids are of the right type."""
        if self.version.startswith("1."):
            msg = f"files of format {self.version} have no memory"
            raise ValueError(msg)
        if memory.dtype != (right := ids_type(self.model.vocab_size).name):
            msg = f"the memory is {memory.dtype}, not {right}"
            raise ValueError(msg)


def describe(
    checkpoint: Checkpoint, digests: dict[str, str], memory_digest: str | None = None
) -> Manifest:
    """Make a checkpoint's manifest.

    Parameters
    ----------
    digests : dict
        The SHA-256 of every tensor in hexadecimal, in the order of the file.
    memory_digest : str, optional
        That of the memory's ids, of a checkpoint that has a memory.
    """
    shapes = expected_tensors(checkpoint.model, checkpoint.training)
    history = to_columns(thinned(checkpoint.history))
    lines = checkpoint.lines and checkpoint.training is None
    memory, lagged = None, len(checkpoint.model.lags) > 1
    if checkpoint.memory is not None and memory_digest is not None:
        vocab_size = checkpoint.model.vocab_size
        memory = MemoryEntry.of(checkpoint.memory, vocab_size, memory_digest)
    remembers = checkpoint.remembers and memory is None
    pairs = checkpoint.pairs and checkpoint.training is None
    run = checkpoint.training
    return Manifest(
        version=_version(
            lines=lines,
            remembers=remembers,
            newest=memory is not None or lagged,
            pairs=checkpoint.of_pairs,
            rounded=run is not None and run.config.precision != "float32",
        ),
        lines=lines,
        pairs=pairs,
        model=checkpoint.model,
        vocab=checkpoint.vocab,
        tensors=tuple(
            TensorEntry(name, "float32", shapes[name], digest)
            for name, digest in digests.items()
        ),
        training=checkpoint.training,
        corpus=checkpoint.corpus,
        # The norm of a gradient that overflowed is history, too.
        history={k: [_finite(v) for v in column] for k, column in history.items()},
        memory=memory,
        remembers=remembers,
    )


def _version(
    *, lines: bool, remembers: bool, newest: bool, pairs: bool, rounded: bool
) -> str:
    """Choose the oldest version that has all that a file says."""
    if rounded:
        return PRECISION_VERSIONS[newest or pairs]
    if pairs:
        return PAIRS_VERSION
    if newest:
        return MEMORY_VERSION
    if remembers:
        return REMEMBERS_VERSION
    return LINES_VERSION if lines else VERSION


def encode(manifest: Manifest) -> bytes:
    """Write a manifest.

    Raises
    ------
    OutputError
        It would be larger than a reader accepts.
    """
    # ASCII, so that no single character can make the text wide when read.
    written = _plain(manifest)
    if written["model"]["lags"] == [1]:
        del written["model"]["lags"]
    for name in ("lines", "pairs", "memory", "remembers"):
        if not written[name]:
            del written[name]
    if written["training"]:
        config = written["training"]["config"]
        for name, usual in (("pairs", False), ("precision", "float32")):
            if config[name] == usual:
                del config[name]
    text = json.dumps(written, allow_nan=False, separators=(",", ":"))
    if len(text) > MAX_BYTES or _memory_needed(text) > MAX_MEMORY:
        msg = "the vocabulary or the list of files is too large for a checkpoint"
        hint = f"use {field('min_count')}, or {field('unit', 'byte')}, or fewer files"
        raise OutputError(msg, hint=hint)
    return text.encode("ascii")


def decode(data: bytes) -> Manifest:
    """Read a manifest and check all that can be checked without the arrays.

    Raises
    ------
    CheckpointError
        It is not a manifest, is of a newer format, or contradicts itself.
    """
    value = _parse(data)
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise CheckpointError(NOT_OURS)
    _check_version(value.get("version"))
    manifest: Manifest = _build(Manifest, value, "it")
    return manifest


def _check_version(version: object) -> None:
    """Refuse formats whose meaning we cannot know."""
    # Without zeros in front, so that a version is written in one way only.
    number = r"(0|[1-9]\d{0,3})"
    match = re.fullmatch(rf"{number}\.{number}", str(version), re.ASCII)
    if not match or int(match[1]) < MAJORS[0]:
        msg = f"unknown format version {str(version)[:20]!r}"
        raise CheckpointError(msg)
    if int(match[1]) > MAJORS[-1]:
        ours = " and ".join(f"{major}.x" for major in MAJORS)
        msg = (
            f"written by a newer charrnn (format {version}); this version reads {ours}"
        )
        raise CheckpointError(msg, hint="upgrade charrnn")


def _numbers(version: str) -> tuple[int, ...]:
    """Read the numbers of a version that is known to have some."""
    return tuple(map(int, version.split(".")))


def _memory_needed(text: str) -> int:
    """Bound the bytes that reading a JSON text takes from above.

    The factors are what the worst texts of each kind were seen to take: one
    long string, with wide characters or without; many short values; many keys.
    """
    values = sum(map(text.count, ",[{")) + 1
    width = 11 if "\\u" in text else 3
    return width * len(text) + 100 * values + 400 * text.count(":")


def _parse(data: bytes) -> object:
    """Read a manifest's JSON."""
    try:
        text = data.decode("ascii")
        if _memory_needed(text) > MAX_MEMORY:
            msg = "too large to be one"
            raise ValueError(msg)
        return strict_json.parse(text)
    except ValueError as error:
        msg = f"invalid manifest: {str(error)[:100]}"
        raise CheckpointError(msg) from None


def _plain(value: Any) -> Any:
    """Reduce dataclasses, tuples and NumPy scalars to what JSON has."""
    if dataclasses.is_dataclass(value):
        kind: Any = type(value)
        return {f.name: _plain(getattr(value, f.name)) for f in _fields(kind) if f.init}
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value.item() if isinstance(value, np.generic) else value


def _finite(value: float | None) -> float | None:
    """Pass numbers through, but for infinities and NaN."""
    return value if value is not None and math.isfinite(value) else None


@functools.cache
def _fields(kind: Any) -> tuple[dataclasses.Field[Any], ...]:
    """List the fields of a dataclass, once."""
    return dataclasses.fields(kind)


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    """Resolve the type hints of a dataclass, once."""
    return get_type_hints(kind)


def _build(kind: Any, value: Any, where: str) -> Any:
    """Turn parsed JSON into a value of exactly the type that is hinted.

    Parameters
    ----------
    kind : type hint
        A dataclass, Literal, union, tuple, list, dict or scalar.
    where : str
        The path to the value, for messages.
    """
    origin, args = get_origin(kind), get_args(kind)
    if dataclasses.is_dataclass(kind) and isinstance(value, dict):
        return _build_dataclass(kind, value)
    if origin in {Union, types.UnionType}:
        if value is None and types.NoneType in args:
            return None
        # JSON tells 1 from 1.0, so at most one of the scalars fits.
        fitting = [arg for arg in args if arg is type(value)]
        rest = [arg for arg in args if arg is not types.NoneType]
        return _build((fitting or rest)[0], value, where)
    if origin is Literal and value in args and isinstance(value, str):
        return value
    if origin in {tuple, list} and isinstance(value, list):
        # Not from a generator: CPython would keep up to 2,000 tuples it outgrew.
        return origin([_build(args[0], item, where) for item in value])
    if origin is dict and isinstance(value, dict):
        return {key: _build(args[1], item, where) for key, item in value.items()}
    # bool is an int in Python, not in a file.
    if kind is int and type(value) is int and abs(value) < 2**63:
        return value
    if kind is float and type(value) in {int, float} and abs(value) <= MAX_FLOAT:
        return float(value)
    if kind in {str, bool} and type(value) is kind:
        return value
    shown = type(value).__name__ if isinstance(value, list | dict) else repr(value)
    msg = f"invalid manifest: {where} is {shown[:40]}"
    raise CheckpointError(msg)


def _build_dataclass(kind: Any, value: dict[str, Any]) -> Any:
    """Turn a JSON object into a dataclass, which then checks itself."""
    fields = {}
    for each in _fields(kind):
        if each.name in value:
            hint = _hints(kind)[each.name]
            fields[each.name] = _build(hint, value[each.name], each.name)
        elif each.default is each.default_factory is dataclasses.MISSING:
            msg = f"invalid manifest: {each.name} is missing"
            raise CheckpointError(msg)
    try:
        return kind(**fields)
    except (CharRNNError, ValueError) as error:
        msg = f"invalid manifest: {str(error)[:200]}"
        raise CheckpointError(msg) from None
