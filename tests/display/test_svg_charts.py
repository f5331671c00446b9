"""Charts: every point where it belongs, gaps, legends, many points."""

import math
import re
from collections.abc import Sequence
from itertools import pairwise
from xml.etree import ElementTree as Xml

import pytest

from charrnn.display.svg import Figure
from charrnn.display.svg_charts import chart as draw_chart
from charrnn.display.svg_charts import histogram, scatter
from charrnn.inspection.blocks import Chart, Histogram, Scatter, Series


def line_chart(
    series: Sequence[Series],
    x: str,
    y: str,
    *,
    log_x: bool = False,
    log_y: bool = False,
    width: int = 760,
) -> Figure:
    return draw_chart(Chart(series, x, y, log_x, log_y), width)


def elements(figure: Figure, name: str) -> list[Xml.Element]:
    root = Xml.fromstring(f"<g>{figure.body}</g>")  # noqa: S314 - our own
    return list(root.iter(name))


def paths(figure: Figure) -> list[list[list[tuple[float, float]]]]:
    """Read the runs of points of every curve."""
    found = [p.get("d", "") for p in elements(figure, "path") if len(p)]
    return [
        [
            [(float(x), float(y)) for x, y in (pair.split() for pair in run.split("L"))]
            for run in path.split("M")[1:]
        ]
        for path in found
    ]


def labels(figure: Figure) -> list[str]:
    return ["".join(e.itertext()) for e in elements(figure, "text")]


def test_points_stand_in_proportion():
    chart = line_chart([Series("a", [0, 1, 2], [10, 20, 15])], "x", "y")
    ((run,),) = paths(chart)

    (x0, y0), (x1, y1), (x2, y2) = run
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.02)
    assert x0 < x1
    assert y1 < y2 < y0  # upwards is less
    assert y0 - y2 == pytest.approx((y0 - y1) / 2, abs=0.02)


def test_on_a_logarithmic_axis_decades_are_equal():
    chart = line_chart(
        [Series("a", [1, 10, 100], [1e-3, 1e-2, 1e-1])],
        "x",
        "y",
        log_x=True,
        log_y=True,
    )
    ((run,),) = paths(chart)

    assert run[1][0] - run[0][0] == pytest.approx(run[2][0] - run[1][0], abs=0.02)
    assert run[1][1] - run[0][1] == pytest.approx(run[2][1] - run[1][1], abs=0.02)


def test_what_is_missing_is_a_gap():
    ys = [1, None, 2, 3, math.nan, math.inf, 4]
    chart = line_chart([Series("a", range(7), ys)], "x", "y")
    ((*runs,),) = paths(chart)

    assert [len(run) for run in runs] == [1, 2, 1]
    assert len(elements(chart, "circle")) == 4
    chart = line_chart([Series("a", [0, 1, 2], [1, 2, 3])], "x", "y", log_x=True)
    assert [len(run) for (run,) in paths(chart)] == [2]


def test_several_curves_have_names_and_dashes_of_their_own():
    series = [Series(f"curve {n}", [0, 1], [n, n + 1]) for n in range(3)]
    chart = line_chart(series, "x", "y", width=200)

    assert "".join(labels(chart)).count("curve") == 3
    styles = [p.get("class") for p in elements(chart, "path") if len(p)]
    assert styles == ["line s0", "line s1", "line s2"]
    (only,) = [line_chart(series[:1], "x", "y")]
    assert "curve" not in "".join(labels(only))


def test_points_say_what_they_are():
    chart = line_chart([Series("loss", [100, 200], [3.25, 2.5])], "x", "y")

    notes = [e.text for e in elements(chart, "title")]
    assert notes == [
        "loss: 3.25 at 100 to 2.5 at 200",
        "loss 3.2500 at 100",
        "loss 2.5000 at 200",
    ]


def test_of_very_many_points_peaks_stay():
    ys = [1.0] * 100_000
    ys[54_321] = 9.0
    chart = line_chart([Series("a", range(100_000), ys)], "x", "y", width=400)
    ((run,),) = paths(chart)

    assert len(run) < 4 * 400
    top = min(y for _, y in run)
    assert [y for _, y in run].count(top) == 1
    assert not elements(chart, "circle")
    assert len(chart.body) < 20_000


def test_nothing_to_draw_is_an_empty_chart():
    for series in ([], [Series("a", [], [])], [Series("a", [1], [None])]):
        assert not paths(line_chart(series, "x", "y"))


@pytest.mark.parametrize("width", [240, 320, 760])
def test_labels_do_not_touch_and_stay_within(width: int):
    chart = line_chart([Series("a", range(0, 123456, 99), range(0, 123456, 99))],
                       "a long label of the axis", "y", width=width)  # fmt: skip

    places = []
    for e in elements(chart, "text"):
        if "m" in (e.get("class") or "").split():
            x, half = float(e.get("x", "")), len(e.text or "") * 4
            places.append((x - half, x + half))
    assert len(places) >= 2
    assert all(a[1] < b[0] for a, b in pairwise(places))
    assert min(places)[0] >= 0
    assert max(places)[1] <= width + 0.5


def test_bars_have_the_heights_of_their_counts():
    figure = histogram(Histogram("w", [0, 2, 4, 1], -1.0, 1.0), 200)
    bars = elements(figure, "rect")

    heights = [float(bar.get("height", "")) for bar in bars]
    assert [h / heights[2] for h in heights] == pytest.approx(
        [0, 0.5, 1, 0.25], abs=0.01
    )
    assert [e.text for e in elements(figure, "title")] == [
        "-1 to -0.5: 0",
        "-0.5 to 0: 2",
        "0 to 0.5: 4",
        "0.5 to 1: 1",
    ]
    assert re.search(">-1<.*>1<", figure.body)


def test_dots_stand_in_the_unit_square():
    dots = [(0, 0, "a"), (1, 0.5, "b"), (0.5, 1, "c")]
    figure = scatter(Scatter("", dots, "x", "y"))
    a, b, c = (
        (float(e.get("cx", "")), float(e.get("cy", "")))
        for e in elements(figure, "circle")
    )

    assert a[0] < c[0] < b[0]
    assert c[1] < b[1] < a[1]
    assert c[0] - a[0] == pytest.approx(b[0] - c[0], abs=0.02)
    assert [e.text for e in elements(figure, "title")] == ["a", "b", "c"]
