import math

from charrnn.checkpoint import Row
from charrnn.inspection.history import read_history
from charrnn.inspection.records import tsv
from tests.factories import HISTORY


def test_rows_have_all_columns_and_gaps_where_nothing_was_measured():
    assert list(tsv(read_history(HISTORY))) == [
        "step\tepoch\tloss\tval_loss\tlr\tgrad_norm",
        "10\t0.5\t3.0\t\t0.004\t0.5",
        "20\t1.0\t2.5\t\t0.003\t0.25",
        "20\t1.0\t\t2.75\t\t",
        "30\t1.5\t2.0\t\t0.00002\t0.125",
    ]


def test_values_that_are_not_finite_count_as_missing():
    rows: list[Row] = [
        {"step": 1, "loss": math.nan, "grad_norm": math.inf, "other": 1.0}
    ]
    point = read_history(rows).points[0]

    assert (point.step, point.loss, point.grad_norm) == (1, None, None)


def test_an_empty_history_has_no_points():
    assert read_history([]).points == ()


def test_of_pairs_it_is_told_how_many_outputs_were_right():
    found: Row = {"step": 30, "val_loss": 2.5, "exact": 0.5, "error_rate": 0.125}
    header, *rows = tsv(read_history([*HISTORY, found]))

    assert header.endswith("\tgrad_norm\texact\terror_rate")
    assert rows[-1] == "30\t\t\t2.5\t\t\t0.5\t0.125"
    assert rows[0] == "10\t0.5\t3.0\t\t0.004\t0.5\t\t"
