"""A zip archive of the canonical form is laid out by hand."""

import struct

from charrnn.checkpoint import (
    archive,
)
from charrnn.checkpoint.archive import Member


def test_a_directory_entry_is_parsed_where_it_stands() -> None:
    """The CRC's place in a central header, worked out from its fields."""
    member = Member("x", "<f4", (3,))
    data = archive.directory([member, member], [0xDEADBEEF, 7])

    assert archive.directory_crcs(data, [member, member]) == [0xDEADBEEF, 7]
    assert struct.unpack_from("<I", data, 16) == (0xDEADBEEF,)
