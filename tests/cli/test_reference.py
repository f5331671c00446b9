"""The generated page of options: it says what the code says."""

from pathlib import Path

import pytest

from charrnn.cli import reference

PAGE = Path(reference.__file__).with_name("OPTIONS.md")


def test_the_page_is_up_to_date() -> None:
    """`python -m charrnn.cli.reference > charrnn/cli/OPTIONS.md` makes it so."""
    assert PAGE.read_text(encoding="utf-8") == reference.page()


def test_every_option_has_a_row() -> None:
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| `--")]
    options = sum(len(table.entries) for table in reference.COMMANDS.values())
    assert len(rows) == options > 100


def test_tables_between_markers_are_renewed(tmp_path: Path) -> None:
    file = tmp_path / "page.md"
    stale = "<!-- options of sample -->\nold\n<!-- end of options -->"
    file.write_text(f"before\n{stale}\nafter\n")
    reference.main([str(file)])
    assert file.read_text() == f"before\n{reference.section('sample')}\nafter\n"


def test_the_page_goes_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    reference.main([])
    assert capsys.readouterr().out == reference.page()
