from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from charrnn.display.symbols import Look
from charrnn.display.tables import facts, folded, table
from charrnn.inspection.blocks import Bars, Column, Facts, Sparks, Table

COLUMNS = [
    Column("n", ["1", "22"], "right"),
    Column("name", ["a long name", "漢字"], rank=1, shrinks=True),
    Column("extra", ["12345678", "1"], "right", rank=2),
]


def rows(width: int) -> list[str]:
    return [line.plain for line in table(Table(COLUMNS, "rows"), Look(width=width))]


def test_columns_are_aligned_in_cells():
    assert rows(40) == [
        "   n  name            extra",
        "   1  a long name  12345678",
        "  22  漢字                1",
    ]


def test_columns_shrink_before_the_least_important_give_way():
    assert rows(24) == [
        "   n  name         extra",
        "   1  a long n  12345678",
        "  22  漢字             1",
    ]
    assert rows(20) == [
        "   n  name       ",
        "   1  a long name",
        "  22  漢字       ",
        "  (wider: also",
        "  extra)",
    ]


def test_text_is_not_read_as_markup():
    line = next(table(Table([Column("[b]x", [])], "rows"), Look()))

    assert line.plain == "  [b]x"


@given(st.text(st.sampled_from("ab 漢"), max_size=40), st.integers(2, 20))
def test_folded_text_fits_and_keeps_its_words(text: str, width: int):
    lines = folded(text, width)

    assert all(cell_len(line) <= width for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_facts_fold_beside_their_labels():
    lines = facts(Facts([("a", "one two three"), ("bcd", "x")]), Look(width=15))

    assert [line.plain for line in lines] == [
        "  a    one two",
        "       three",
        "  bcd  x",
    ]


def test_bars_are_drawn_as_wide_as_there_is_room():
    block = Table([Column("n", ["1", "2"]), Bars([0.5, 1.0], 20)], "rows")

    def bars(width: int) -> list[int]:
        return [line.plain.count("█") for line in table(block, Look(width))][1:3]

    assert bars(40) == [10, 20]
    assert bars(15) == [5, 10]
    assert bars(8) == [0, 0]  # no room for anything to be told by


def test_small_histograms_stand_in_cells():
    block = Table([Column("n", ["1"]), Sparks("counts", [[0, 4, 8]])], "rows")

    assert [line.plain for line in table(block, Look(40))] == [
        "  n  counts",
        "  1  ▁▅█   ",
    ]
    plain = list(table(block, Look(40, ascii=True)))
    assert plain[1].plain == "  1  _=#   "


def test_cells_show_what_cannot_be_seen():
    columns = [
        Column("char", [" ", "\x1b", "\xe9"], symbols=True),
        Column("after", ["the sea", "a\x1bbc", "a\nb"], tail=4),
    ]
    block = Table(columns, "rows", "byte")

    assert [line.plain for line in table(block, Look(40))] == [
        "  char  after",
        "  ␣      sea ",
        "  ␛     a␛bc ",
        "  \\xe9  a␊b  ",
    ]
