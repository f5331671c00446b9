"""How single units and whole checkpoints look."""

import numpy as np
import pytest
from rich.cells import cell_len

from charrnn.display.heat import level_of, style_on
from charrnn.display.symbols import Look
from charrnn.display.terminal import draw
from charrnn.inspection.blocks import Scale
from charrnn.inspection.compare import Compared, Comparison, TextCost
from charrnn.inspection.gates import Gate, Gates
from charrnn.inspection.memory import ContextBits, LayerMemory, Memory, shown_lags
from charrnn.inspection.neurons import Best, Neuron, Neurons, unit_scale
from tests.display.support import blocks

TEXT = "ab\ncd"
VALUES = (-0.8, -0.1, 0.0, 0.1, 0.8)


def neurons(signal="h", values=VALUES, text=TEXT) -> Neurons:
    correlations: dict[str, float | None] = {"line": -0.75, "quotes": None}
    neuron = Neuron(1, 3, "line", -0.75, 0.0, 0.5, correlations, values)
    best = (Best("line", 1, 3, -0.75, 0.5), Best("variance", 0, 2, None, 0.6))
    return Neurons("char", signal, 5, 5, best, (neuron,), text)


def test_a_unit_is_drawn_with_a_line_of_levels_below_the_text():
    lines = [line.plain for line in draw(blocks("neurons", neurons()), Look(60))]

    start = lines.index("layer 1, unit 3  line -0.750")
    assert lines[start + 2].split() == ["-0.80", *"▁▂▃▄▅▆▇█", "+0.80"]
    assert lines[start + 3 :] == ["  ab␊", "  ▁▄▅", "  cd", "  ▅█"]


def test_colors_say_the_sign_and_nothing_near_zero():
    scale = Scale(-0.8, 0.8)
    cold, faint, none, warm = (
        style_on(scale, level_of(x, scale)) for x in (-0.8, -0.1, 0.1, 0.8)
    )

    assert faint == none == ""
    red, _, blue = (int(cold[-6:][n : n + 2], 16) for n in (0, 2, 4))
    assert blue > red
    red, _, blue = (int(warm[-6:][n : n + 2], 16) for n in (0, 2, 4))
    assert red > blue
    levels = [level_of(x, scale) for x in np.linspace(-0.79, 0.79, 8)]
    assert levels == list(range(8))
    assert [level_of(x, scale) for x in (-9.0, 9.0, float("nan"))] == [0, 7, 7]


def test_gates_are_drawn_from_zero_to_one_and_silent_units_without_harm():
    view = neurons("f", (0.0,) * 5)
    assert unit_scale(view, view.neurons[0])[:2] == (0.0, 1.0)
    silent = neurons(values=(0.0,) * 5)
    assert "  ▅▅▅" in [line.plain for line in draw(blocks("neurons", silent), Look(60))]


def test_odd_characters_keep_their_bars_below_them():
    view = neurons(text="\x1b漢\u0301\n\u200d")
    lines = [line.plain for line in draw(blocks("neurons", view), Look(60))]

    for text, bars in zip(lines[-4::2], lines[-3::2], strict=True):
        assert text.isprintable()
        assert cell_len(text) == cell_len(bars)


def test_the_most_open_and_closed_units_are_named():
    gate = Gate(0, "f", 0.5, 0.25, 0.25, (0.0, 0.5, 1.0), (0.75, 0, 0), (0, 0, 0.75))
    lines = [line.plain for line in draw(blocks("gates", Gates(9, 9, (gate,))), Look())]

    assert lines[3].split()[:5] == ["0", "f", "0.500", "25.0%", "25.0%"]
    assert "2: 75%" in lines[-1]
    assert lines[-1].index("2: 75%") < lines[-1].index("0: 75%")
    empty = list(draw(blocks("gates", Gates(9, 9, ())), Look()))
    assert [line.plain for line in empty] == ["  a vanilla cell has no gates"]


def test_memory_says_how_a_gradient_fades():
    layers = (
        LayerMemory(0, (1.0, 0.5, 0.25), 0.5, 1.0),
        LayerMemory(1, (1.0, 1.0, 2.0), 2.0, None),
        LayerMemory(2, (0.0, 0.0, 0.0), None, None),
    )
    view = Memory(9, 2, 4, 5, layers, (ContextBits(1, 3.5), ContextBits(2, 1.75)))
    text = "\n".join(line.plain for line in draw(blocks("memory", view), Look()))

    assert "times 0.5 a character, half after 1" in text
    assert "times 2 a character, never down to half" in text
    assert "nothing to follow back" in text
    assert f"2      1.750  {'█' * 12}  " in text


@pytest.mark.parametrize(
    ("most", "lags"), [(0, [0]), (1, [0, 1]), (7, [0, 1, 2, 5, 7])]
)
def test_shown_lags_grow_by_steps(most, lags):
    assert shown_lags(most) == lags


def test_checkpoints_stand_below_each_other():
    cost = TextCost(9, 1, 6.0, 9.0, 1.0)
    items = tuple(
        Compared(
            name,
            "gru",
            "tanh",
            2,
            8,
            "none",
            99,
            "char",
            7,
            *(None,) * 5,
            9,
            "ab",
            text,
        )
        for name, text in (("a.npz", cost), ("b.npz", None))
    )
    lines = [
        line.plain for line in draw(blocks("compare", Comparison(items)), Look(100))
    ]

    assert lines[1].split() == [
        "a.npz",
        "gru",
        "2x8",
        "99",
        "7",
        "-",
        "-",
        "-",
        "-",
        "-",
        "1.0000",
        "1",
    ]
    assert lines[2].split()[-2:] == ["-", "-"]
