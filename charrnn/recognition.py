"""Recognize the encoding of a text that is not in the one it was read in.

Every candidate is tried by strict decoding, and what comes out is judged by whether
it looks like writing: letters of one script side by side, capitals at the beginning
of words, common Chinese characters, syllables of Japanese and Korean. Nothing is
guessed where nothing does.
"""

import codecs
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

#: The longer marks first: one of UTF-32 starts with one of UTF-16.
BYTE_ORDER_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}

#: Bytes of a text that are looked at.
SAMPLE = 1 << 14

#: Characters of UTF-16 or UTF-32 without a mark that make sure of it.
FEWEST_WIDE = 8

#: How much of a text must look like writing: of single bytes nearly all. Pairs of
#: bytes seldom decode at all where there are none, so that many of them say enough.
ENOUGH, ENOUGH_PAIRS, MANY_PAIRS = 0.8, 0.25, 16

#: Of two-byte encodings the first byte of the last row of common characters.
COMMON_ROWS = {"gb2312": 0xD7, "big5": 0xC6, "euc_jp": 0xCF, "euc_kr": 0xC8}

#: Signs that stand anywhere in a text of single bytes.
SIGNS = set("\xa0“”„‘’‚«»‹›–—…•·¿¡§°€£¥©®™№")  # noqa: RUF001

#: Letters with accents that follow one another at most.
MOST_ACCENTS = 3

#: Bytes that UTF-16 is recognized by without a zero.
FEWEST_HAN = 16

#: A character outside the first 65,536, as Java and some databases write it.
CESU = re.compile(rb"\xed[\xa0-\xaf][\x80-\xbf]\xed[\xb0-\xbf]")


@dataclass(frozen=True)
class Likeness:
    """What some bytes look like."""

    name: str  # for a message: "GBK (Chinese)"
    encoding: str  # the codec's name


@dataclass(frozen=True)
class _Candidate:
    """An encoding of texts in one script."""

    encoding: str
    name: str
    judge: Callable[[str], float]  # the share of foreign characters that are likely
    pairs: bool = False  # whether a foreign character is two bytes or more

    def score(self, data: bytes) -> float:
        """Judge some bytes, the last of which may be half a character."""
        try:
            text = codecs.getincrementaldecoder(self.encoding)().decode(data)
        except UnicodeError:
            return 0.0
        return self.judge(text)


def marked(head: bytes) -> str | None:
    """Name the encoding whose byte-order mark a text begins with."""
    marks = BYTE_ORDER_MARKS.items()
    return next((name for mark, name in marks if head.startswith(mark)), None)


def recognize_wide(head: bytes, *, valid: bool = True) -> Likeness | None:
    """Tell whether a text without a mark is UTF-16 or UTF-32, by its zeros.

    Such a text may well be valid UTF-8, which has a character for every zero.

    Parameters
    ----------
    head : bytes
        The text's beginning.
    valid : bool
        Whether it may be what it was read as: then spaces, and more than a few zeros,
        must make sure that it is not.
    """
    if b"\0" not in head:
        return None
    fewest = FEWEST_WIDE if valid else 1
    for order in ("le", "be"):
        whole = head[: len(head) // 4 * 4]
        if len(whole) >= 4 * fewest and _is_text(
            whole, f"utf-32-{order}", spaced=valid
        ):
            return Likeness("UTF-32", f"utf-32-{order}")
    whole = head[: len(head) // 2 * 2]
    for order, high, low in (("le", 1, 0), ("be", 0, 1)):
        rows, zeros = Counter(whole[high::2]), whole[low::2].count(0)
        # Alphabets stand in the first rows, whose numbers are those of control
        # characters: no letters of another text can be meant.
        alphabets = sum(count for row, count in rows.items() if row < 0x20)
        if (
            rows[0] >= max(fewest, len(whole) // 200, 50 * zeros)
            and alphabets >= 0.9 * (len(whole) // 2)
            and _is_text(whole, f"utf-16-{order}", spaced=valid)
        ):
            return Likeness("UTF-16", f"utf-16-{order}")
    return None


def _is_text(data: bytes, encoding: str, *, spaced: bool) -> bool:
    """Tell whether bytes decode to characters that texts have, perhaps with spaces."""
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(data)
    except UnicodeError:
        return False
    odd = sum(unicodedata.category(c) == "Cc" and not c.isspace() for c in text)
    return odd <= len(text) // 50 and (not spaced or any(map(str.isspace, text)))


def recognize_encoding(data: bytes, head: bytes) -> Likeness | None:
    """Tell in what a text seems to be encoded that is not UTF-8.

    Parameters
    ----------
    data : bytes
        Some of the text, with what was not UTF-8. It begins with a whole character
        of any encoding, such as the first of a line.
    head : bytes
        The text's beginning.
    """
    if wide := recognize_wide(head, valid=False) or _recognize_wide_han(head):
        return wide
    if is_binary(head):
        return None
    data = data[:SAMPLE]
    found = [(c.score(data), -i, c) for i, c in enumerate(CANDIDATES)]
    best = max(found)
    if best[0] < ENOUGH:
        best = max(item for item in found if item[2].pairs)
        foreign = sum(byte >= 0x80 for byte in data)
        if best[0] < ENOUGH_PAIRS or foreign < 2 * MANY_PAIRS:
            return None
    candidate = best[2]
    if candidate.encoding == "latin-1" and any(0x80 <= b < 0xA0 for b in data):
        return None
    return Likeness(candidate.name, candidate.encoding)


def _recognize_wide_han(head: bytes) -> Likeness | None:
    """Tell whether a text is UTF-16 by its East Asian characters."""
    if len(head) < FEWEST_HAN:
        return None
    for order in ("le", "be"):
        for judge in (
            _likely_han("gb2312"),
            _likely_han("big5"),
            _likely_japanese,
            _likely_han("euc_kr"),
        ):
            candidate = _Candidate(f"utf-16-{order}", "UTF-16", judge)
            if candidate.score(head) >= ENOUGH:
                return Likeness(candidate.name, candidate.encoding)
    return None


def is_mostly_utf8(before: bytes, data: bytes) -> bool:
    """Tell whether a text is UTF-8 but for a few bytes.

    Parameters
    ----------
    before : bytes
        What stands before a wrong byte.
    data : bytes
        The wrong byte, and what follows it.
    """
    wrong = data.decode("utf-8", "replace").count("\ufffd")
    right = sum(not c.isascii() for c in (before + data).decode("utf-8", "ignore"))
    return right >= 4 * wrong > 0


def is_utf8(data: bytes) -> bool:
    """Tell whether bytes are UTF-8 and not ASCII; the last may be half a character."""
    try:
        return not codecs.getincrementaldecoder("utf-8")().decode(data).isascii()
    except UnicodeDecodeError:
        return False


def is_cesu8(data: bytes) -> bool:
    """Tell whether characters are written in UTF-8 as two surrogates each."""
    return CESU.search(data) is not None


def is_binary(data: bytes) -> bool:
    """Tell whether bytes have more control characters than a text has."""
    controls = sum(byte < 0x20 and byte not in b"\t\n\v\f\r\x1b" for byte in data)
    return controls > len(data) / 50


def _likely_letters(script: str) -> Callable[[str], float]:
    """Judge texts whose foreign characters are letters of one script.

    Parameters
    ----------
    script : str
        How the names of its letters begin.
    """
    most = MOST_ACCENTS if script == "LATIN" else SAMPLE

    def judge(text: str) -> float:
        good = total = row = 0
        for before, symbol, after in zip(
            f" {text}", text, f"{text[1:]} ", strict=False
        ):
            row = 0 if symbol.isascii() else row + 1
            if row:
                total += 1
                fits = row <= most and _fits(before, symbol, after, script)
                good += symbol in SIGNS or fits
        return good / total if total else 0.0

    return judge


def _fits(before: str, symbol: str, after: str, script: str) -> bool:
    """Tell whether a character is a likely letter of a word."""
    if not unicodedata.name(symbol, "").startswith(script):
        return False
    if symbol.isupper() and before.islower():
        return False
    if symbol.isupper() and before.isupper() and after.islower():
        return False
    mixed = any(c.isascii() and c.isalpha() for c in (before, after))
    return script == "LATIN" or not mixed


def _likely_han(table: str, *scripts: str) -> Callable[[str], float]:
    """Judge East Asian texts: common characters of a table, and letters of scripts."""

    def judge(text: str) -> float:
        foreign = [c for c in text if not c.isascii()]
        counts = Counter(foreign)
        good = sum(n for c, n in counts.items() if _is_common(c, table, scripts))
        return good / len(foreign) if foreign else 0.0

    return judge


def _likely_japanese(text: str) -> float:
    """Judge Japanese texts, none of which does without kana."""
    kana = sum("\u3040" <= c < "\u3100" for c in text)
    share = _likely_han("euc_jp", "HIRAGANA", "KATAKANA")(text)
    return share if kana * 10 >= sum(not c.isascii() for c in text) else share / 2


def _is_common(symbol: str, table: str, scripts: tuple[str, ...]) -> bool:
    """Tell whether a character is common in East Asian texts of one kind."""
    name = unicodedata.name(symbol, "")
    if name.startswith(("IDEOGRAPHIC", "FULLWIDTH", "LEFT", "RIGHT", *scripts)):
        return True
    if not name.startswith(("CJK UNIFIED", "HANGUL SYLLABLE")):
        return False
    encoded = symbol.encode(table, "ignore")
    return len(encoded) == 2 and encoded[0] <= COMMON_ROWS[table]


def _candidates() -> Iterator[_Candidate]:
    """List all encodings that are tried; of equally likely ones the first is taken."""
    latin = _likely_letters("LATIN")
    for encoding, name in (
        ("latin-1", "Latin-1 (Western European)"),
        ("cp1252", "Windows-1252 (Western European)"),
        ("cp1250", "Windows-1250 (Central European)"),
    ):
        yield _Candidate(encoding, name, latin)
    for encoding, name, script in (
        ("cp1255", "Windows-1255 (Hebrew)", "HEBREW LETTER"),
        ("cp1251", "Windows-1251 (Cyrillic)", "CYRILLIC"),
        ("cp1253", "Windows-1253 (Greek)", "GREEK"),
        ("koi8-r", "KOI8-R (Cyrillic)", "CYRILLIC"),
        ("cp866", "CP866 (Cyrillic)", "CYRILLIC"),
        ("cp1256", "Windows-1256 (Arabic)", "ARABIC"),
    ):
        yield _Candidate(encoding, name, _likely_letters(script))
    hangul = _likely_han("euc_kr")
    for encoding, name, judge in (
        ("shift_jis", "Shift-JIS (Japanese)", _likely_japanese),
        ("cp932", "CP932 (Japanese)", _likely_japanese),
        ("euc_jp", "EUC-JP (Japanese)", _likely_japanese),
        ("euc_kr", "EUC-KR (Korean)", hangul),
        ("cp949", "CP949 (Korean)", hangul),
        ("gbk", "GBK (Chinese)", _likely_han("gb2312")),
        ("gb18030", "GB 18030 (Chinese)", _likely_han("gb2312")),
        ("big5", "Big5 (Chinese)", _likely_han("big5")),
        ("cp950", "CP950 (Chinese)", _likely_han("big5")),
    ):
        yield _Candidate(encoding, name, judge, pairs=True)
    # Its letters fill nearly all of a table, into which many other texts fit.
    yield _Candidate("cp874", "Windows-874 (Thai)", _likely_letters("THAI"))


CANDIDATES = tuple(_candidates())
