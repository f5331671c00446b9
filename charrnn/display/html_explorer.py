"""The part of a page in which a text is walked through, character by character.

Here are its controls and its data; what they do is in ``html_page.js``.
"""

import base64
import json
from collections.abc import Iterable, Iterator
from typing import Any

from charrnn.counting import plural
from charrnn.display.html_tags import tag, text
from charrnn.display.sparkline import LEVELS
from charrnn.display.svg import ARROWS
from charrnn.display.svg_style import SIDE
from charrnn.display.symbols import Look, named, visible
from charrnn.inspection import SIGNAL_NAMES
from charrnn.inspection.exploration import Exploration
from charrnn.inspection.predictions import Position


def explorer(found: Exploration, name: str) -> str:
    """Write an explorer.

    Parameters
    ----------
    name : str
        Its id in the page.
    """
    shown = len(found.text)
    about = f"{plural(found.characters, 'character')}"
    if shown < found.characters:
        about = f"the first {shown:,} of {about}"
    help_ = (
        f"{about[0].upper()}{about[1:]}. Point at a character, or enter the text and "
        "use the arrow keys."
    )
    return tag(
        "div",
        tag("p", text(help_), style="faint"),
        _controls(found),
        _best(found),
        _legends(found),
        tag("div", _text(), _detail(found), style="reading"),
        tag("script", embedded(data(found)), type="application/json"),
        style="explorer",
        id=name,
    )


def embedded(value: Any) -> str:
    """Write JSON that no parser of HTML takes for the end of its element."""
    dense = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return dense.replace("<", "\\u003c").replace(">", "\\u003e")


def data(found: Exploration) -> dict[str, Any]:
    """Gather what the page's program reads.

    Numbers are rounded to what is shown of them.
    """
    look = Look(unit=found.unit)
    symbols = sorted({*found.text, *(c.char for p in found.guesses for c in p.top)})
    return {
        "text": found.text,
        "glyphs": {s: _shown(s, look) for s in symbols if _shown(s, look) != s},
        "names": names(symbols, look),
        "bits": None if found.bits is None else [_short(b, 4) for b in found.bits],
        "scored": found.scored,
        "guesses": [_guess(position) for position in found.guesses],
        "units": [
            {
                "layer": units.layer,
                "signal": units.signal,
                "step": units.step,
                "values": base64.b64encode(units.values.tobytes()).decode(),
            }
            for units in found.units
        ],
        "best": [
            {"layer": best.layer, "unit": best.unit, "signal": found.signal}
            for best in found.best
        ],
    }


def names(symbols: Iterable[str], look: Look) -> dict[str, str]:
    """Name the symbols that cannot be shown alone as they are."""
    return {s: _name(s, look) for s in symbols if _name(s, look) != s}


def _shown(symbol: str, look: Look) -> str:
    """Show a symbol in the text."""
    return visible(symbol, look).translate(ARROWS)


def _name(symbol: str, look: Look) -> str:
    """Show a symbol that stands alone."""
    return named(symbol, look).translate(ARROWS)


def _short(value: float | None, digits: int) -> float | None:
    """Round a number as formatting does; None if it has no digits, or is none."""
    if value is None:
        return None
    shown = f"{value:.{digits}f}"
    return float(shown) if shown[-1].isdigit() else None


def _guess(
    position: Position,
) -> tuple[int | None, float | None, str, list[float | None]]:
    """Reduce a position to rank, percent, and the likeliest with theirs."""
    shares = [_short(100 * choice.probability, 2) for choice in position.top]
    symbols = "".join(choice.char for choice in position.top)
    share = None if position.probability is None else 100 * position.probability
    return position.rank, _short(share, 2), symbols, shares


def _controls(found: Exploration) -> str:
    """Write what chooses the numbers that color the text."""
    layer, unit = map(str, found.start)
    ways = {}
    if found.bits is not None or not found.units:
        ways["bits"] = "surprise" if found.bits is not None else "nothing"
    if found.units:
        ways["unit"] = "a unit"
    parts = [select("by", "Color by", ways)]
    if found.units:
        layers = {str(u.layer): str(u.layer) for u in found.units}
        signals = {
            str(u.signal): SIGNAL_NAMES.get(u.signal, u.signal) for u in found.units
        }
        last = str(found.hidden - 1)
        slider = {"type": "range", "min": "0", "max": last, "value": unit}
        field = slider | {"type": "number"}
        parts += [
            select("layer", "Layer", layers, layer),
            select("signal", "Signal", signals, found.signal),
            tag(
                "label",
                "Unit",
                tag("input", data_part="slider", **slider),
                tag("input", data_part="unit", aria_label="Unit, as a number", **field),
                style="slide",
            ),
        ]
    return tag("div", *parts, style="controls")


def select(part: str, name: str, choices: dict[str, str], chosen: str = "") -> str:
    """Write a menu; `part` is what programs know it by."""
    options = [
        tag("option", text(shown), value=value, selected=value == chosen)
        for value, shown in choices.items()
    ]
    return tag("label", text(name), tag("select", *options, data_part=part))


def _best(found: Exploration) -> str:
    """Write a button for every unit that stands out."""
    buttons = []
    for n, best in enumerate(found.best):
        how = "" if best.correlation is None else f" {best.correlation:+.2f}"
        name = f"{best.feature}{how}: unit {best.unit}"
        name += (
            f" of layer {best.layer}" if len({u.layer for u in found.units}) > 1 else ""
        )
        buttons.append(tag("button", text(name), type="button", data_best=n))
    if not buttons or not found.units:
        return ""
    return tag("div", tag("span", "Follows", style="faint"), *buttons, style="best")


def _legends(found: Exploration) -> str:
    """Explain both scales; the program shows the one in use."""
    heat = [(f"h{n}", f"{n}+" if n == LEVELS - 1 else f"{n}") for n in range(LEVELS)]
    parts = []
    if found.bits is not None:
        parts.append(legend("bits-legend", "bits", heat))
    if found.units:
        signed = [f"n{SIDE}", "n4", "p0", "p4", f"p{SIDE}"]
        parts.append(legend("unit-legend", "value", [(s, " ") for s in signed]))
        gate = [(f"h{n}", f"{n / LEVELS:.2f}") for n in range(LEVELS)]
        parts.append(legend("gate-legend", "value", gate))
    return "".join(parts)


def legend(part: str, word: str, entries: list[tuple[str, str]]) -> str:
    """Write samples of one scale."""
    samples = [tag("span", text(shown), style=f"c {style}") for style, shown in entries]
    return tag(
        "div", tag("span", word, style="word"), *samples, style="scale", data_part=part
    )


def _text() -> str:
    """Write the frame that the program fills with characters."""
    return tag(
        "div",
        style="text",
        data_part="text",
        tabindex=0,
        role="listbox",
        aria_label="The text, character by character",
    )


def _detail(found: Exploration) -> str:
    """Write the frame in which one character is told of."""
    parts = [
        tag("div", style="char", data_part="char"),
        tag("div", style="faint", data_part="place"),
        tag("dl", *_terms(found)),
    ]
    if found.guesses:
        parts.append(tag("div", "expected in its place", style="faint"))
        parts.append(tag("table", tag("tbody", data_part="guesses")))
    return tag("div", *parts, style="detail", aria_live="polite")


def _terms(found: Exploration) -> Iterator[str]:
    """Write the places of single numbers."""
    if found.bits is not None:
        yield tag("dt", "surprise, bits") + tag("dd", data_part="bits")
    if found.guesses:
        yield tag("dt", "rank") + tag("dd", data_part="rank")
    if found.units:
        yield tag("dt", data_part="value-name") + tag("dd", data_part="value")
