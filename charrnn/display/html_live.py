"""A page that holds a network and runs it: what stands in it, and its frame.

What the page does is in ``live``, module by module; see `live_program`.
"""

from charrnn.counting import plural
from charrnn.display.html_document import document
from charrnn.display.html_explorer import embedded, legend, names, select
from charrnn.display.html_style import asset, page_style
from charrnn.display.html_tags import tag, text
from charrnn.display.live_program import program
from charrnn.display.sparkline import LEVELS
from charrnn.display.svg_style import SIDE
from charrnn.display.symbols import Look, shown_text
from charrnn.inspection.living import Living

#: How many colors there are to choose the text's from.
COLORS = {
    "bits": "surprise",
    "hung": "what it hung on",
    "unit": "a unit",
    "nothing": "nothing",
}

#: How the text is to be read, by what colors it.
READING = {
    "hung": "Point at a character: the darker an earlier one, the more a change of it "
    "would have changed how likely this one was (length of the gradient of its "
    "log-probability, by backpropagation over at most 128 steps).",
}


def live_page(living: Living, path: str) -> str:
    """Write the page of a model.

    Parameters
    ----------
    path : str
        The checkpoint's name.
    """
    name, data = shown_text(path, Look()), _data(living)
    body = tag(
        "main",
        tag("h1", text(name)),
        tag("p", text(_about(living)), style="faint"),
        _writing(living),
        _coloring(living),
        tag("div", _editor(), _detail(), style="reading"),
        tag("p", style="faint", data_part="unknown", role="status"),
        _units(),
        _lesson(living),
        tag("script", embedded(data), type="application/json", data_part="data"),
        tag("script", living.weights, type="text/plain", data_part="weights"),
        style="live",
    )
    style = f"{page_style()}\n{asset('live/live.css')}"
    return document(f"{name} - charrnn", body, program(), style, worker=True)


def _data(living: Living) -> dict[str, object]:
    """Gather what the page's program reads, beside the weights."""
    look = Look(unit=living.vocab.unit)
    return {
        "facts": living.facts,
        "text": living.text.replace("\r", "\n"),
        "names": names(living.vocab.symbols, look),
    }


def _about(living: Living) -> str:
    """Say what kind of model it is, and what of it is not here."""
    facts = living.facts
    layers = f"{facts['layers']} x " if facts["layers"] > 1 else ""
    unit = "byte" if living.vocab.unit == "byte" else "character"
    said = (
        f"{layers}{facts['cell']} of {plural(facts['hidden'], 'unit')}, "
        f"{living.parameters:,} parameters as {living.precision}, "
        f"{plural(facts['vocab'], unit)}. It runs in this page, which sends nothing "
        "anywhere."
    )
    if facts["separator"] is not None:
        said += " It writes outputs of inputs: type an input, and let it write."
    if living.remembers:
        said += (
            " The model has a memory of its text, too; here is the network alone, "
            "without what counting adds."
        )
    return said


def _number(part: str, name: str, value: str, **limits: str) -> str:
    """Write a field for a number."""
    field = tag("input", type="number", value=value, data_part=part, **limits)
    return tag("label", text(name), field)


def _slider(part: str, name: str, value: str, **limits: str) -> str:
    """Write a slider with a field beside it."""
    slider = tag(
        "input", type="range", value=value, data_part=f"{part}-slide", **limits
    )
    field = tag(
        "input",
        type="number",
        value=value,
        data_part=part,
        aria_label=f"{name}, as a number",
        **(limits | {"step": "any"}),
    )
    return tag("label", text(name), slider, field)


def _writing(living: Living) -> str:
    """Write what lets the model write."""
    greedy = living.facts["separator"] is not None  # outputs are to be right
    more = tag(
        "details",
        tag("summary", "More filters"),
        tag(
            "div",
            _number("top-k", "Top-k (0: all)", "0", min="0", step="1"),
            _number("typical", "Typical", "1", min="0.01", max="1", step="any"),
            _number("min-p", "Min-p", "0", min="0", max="1", step="any"),
            style="controls",
        ),
    )
    write = tag(
        "button",
        "Write",
        type="button",
        style="main",
        data_part="write",
        title="Ctrl+Enter in the text; Escape stops",
    )
    return tag(
        "div",
        write,
        _slider(
            "temperature",
            "Temperature",
            "0" if greedy else "1",
            min="0",
            max="2",
            step="0.05",
        ),
        _slider("top-p", "Top-p", "1", min="0.05", max="1", step="0.05"),
        _number("seed", "Seed", "0", min="0", max=str(2**53 - 1), step="1"),
        more,
        tag("button", "Clear the text", type="button", data_part="clear"),
        tag("span", style="faint", data_part="status", role="status"),
        style="controls",
    )


def _coloring(living: Living) -> str:
    """Write what chooses the colors of the text, and explains them."""
    layers = {str(k): str(k) for k in range(living.facts["layers"])}
    last = str(living.facts["hidden"] - 1)
    chosen = [
        select("by", "Color by", COLORS),
        select("layer", "Layer", layers),
        _number("unit", "Unit", "0", min="0", max=last, step="1"),
    ]
    heat = [(f"h{n}", f"{n}+" if n == LEVELS - 1 else f"{n}") for n in range(LEVELS)]
    signed = [(s, " ") for s in (f"n{SIDE}", "n4", "p0", "p4", f"p{SIDE}")]
    return (
        tag("div", *chosen, style="controls")
        + legend("bits-legend", "bits", heat)
        + tag(
            "p",
            text(READING["hung"]),
            style="faint",
            data_part="hung-legend",
            hidden=True,
        )
        + tag(
            "div",
            legend("unit-scale", "value", signed),
            data_part="unit-legend",
            hidden=True,
        )
    )


def _editor() -> str:
    """Write the text, which can be typed in."""
    field = tag(
        "textarea",
        data_part="field",
        spellcheck="false",
        autocapitalize="off",
        autocomplete="off",
        aria_label="The text. The model reads it as it is typed; Ctrl+Enter lets it "
        "write on",
        aria_keyshortcuts="Control+Enter",
    )
    back = tag("span", data_part="back", aria_hidden="true")
    next_ = tag(
        "span",
        style="next",
        data_part="next",
        role="group",
        aria_label="Likeliest next characters",
    )
    inside = tag("div", back, next_, field, style="inside")
    return tag("div", inside, style="text editor", data_part="frame")


def _detail() -> str:
    """Write the frame in which one character is told of."""
    terms = "".join(
        tag("dt", text(name)) + tag("dd", data_part=part)
        for part, name in (("bits", "surprise, bits"), ("rank", "rank"))
    )
    return tag(
        "div",
        tag("div", style="char", data_part="char"),
        tag("div", style="faint", data_part="place"),
        tag("dl", terms),
        tag("div", "expected in its place", style="faint"),
        tag("table", tag("tbody", data_part="guesses")),
        style="detail",
    )


def _units() -> str:
    """Write the part about units: which follow something, and which are held."""
    headings = ("feature", "unit", "correlation", "", "")
    table = tag(
        "table",
        tag("thead", tag("tr", *(tag("th", text(one)) for one in headings))),
        tag("tbody", data_part="followers"),
        style="followers",
        data_part="followers-table",
        hidden=True,
    )
    return tag(
        "details",
        tag("summary", tag("h2", "Units: what they follow, and steering by them")),
        tag(
            "p",
            "A unit that is held has one value while the model writes, whatever it "
            "reads. Find units that follow the text above, see them, hold them, and "
            "prove on the other half of the text that they do.",
            style="faint",
        ),
        tag(
            "div",
            tag("button", "Find units", type="button", data_part="follow"),
            tag("button", "Hold the chosen unit", type="button", data_part="hold"),
            style="controls",
        ),
        tag("div", style="controls held", data_part="held"),
        tag("p", style="faint", data_part="followed", role="status"),
        tag("div", table, style="scroll"),
        open=True,
    )


def _lesson(living: Living) -> str:
    """Write the part in which one step is drawn with its numbers."""
    lstm = living.facts["cell"] == "lstm"
    primes = "h\u2032 and c\u2032 are" if lstm else "h\u2032 is"
    buttons = [
        tag("button", "\u2190 back", type="button", data_part="before"),
        tag("button", "next \u2192", type="button", data_part="after"),
    ]
    body = tag(
        "div",
        tag("table", tag("tbody", data_part="lines"), style="lines"),
        tag("h3", "logits = y Wy + by, and softmax: what comes next"),
        tag("table", tag("tbody", data_part="softmax"), style="softmax"),
        style="scroll step",
        data_part="table",
        tabindex=0,
        role="region",
        aria_label="One step with its numbers; arrow keys go to the next character",
    )
    return tag(
        "details",
        tag("summary", tag("h2", "One step, with its numbers")),
        tag(
            "p",
            text(
                "Bars are all units, up for positive; the numbers are those of the "
                f"chosen one. {primes} the state before the step. Click a "
                "bar to choose its unit; arrow keys step through the text."
            ),
            style="faint",
        ),
        tag("div", *buttons, tag("strong", data_part="reads"), style="controls"),
        body,
        open=True,
        data_part="lesson",
    )
