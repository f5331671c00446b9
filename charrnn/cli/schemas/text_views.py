"""The data of the views that read a text, or samples: what a model makes of it."""

from collections.abc import Callable

from charrnn.cli.schemas.file_views import UNIT
from charrnn.cli.schemas.forms import (
    Schema,
    bits,
    number,
    record,
    several,
    share,
    table,
    text,
    whole,
    word,
)

CHAR = text("The character.")
LAYER = whole("A layer, from 0.")
UNIT_NUMBER = whole("A unit of the layer, from 0.")
MEASURED = whole("How many characters, from the beginning, were measured.")
CHARACTERS = whole("Characters of the text.")
INPUT_ENDS = several(
    "Of a model of pairs: the positions in text at which inputs end, from 1. Null "
    "of running text.",
    whole("A position.", low=1),
    null=True,
)


def _cost(about: str) -> Schema:
    """Describe -log2 p; null where p is 0, or of what is not scored."""
    return bits(about, null=True)


def _surprise() -> Schema:
    """Describe the view ``surprise``."""
    line = record(
        "A line, with the newline that ends it.",
        {
            "line": whole("Its number, from 1.", low=1),
            "characters": whole("Characters of it that are scored."),
            "bits": _cost("What it costs: the sum of -log2 p."),
            "bits_per_char": _cost("The same for each of them."),
        },
    )
    char = record(
        "A character.",
        {
            "position": whole("Where it stands in the text, from 1.", low=1),
            "line": whole("Its line, from 1.", low=1),
            "column": whole("Its place in the line, from 1.", low=1),
            "char": CHAR,
            "bits": _cost("What it costs: -log2 p."),
            "before": text("The characters before it, at most 24."),
        },
    )
    members = {
        "unit": UNIT,
        "characters": whole("Characters that are scored: of pairs, those of outputs."),
        "line_count": whole("Lines of the text."),
        "bits": _cost("What the text costs: the sum of -log2 p."),
        "nats": _cost("The same in nats: the sum of -ln p."),
        "bits_per_char": _cost("Bits for each character that is scored."),
        "nats_per_char": _cost("Nats likewise: the loss."),
        "perplexity": number("e to the power of the loss.", low=1, null=True),
        "lines": several("The lines that begin in text.", line),
        "worst": several("The dearest characters, the dearest first.", char),
        "worst_lines": several("The dearest lines a character likewise.", line),
        "text": text("The beginning of the text, as long as --max-chars says."),
        "char_bits": several(
            "What each character of text costs, in bits; null for those that are not "
            "scored.",
            _cost("-log2 p."),
        ),
        "static_bits_per_char": _cost(
            "With --adapt: bits a character by counts that do not go on in the text; "
            "else null."
        ),
        "input_ends": INPUT_ENDS,
    }
    return record("What the text costs under the model.", members)


def _next() -> Schema:
    """Describe the view ``next``."""
    choice = record(
        "A character that may come.",
        {
            "char": CHAR,
            "probability": share("How likely it is."),
            "bits": _cost("-log2 of that; null if it is 0."),
        },
    )
    position = record(
        "A character of the text, and what was expected in its place. Of the input "
        "of a pair, which nobody expects, the numbers are null.",
        {
            "position": whole("Where it stands, from 1.", low=1),
            "char": CHAR,
            "probability": share("How likely it was.", null=True),
            "bits": _cost("-log2 of that."),
            "rank": whole("1 if none was likelier.", low=1, null=True),
            "top": several("The likeliest, the likeliest first.", choice),
        },
    )
    members = {
        "unit": UNIT,
        "characters": CHARACTERS,
        "after": several("What may follow the text, the likeliest first.", choice),
        "entropy": bits("Bits that what follows is expected to cost."),
        "positions": several("The last characters of the text, in order.", position),
        "input_ends": several(
            "Of a model of pairs: the positions at which inputs end. Null of running "
            "text.",
            whole("A position, from 1.", low=1),
            null=True,
        ),
    }
    return record("What was expected next, behind the text and in it.", members)


def _neurons() -> Schema:
    """Describe the view ``neurons``."""
    correlation = number(
        "Pearson correlation with the feature; null where it is none, or never "
        "changes.",
        low=-1.000001,
        high=1.000001,
        null=True,
    )
    best = record(
        "The unit that follows a feature most closely, or varies most.",
        {
            "feature": text("A feature of texts such as line, or variance."),
            "layer": LAYER,
            "unit": UNIT_NUMBER,
            "correlation": correlation,
            "std": number("Standard deviation of the unit.", low=0),
        },
    )
    neuron = record(
        "A unit, and what it did.",
        {
            "layer": LAYER,
            "unit": UNIT_NUMBER,
            "follows": text("The feature that it was chosen for, or follows most."),
            "correlation": correlation,
            "mean": number("Its mean over the measured characters."),
            "std": number("Its standard deviation over them.", low=0),
            "correlations": table("By feature.", correlation),
            "values": several(
                "Its value at each character of text.", number("A value.", null=True)
            ),
        },
    )
    members = {
        "unit": UNIT,
        "signal": text(
            "What is told of units: h their output, c the tanh of an LSTM's cell, or "
            "a gate."
        ),
        "characters": CHARACTERS,
        "measured": MEASURED,
        "best": several("In the order of the features.", best),
        "neurons": several("The units that tell most, those first.", neuron),
        "text": text("The beginning of the text, as long as --max-chars says."),
        "input_ends": INPUT_ENDS,
    }
    return record("What single units follow in the text.", members)


def _gates() -> Schema:
    """Describe the view ``gates``."""
    part = share("A share.")
    of_pairs = "of a model of pairs, else null"
    gate = record(
        "A gate of a layer. A gate is 0 where it is closed and 1 where it is open.",
        {
            "layer": LAYER,
            "gate": text("Its letter: i, f and o of an LSTM, r and u of a GRU."),
            "mean": share("Its mean over characters and units."),
            "below": share("Share of characters and units at which it is below 0.1."),
            "above": share("Share at which it is above 0.9."),
            "means": several("Its mean, by unit.", part),
            "shares_below": several("Share of characters below 0.1, by unit.", part),
            "shares_above": several("Share of characters above 0.9, by unit.", part),
            "reading": share(f"Its mean in inputs, {of_pairs}.", null=True),
            "writing": share(f"Its mean in outputs, {of_pairs}.", null=True),
            "around": several(
                f"Its mean at each of the offsets, {of_pairs}.",
                share("Null where no pair has such a place.", null=True),
                null=True,
            ),
        },
    )
    members = {
        "characters": CHARACTERS,
        "measured": MEASURED,
        "gates": several("None of a vanilla cell.", gate),
        "offsets": several(
            "Of a model of pairs: characters from the end of the input, where the "
            "separator is 0. Null of running text.",
            whole("An offset.", low=None),
            null=True,
        ),
    }
    return record("How far the gates stand open.", members)


def _memory() -> Schema:
    """Describe the view ``memory``."""
    layer = record(
        "How the gradient of a loss fades on its way back.",
        {
            "layer": LAYER,
            "norms": several(
                "By lag k = 0, 1, ...: the mean norm of the gradient of a character's "
                "loss, in nats, by what the layer held k characters earlier.",
                number("A norm.", low=0, null=True),
            ),
            "decay": number(
                "Factor by which it changes with every character, from lag 1 on.",
                low=0,
                null=True,
            ),
            "half_life": number(
                "Characters after which half of the norm at lag 1 is left; null if "
                "that is not reached.",
                low=0,
                null=True,
            ),
        },
    )
    context = record(
        "What characters cost when only so many before them were read.",
        {
            "characters": whole("How many were read."),
            "bits_per_char": _cost("Bits a character."),
        },
    )
    members = {
        "characters": CHARACTERS,
        "max_lag": whole("The largest lag."),
        "gradients": whole("Characters whose losses were followed back."),
        "scored": whole("Characters that were scored with every context."),
        "layers": several("The first layer first.", layer),
        "contexts": several("The shortest first.", context),
        "in_input": several(
            "Of a model of pairs, by lag: the share of the places that are in the "
            "input, or before it, so far back. Null of running text.",
            share("A share."),
            null=True,
        ),
    }
    return record("How far back the network remembers.", members)


def _measures(about: str) -> Schema:
    """Describe how diverse texts are."""
    distinct = record(
        "n-grams of one length.",
        {
            "n": whole("The length.", low=1),
            "total": whole("How many there are."),
            "distinct": whole("How many different ones."),
            "share": share("The second by the first; null of none.", null=True),
        },
    )
    members = {
        "characters": whole("Characters of the texts."),
        "words": whole("Words of the texts."),
        "character_grams": several("Of characters, by length.", distinct),
        "word_grams": several("Of words, by length.", distinct),
        "repetition": share(
            "Share of the 20-grams of characters that stood there before.", null=True
        ),
        "longest_repeat": _span("The longest stretch that stands there twice."),
        "compression": number(
            "Size of the texts compressed by xz, by their size in UTF-8.", low=0
        ),
    }
    return record(about, members)


def _span(about: str) -> Schema:
    """Describe a stretch of text."""
    members = {
        "characters": whole("Its length."),
        "text": text("Its beginning, at most 160 characters."),
    }
    return record(about, members)


def _diversity() -> Schema:
    """Describe the view ``diversity``."""
    overlap = {
        "files": several("The corpus.", text("A path.")),
        "characters": whole("Characters of the corpus."),
        "seen": share(
            "Share of the texts' 20-grams of characters that stand in it.", null=True
        ),
        "longest_copy": _span("The longest stretch of the texts that stands in it."),
        "same_size": _measures("Of its beginning, as long as the texts."),
    }
    members = {
        "unit": UNIT,
        "source": word(
            "What was measured: a given text, or samples.", ("text", "samples")
        ),
        "samples": whole("Samples that were drawn; 1 for a text.", low=1),
        "measures": _measures("Of the texts."),
        "overlap": record(
            "What they have in common with --corpus; null without one.",
            overlap,
            null=True,
        ),
    }
    return record("How much texts repeat themselves, and copy.", members)


def _errors() -> Schema:
    """Describe the view ``errors``."""
    wrong = record(
        "An input whose output is wrong.",
        {
            "input": text("The input."),
            "wanted": several(
                "The right outputs, the nearest first.", text("An output."), low=1
            ),
            "got": text("What was written."),
            "distance": whole("Edits from the nearest right output.", low=1),
        },
    )
    confusion = record(
        "A character that was written for another.",
        {
            "wanted": text("The right one."),
            "got": text("What was written."),
            "count": whole("How often.", low=1),
            "share": share("Of the places where the right one stands."),
        },
    )
    counts = several("Of one right output.", whole("A count."))
    classes = record(
        "Outputs as wholes, where they are few; else null.",
        {
            "outputs": several("The right ones, in order.", text("An output.")),
            "counts": several(
                "A row for each right output: how often each was written for it.",
                counts,
            ),
            "others": several(
                "By right output: how often something else was written.",
                whole("A count."),
            ),
        },
        null=True,
    )
    members = {
        "unit": UNIT,
        "inputs": whole("Different inputs of the text."),
        "wrong": whole("Those whose output is wrong."),
        "exact": share("Share of the inputs whose output is right."),
        "error_rate": number("Edits per character of the right outputs.", low=0),
        "errors": several(
            "The wrong ones, the most edits first, as many as --max-chars says.", wrong
        ),
        "aligned": whole("Outputs that are as long as the right one."),
        "confusions": several("In those, the most frequent first.", confusion),
        "classes": classes,
    }
    return record("Pairs that come out wrong.", members)


#: By name: what makes the schema of a view's data.
VIEWS: dict[str, Callable[[], Schema]] = {
    "next": _next,
    "surprise": _surprise,
    "neurons": _neurons,
    "gates": _gates,
    "memory": _memory,
    "diversity": _diversity,
    "errors": _errors,
}
