"""Colors of drawings in files, for light and for dark surroundings.

Two scales carry numbers. Heat is one hue that leaves the background step by
step; the signed scale goes from blue over the background to red, which also
those see who cannot tell red from green. Every color has the ink, black or
white, that reads best on it. No number is told by color alone: bars stand
beside it.
"""

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from charrnn.display.sparkline import LEVELS

#: Fonts that draw every character of ASCII in a cell of the same width.
FONT = 'ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace'

#: Steps of the signed scale on each side of zero.
SIDE = LEVELS - 1

#: The palette of Okabe and Ito, darkened or lightened to stand out from the
#: background; lines differ by their dashes as well.
DASHES = ("", "7 3", "2 3", "9 3 2 3", "4 2", "12 4")


class Theme(NamedTuple):
    """The colors of one scheme."""

    background: str
    ink: str
    faint: str  # ink of what matters less
    rule: str  # grids and frames
    accent: str  # bars
    heat: tuple[str, ...]  # stops of the scale, its end last
    below: tuple[str, ...]  # stops for negative numbers, from zero
    above: tuple[str, ...]
    series: tuple[str, ...]


LIGHT = Theme(
    background="#ffffff",
    ink="#1b1f24",
    faint="#5b636d",
    rule="#d5dae0",
    accent="#0b6e99",
    heat=("#ffffff", "#ffc98a", "#f08020", "#a84300"),
    below=("#ffffff", "#92c5de", "#2f7fbf", "#08468c"),
    above=("#ffffff", "#f6b295", "#d9534a", "#9c0f24"),
    series=("#0072b2", "#b34e00", "#007a5a", "#a63f7d", "#8a6100", "#333333"),
)

DARK = Theme(
    background="#14171c",
    ink="#e3e7ec",
    faint="#9aa4b0",
    rule="#373e48",
    accent="#58b4e0",
    heat=("#14171c", "#5a3310", "#b8620e", "#ffb55c"),
    below=("#14171c", "#173a5e", "#2e78c2", "#8cc8ff"),
    above=("#14171c", "#5c1f22", "#c2463f", "#ffa493"),
    series=("#56b4e9", "#e69f00", "#2fc79a", "#e28fc0", "#e8dc55", "#cccccc"),
)

RGB = tuple[float, float, float]


def scale(stops: tuple[str, ...], steps: int) -> Iterator[str]:
    """Blend stops into `steps` colors and the first one before them."""
    colors = [_rgb(stop) for stop in stops]
    for n in range(steps + 1):
        place = n / steps * (len(colors) - 1)
        low = min(int(place), len(colors) - 2)
        mixed = (
            a + (b - a) * (place - low)
            for a, b in zip(colors[low], colors[low + 1], strict=True)
        )
        yield "#" + "".join(f"{round(255 * part):02x}" for part in mixed)


def _rgb(color: str) -> RGB:
    """Read a color such as #0b6e99."""
    red, green, blue = (int(color[n : n + 2], 16) / 255 for n in (1, 3, 5))
    return red, green, blue


def luminance(color: str) -> float:
    """Measure how bright a color is, from 0 to 1, as WCAG 2 does."""
    red, green, blue = (
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in _rgb(color)
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Compare two colors as WCAG 2 does: 1 to 21; text needs 4.5."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def ink_on(color: str) -> str:
    """Choose black or white, whichever reads better on a color."""
    return max("#000000", "#ffffff", key=lambda ink: contrast(ink, color))


def backgrounds(theme: Theme) -> dict[str, str]:
    """Name the color of every level: h0 to h7 of heat, n7 to n1 and p0 to p7."""
    colors = {f"h{n}": c for n, c in enumerate(scale(theme.heat, LEVELS - 1))}
    colors |= {f"n{n}": c for n, c in enumerate(scale(theme.below, SIDE)) if n}
    return colors | {f"p{n}": c for n, c in enumerate(scale(theme.above, SIDE))}


@cache
def style_sheet() -> str:
    """Write the rules for drawings, in one scheme and then in the other.

    Colors are spelled out in each: not every program that shows SVG knows
    the variables of CSS.
    """
    fixed = (
        f"text{{font:13.3px {FONT};direction:ltr;unicode-bidi:isolate-override;"
        "white-space:pre;pointer-events:none}"
        ".b{font-weight:bold}.e{text-anchor:end}.m{text-anchor:middle}"
        ".u{pointer-events:none}"
        ".line{fill:none;stroke-width:2;stroke-linejoin:round}"
        ".dot{stroke:none;fill-opacity:.5}.rule{fill:none;stroke-width:1}"
    )
    dashes = "".join(
        f".s{n}{{stroke-dasharray:{dash}}}" for n, dash in enumerate(DASHES) if dash
    )
    dark = "".join(_rules(DARK))
    return (
        fixed + dashes + "".join(_rules(LIGHT)) + "@media(prefers-color-scheme:dark){"
        f"{dark}}}"
    )


def _rules(theme: Theme) -> Iterator[str]:
    """Write the rules that give a scheme its colors."""
    yield f".bg{{fill:{theme.background}}}text{{fill:{theme.ink}}}"
    yield f"text.d,tspan.d{{fill:{theme.faint}}}.a,.dot,text.a{{fill:{theme.accent}}}"
    yield f".k{{fill:{theme.faint}}}.rule{{stroke:{theme.rule}}}"
    for n, color in enumerate(theme.series):
        yield f".s{n}{{stroke:{color}}}.f{n}{{fill:{color}}}"
    for name, color in backgrounds(theme).items():
        yield f"rect.{name}{{fill:{color}}}text.{name}{{fill:{ink_on(color)}}}"
