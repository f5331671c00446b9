"""What people see: all views, at all widths, of ordinary and of odd checkpoints."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from charrnn.checkpoint import CheckpointFile, Row
from charrnn.display.symbols import Look
from charrnn.display.terminal import draw
from charrnn.inspection.history import read_history
from charrnn.inspection.records import Cell, ViewData
from charrnn.inspection.summary import summarize
from charrnn.inspection.view import View
from tests.display.support import CASE_VIEWS, blocks
from tests.factories import HISTORY, write_checkpoint


def drawn(name: str, data: Any, **look: Any) -> list[str]:
    return [line.plain for line in draw(blocks(name, data), Look(**look))]


@pytest.mark.parametrize(("case", "name"), CASE_VIEWS)
def test_every_view_fits_and_sends_no_command_to_the_terminal(views, case, name):
    for width in (60, 100):
        lines = drawn(name, views[case, name], width=width)
        assert lines
        assert all(line.isprintable() for line in lines)
        assert max(map(cell_len, lines)) <= width


@pytest.mark.parametrize(("case", "name"), CASE_VIEWS)
def test_ascii_is_enough(views, case, name):
    lines = drawn(name, views[case, name], width=60, ascii=True)

    assert all(line.isascii() for line in lines)


def test_the_summary_names_what_matters(views):
    text = "\n".join(drawn("summary", views["plain", "summary"], width=100))

    for fact in ("lstm, 2 layers of 5 units", "30 steps, 1.5 epochs", "seed         7"):
        assert fact in text
    assert "2.7500 nats, 3.9674 bits per character, at step 20" in text
    assert "3 streams of 64 steps" in text
    assert "sea.txt" in text
    assert "layer1.Wh" in text


def test_normalization_is_named_and_measured(views):
    summary = "\n".join(drawn("summary", views["batch", "summary"], width=100))
    weights = "\n".join(drawn("weights", views["batch", "weights"], width=100))

    assert "gru, 2 layers of 5 units, batch norm" in summary
    assert "layer1.gain" in summary
    assert "layer1.running_var" in weights


def test_weights_alone_are_called_so(views):
    assert "weights only" in "\n".join(drawn("summary", views["weights", "summary"]))
    assert "no history" in "\n".join(drawn("history", views["weights", "history"]))


def test_a_long_history_is_thinned_to_its_last_values():
    rows: list[Row] = [
        {"step": n, "epoch": n / 9, "loss": 5.0 - n / 500} for n in range(1, 1001)
    ]
    rows.append({"step": 1000, "val_loss": 9.0})
    lines = drawn("history", read_history(rows), width=100)

    assert len(lines) < 30
    assert lines[-1].split()[:3] == ["1,000", "111.11", "3.0000"]
    assert "9.0000" in lines[-1]


def test_the_history_shows_a_curve_for_each_metric_there_is():
    text = "\n".join(drawn("history", read_history(HISTORY), width=100))

    assert "3 .. 2" in text
    assert "least 2, most 3" in text
    assert f"{2.75 / math.log(2):.4f}" in text


def test_gates_stand_below_their_matrix(views):
    lines = drawn("weights", views["plain", "weights"], width=100)
    start = next(n for n, text in enumerate(lines) if "layer0.Wh" in text)

    gates = [line.split()[1] for line in lines[start + 1 : start + 5]]
    assert gates == ["i", "f", "o", "g"]


def test_surprise_labels_lines_and_names_the_worst(views):
    view = views["plain", "surprise"]
    lines = drawn("surprise", view, width=100)

    assert f"  1 {view.lines[0].bits_per_char:5.2f}  the sea, the sea!␊" in lines
    start = lines.index("most surprising characters")
    assert f"{view.worst[0].bits:.2f}" in lines[start + 2]


def test_what_next_lists_stands_under_the_text(views):
    view = views["plain", "next"]
    lines = drawn("next", view, width=100)
    start = next(n for n, text in enumerate(lines) if text.startswith("  text  the"))

    firsts = "".join(p.top[0].char for p in view.positions)
    shown = firsts.replace(" ", "␣").replace("\n", "␊")
    assert lines[start + 2] == f"     1  {shown}"


def test_a_view_without_blocks_of_its_own_is_the_table_of_its_rows():
    @dataclass(frozen=True)
    class Data(ViewData):
        columns = ("name", "value")

        def rows(self) -> Iterable[tuple[Cell, ...]]:
            yield "a", 1.23456789
            yield "b", None

    lines = [line.plain for line in draw(View[Data]().blocks(Data()), Look())]

    assert lines == ["  name    value", "  a     1.23457", "  b           -"]


def test_a_checkpoint_can_be_described_without_its_run(tmp_path: Path):
    path = write_checkpoint(tmp_path / "m.npz", optimizer=None)
    with CheckpointFile(path) as file:
        text = "\n".join(drawn("summary", summarize(file)))

    assert "2.0000 nats" in text
