"""Files that are no texts, known by the bytes that they begin with."""

from dataclasses import dataclass

#: What to do about a file that is no text.
UNPACK = "unpack it first"
EXPORT = "save it as plain text first"
OTHER = "name a text file"


@dataclass(frozen=True)
class FileKind:
    """A kind of file."""

    name: str  # with its article, as in "it is ..."
    remedy: str = OTHER

    def __str__(self) -> str:
        return self.name


GZIP = FileKind("a gzip file", f"{UNPACK}, for instance with gunzip")
BZIP2 = FileKind("a bzip2 file", f"{UNPACK}, for instance with bunzip2")
XZ = FileKind("an xz file", f"{UNPACK}, for instance with unxz")
ZSTD = FileKind("a Zstandard file", f"{UNPACK}, for instance with unzstd")
ZIP = FileKind("a zip archive", f"{UNPACK}, for instance with unzip")
TAR = FileKind("a tar archive", f"{UNPACK}, for instance with tar")
PDF = FileKind("a PDF document", "take its text out first, for instance with pdftotext")
OFFICE = FileKind("a document of an office program (a zip archive)", EXPORT)
ARRAYS = FileKind("an archive of arrays (.npz), as checkpoints are")

#: Kinds by the place and the bytes of their signatures.
SIGNATURES: tuple[tuple[int, bytes, FileKind], ...] = (
    (0, b"\x1f\x8b\x08", GZIP),
    (0, b"BZh91AY&SY", BZIP2),
    (0, b"\xfd7zXZ\0", XZ),
    (0, b"\x28\xb5\x2f\xfd", ZSTD),
    (0, b"\x04\x22\x4d\x18", FileKind("an LZ4 file", UNPACK)),
    (0, b"\x1f\x9d", FileKind("a compressed file (.Z)", UNPACK)),
    (0, b"7z\xbc\xaf\x27\x1c", FileKind("a 7-Zip archive", UNPACK)),
    (0, b"Rar!\x1a\x07", FileKind("a RAR archive", UNPACK)),
    (0, b"PK\x03\x04", ZIP),
    (0, b"PK\x05\x06", FileKind("an empty zip archive")),
    (257, b"ustar\0", TAR),
    (257, b"ustar  \0", TAR),
    (0, b"%PDF-", PDF),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", FileKind("an old office file", EXPORT)),
    (0, b"\x89PNG\r\n\x1a\n", FileKind("a PNG picture")),
    (0, b"\xff\xd8\xff", FileKind("a JPEG picture")),
    (0, b"GIF87a", FileKind("a GIF picture")),
    (0, b"GIF89a", FileKind("a GIF picture")),
    (0, b"II*\0", FileKind("a TIFF picture")),
    (0, b"MM\0*", FileKind("a TIFF picture")),
    (0, b"RIFF", FileKind("a RIFF file, such as WAV, AVI or WebP")),
    (0, b"OggS\0", FileKind("an Ogg file")),
    (0, b"fLaC\0", FileKind("a FLAC sound file")),
    (0, b"ID3", FileKind("an MP3 sound file")),
    (4, b"ftyp", FileKind("an MP4 file")),
    (0, b"MThd\0\0\0\6", FileKind("a MIDI file")),
    (0, b"\x7fELF", FileKind("an ELF program")),
    (0, b"MZ", FileKind("a Windows program")),
    (0, b"\xcf\xfa\xed\xfe", FileKind("a macOS program")),
    (0, b"\xca\xfe\xba\xbe", FileKind("a Java class or a macOS program")),
    (0, b"\0asm", FileKind("a WebAssembly program")),
    (0, b"SQLite format 3\0", FileKind("an SQLite database", "export a text first")),
    (0, b"\x93NUMPY", FileKind("a NumPy array (.npy)")),
    (0, b"\x89HDF\r\n\x1a\n", FileKind("an HDF5 file")),
    (0, b"GGUF", FileKind("a GGUF model")),
    (0, b"PAR1", FileKind("a Parquet file", "export a text first")),
)


def recognize_file(head: bytes) -> FileKind | None:
    """Tell what kind of file begins so; None if it may be a text.

    Only bytes that no text has, beside a signature, make sure of it: a text may well
    begin with ``GIF89a``.

    Parameters
    ----------
    head : bytes
        The file's beginning: a few hundred bytes, or all of it.
    """
    for place, signature, kind in SIGNATURES:
        if head.startswith(signature, place):
            plain = signature.isascii() and signature.decode("ascii").isprintable()
            strange = b"\0" in head or (len(signature) > 4 and not head.isascii())
            if plain and not strange:
                return None
            return _of_archive(head) if kind is ZIP else kind
    return None


def _of_archive(head: bytes) -> FileKind:
    """Tell an archive by the name of its first member."""
    name = head[30 : 30 + int.from_bytes(head[26:28], "little")]
    if name.endswith(b".npy"):
        return ARRAYS
    if name.startswith((b"[Content_Types]", b"_rels/", b"docProps/", b"mimetype")):
        return OFFICE
    if name.startswith((b"word/", b"xl/", b"ppt/", b"META-INF/container")):
        return OFFICE
    return ZIP
