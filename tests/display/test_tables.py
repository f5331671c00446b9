from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from charrnn.display.symbols import Look
from charrnn.display.tables import Column, facts, folded, number, plural, size, table

COLUMNS = [
    Column("n", ["1", "22"], "right"),
    Column("name", ["a long name", "漢字"], rank=1, shrinks=True),
    Column("extra", ["12345678", "1"], "right", rank=2),
]


def rows(width: int) -> list[str]:
    return [line.plain for line in table(COLUMNS, Look(width=width))]


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
        "  (wider: also extra)",
    ]


def test_text_is_not_read_as_markup():
    line = next(table([Column("[b]x", [])], Look()))

    assert line.plain == "  [b]x"


@given(st.text(st.sampled_from("ab 漢"), max_size=40), st.integers(2, 20))
def test_folded_text_fits_and_keeps_its_words(text: str, width: int):
    lines = folded(text, width)

    assert all(cell_len(line) <= width for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_facts_fold_beside_their_labels():
    lines = facts([("a", "one two three"), ("bcd", "x")], Look(width=15))

    assert [line.plain for line in lines] == [
        "  a    one two",
        "       three",
        "  bcd  x",
    ]


def test_numbers_are_written_for_people():
    assert size(999) == "999 bytes"
    assert size(1_234_567) == "1.2 MB (1,234,567 bytes)"
    assert size(10**13) == "10000.0 GB (10,000,000,000,000 bytes)"
    assert (plural(1, "line"), plural(2000, "line")) == ("1 line", "2,000 lines")
    assert (number(None), number(0.12345)) == ("-", "0.1235")
