from charrnn.inspection.records import tsv
from charrnn.inspection.vocabulary import list_symbols
from tests.factories import make_vocab


def test_symbols_keep_their_order_names_and_counts():
    view = list_symbols(make_vocab("a\n\u0301aé"))

    assert list(tsv(view)) == [
        "index\tchar\tcode_point\tname\tcount",
        "0\t\\n\tU+000A\tLINE FEED\t1",
        "1\ta\tU+0061\tLATIN SMALL LETTER A\t2",
        "2\té\tU+00E9\tLATIN SMALL LETTER E WITH ACUTE\t1",
        "3\t\u0301\tU+0301\tCOMBINING ACUTE ACCENT\t1",
    ]
    assert view.characters == 5


def test_bytes_have_numbers_and_only_ascii_has_names():
    view = list_symbols(make_vocab("aé\x01", "byte"))

    rows = [(s.code_point, s.name) for s in view.symbols]
    assert rows == [
        ("0x01", "CONTROL"),
        ("0x61", "LATIN SMALL LETTER A"),
        ("0xA9", ""),
        ("0xC3", ""),
    ]
    assert list(tsv(view))[3].startswith("2\t\\xa9\t")
