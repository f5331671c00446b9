r"""The container: a zip of stored ``.npy`` members, in one canonical form.

::

    local header, name, .npy header, values     once for each member
    central directory                           one entry for each member
    end record

Nothing is compressed, dated, padded or optional, so the names, shapes and CRCs
of the members decide every other byte of the file. A reader therefore parses
next to nothing: it forms the bytes that must be there and compares. That
rejects encrypted, compressed, duplicate, overlapping, hidden and trailing data
all at once, and notices a flip of any bit.

Sizes and offsets are the 32-bit ones of the original format: a file is
smaller than 4 GiB. Field by field: PKWARE's APPNOTE.TXT, sections 4.3.7,
4.3.12 and 4.3.16, and NumPy's ``numpy.lib.format``, version 1.0.
"""

import math
import struct
from collections.abc import Sequence
from typing import NamedTuple

from charrnn.parameters import Shape

#: One byte more would be the mark of the 64-bit extension.
MAX_FILE = 2**32 - 2

LOCAL = struct.Struct("<4s5H3I2H")
CENTRAL = struct.Struct("<4s6H3I5H2I")
END = struct.Struct("<4s4H2IH")

SIGNATURE = b"PK\x03\x04"

# Version 2.0 needed, no flags, stored, 00:00 on 1980-01-01 (zip's first day).
COMMON = (20, 0, 0, 0, (1 << 5) | 1)

#: Written by a Unix system, so that the mode below is understood.
MADE_BY = (3 << 8) | 20

#: A regular file, rw-r--r--, for those who unpack the archive.
ATTRIBUTES = 0o100644 << 16


class Member(NamedTuple):
    """One ``.npy`` file in the archive."""

    name: str  # without ".npy"
    descr: str  # NumPy's name of the type, such as "<f4"
    shape: Shape

    @property
    def filename(self) -> bytes:
        """The name as the archive has it."""
        return self.name.encode("ascii") + b".npy"

    @property
    def nbytes(self) -> int:
        """Size of the values."""
        return math.prod(self.shape) * int(self.descr[2:])

    @property
    def npy_header(self) -> bytes:
        """What stands before the values, padded to a multiple of 64 bytes."""
        text = (
            f"{{'descr': '{self.descr}', 'fortran_order': False, "
            f"'shape': {self.shape}, }}"
        )
        padding = -(10 + len(text) + 1) % 64
        body = text.encode("ascii") + b" " * padding + b"\n"
        return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(body)) + body

    @property
    def size(self) -> int:
        """Size of the ``.npy`` file."""
        return len(self.npy_header) + self.nbytes

    @property
    def span(self) -> int:
        """Size of the member with its local header."""
        return LOCAL.size + len(self.filename) + self.size

    def prefix(self, crc: int) -> bytes:
        """Form all that stands before the values: local header, name, header."""
        name = self.filename
        sizes = (crc, self.size, self.size, len(name), 0)
        header = LOCAL.pack(SIGNATURE, *COMMON, *sizes)
        return header + name + self.npy_header


def local_crc_and_size(header: bytes) -> tuple[int, int]:
    """Take the CRC and the size of the ``.npy`` file out of a local header."""
    fields = LOCAL.unpack_from(header)
    return fields[6], fields[7]


def directory_size(members: Sequence[Member]) -> int:
    """Add up the central directory and the end record."""
    entries = sum(CENTRAL.size + len(member.filename) for member in members)
    return entries + END.size


def file_size(members: Sequence[Member]) -> int:
    """Add up the whole file."""
    return sum(member.span for member in members) + directory_size(members)


def starts(members: Sequence[Member]) -> list[int]:
    """Locate every member's first byte and, last, that of the directory."""
    offsets = [0]
    for member in members:
        offsets.append(offsets[-1] + member.span)
    return offsets


def directory(members: Sequence[Member], crcs: Sequence[int]) -> bytes:
    """Form the central directory and the end record."""
    offsets = starts(members)
    entries = []
    for member, crc, offset in zip(members, crcs, offsets[:-1], strict=True):
        name = member.filename
        sizes = (crc, member.size, member.size, len(name), 0, 0, 0, 0)
        entries.append(
            CENTRAL.pack(b"PK\x01\x02", MADE_BY, *COMMON, *sizes, ATTRIBUTES, offset)
            + name
        )
    table = b"".join(entries)
    counts = (0, 0, len(members), len(members), len(table), offsets[-1], 0)
    return table + END.pack(b"PK\x05\x06", *counts)


def directory_crcs(data: bytes, members: Sequence[Member]) -> list[int]:
    """Take the CRCs out of a central directory of the right size.

    They are all that is not known beforehand; whether the rest is right shows
    when :func:`directory` forms it again.
    """
    crcs = []
    start = 0
    for member in members:
        # Signature, 6 shorts, CRC: see CENTRAL.
        crcs.append(struct.unpack_from("<I", data, start + 16)[0])
        start += CENTRAL.size + len(member.filename)
    return crcs
