"""What ``sample --json`` writes, and what ``--serve --json`` reads and writes."""

from typing import Any, get_args

from charrnn.cli.records import SAMPLER
from charrnn.cli.schemas.forms import (
    Schema,
    always,
    bits,
    number,
    record,
    several,
    sha256,
    share,
    table,
    text,
    whole,
    word,
)
from charrnn.cli.schemas.settings import meaning, setting
from charrnn.config import Blending, Mixing, SampleConfig, WeightsName
from charrnn.options import Entry, entries_of

NATS = "the sum of -ln p over its characters, by the model itself before any filter"

#: How texts of a model of bytes come into JSON.
CHARACTERS = "of a model of bytes read as UTF-8, with U+FFFD for what is none"


def _either(about: str, *kinds: Schema) -> Schema:
    """Describe a value that may have one of several forms."""
    return {"description": about, "anyOf": list(kinds)}


def of_each(one: Schema) -> Schema:
    """Describe what a model has, and several have one each of."""
    about = f"{one['description']} Of several models a list, in their order."
    return _either(about, one, {"type": "array", "items": one, "minItems": 1})


def _finish() -> Schema:
    """Describe why a text ended."""
    from charrnn.generation.samples import FinishReason

    return word(
        "Why it ended: length, its limit in characters; stop, a stop text; lines, its "
        "last newline; pattern, nothing can follow; time, its limit; interrupted, "
        "whoever waited did not.",
        get_args(FinishReason),
    )


def _logprobs() -> Schema:
    """Describe what the model said of each character."""
    char = text("The character; a byte that is no ASCII as \\xHH.")
    logprob = number(
        "Natural logarithm of its probability, by the model itself before any filter.",
        high=0,
    )
    likely = record("A character.", {"char": char, "logprob": logprob})
    top = several("The likeliest ones in its place, the likeliest first.", likely)
    members = {"char": char, "logprob": logprob, "top": top}
    return several(
        "With --logprobs K: each character of the text, with K alternatives.",
        record("A character of the text.", members),
    )


def _sampler() -> Schema:
    """Describe the settings that a sample was made with."""
    entries = {entry.name: entry for entry in entries_of(SampleConfig)}
    counted = {entry.name: entry for entry in entries_of(Blending)}
    mixed = {entry.name: entry for entry in entries_of(Mixing)}
    bias = _either(
        "What is added to the logit.",
        number("A number."),
        always("The character is banned.", "-inf"),
    )
    members = {name: setting(entries[name]) for name in SAMPLER}
    members |= {
        "precision": of_each(
            word(
                "What weights of layers were rounded to, also by default.",
                get_args(WeightsName),
            )
        ),
        "blend": of_each(
            share(meaning(counted["blend"]) + " Here always as a number.")
        ),
        "mix": several("The weights of several models.", share("A weight."), low=1),
        "mix_mode": setting(mixed["mix_mode"]),
        "adapt": setting(counted["adapt"]),
        "adapt_output": setting(counted["adapt_output"]),
        "logit_bias": table(meaning(entries["logit_bias"]), bias),
        "set_unit": several(
            meaning(entries["set_unit"]), text("LAYER:UNIT:h=VALUE or with c.")
        ),
    }
    optional = ("pattern", "set_unit", "beam", "mix", "mix_mode")
    return record(
        "The options that chose the characters. beam is there only of a model of "
        "pairs, pattern and set_unit only where they were given, mix and mix_mode "
        "only of several models.",
        members,
        optional=optional,
    )


def _costs(about: str) -> dict[str, Schema]:
    """Describe what a text cost, with how long it is and why it ended."""
    return {
        "chars": whole(f"Characters of {about}; of a model of bytes, bytes."),
        "finish_reason": _finish(),
        "nats": number(f"What {about} costs: {NATS}.", low=0),
    }


def _of_text() -> dict[str, Schema]:
    """Describe a continued text."""
    return {
        "prompt": text(f"What it continues; {CHARACTERS}."),
        "text": text(f"The new text; {CHARACTERS}."),
        **_costs("the new text"),
        "bits_per_char": bits(
            "The same in bits, per character; null of an empty text.", null=True
        ),
    }


def _of_pairs() -> dict[str, Schema]:
    """Describe an output."""
    nats = number(f"{NATS.capitalize()}, its newline included.", low=0)
    beam = {"output": text("An output."), "nats": nats}
    return {
        "input": text(f"What was given; {CHARACTERS}."),
        "output": text(f"What was written for it; {CHARACTERS}."),
        **_costs("the output, with the newline that ends it,"),
        "chars": whole("Characters of the output, without its newline."),
        "bits": bits("The same in bits."),
        "bits_per_char": bits(
            "The same in bits per character, the newline counted; null if there is "
            "none.",
            null=True,
        ),
        "beams": several(
            "With --beam: the likeliest outputs, the likeliest first.",
            record("An output.", beam),
        ),
    }


def _sample(about: str, members: dict[str, Schema], **first: Schema) -> Schema:
    """Describe a sample, of running text or of pairs."""
    head = {
        "index": whole("Its number among all samples, from 0."),
        "seed": whole("What makes the same text again."),
    }
    tail = {
        "sampler": _sampler(),
        "checkpoint_sha256": of_each(sha256("SHA-256 of the checkpoint's file.")),
        "logprobs": _logprobs(),
    }
    found = {**first, **head, **members, **tail}
    return record(about, found, optional=("beams", "logprobs"))


def line() -> Schema:
    """Describe a line of ``sample --json``."""
    kinds = {
        "text": _sample("A sample of running text.", _of_text()),
        "output": _sample("An output of a model of pairs.", _of_pairs()),
    }
    return {
        "title": "A line of charrnn sample --json",
        "description": "JSON Lines: each line is one sample, in order.",
        "oneOf": [{"$ref": f"#/$defs/{name}"} for name in kinds],
        "$defs": kinds,
    }


def _id(about: str) -> Schema:
    """Describe what a request is known by."""
    return {"description": about, "type": ["string", "number", "null"]}


def answer() -> Schema:
    """Describe an answer of ``sample --serve --json``."""
    given = _id("The id of the request, as it was given; null if it had none.")
    refusal = {
        "id": given,
        "error": text("What is wrong, options by their names in a request."),
        "field": text("The member of the request that it is about.", null=True),
        "hint": text("What to do.", null=True),
    }
    index = always("There is one sample of each request.", 0)
    kinds = {
        "text": _sample("A sample of running text.", _of_text(), id=given),
        "output": _sample("An output of a model of pairs.", _of_pairs(), id=given),
        "refusal": record("The request cannot be answered.", refusal),
    }
    for name in ("text", "output"):
        kinds[name]["properties"]["index"] = index
    return {
        "title": "An answer of charrnn sample --serve --json",
        "description": (
            "One line for each line of requests, in their order. The schema named "
            "request describes the requests."
        ),
        "oneOf": [{"$ref": f"#/$defs/{name}"} for name in kinds],
        "$defs": kinds,
    }


#: Options that JSON says in another way, or in several.
SPECIAL: dict[str, Any] = {
    "blend": ({"const": "auto"}, {"type": "number", "minimum": 0, "maximum": 1}),
    "time": (
        {"type": "number", "exclusiveMinimum": 0},
        {"type": "string", "description": "Such as 90s or 1m30s."},
    ),
    "logit_bias": (
        {"type": "object", "additionalProperties": {"type": "number"}},
        {"type": "array", "items": {"type": "string", "pattern": "="}},
    ),
    "set_unit": (
        {"type": "string"},
        {"type": "array", "items": {"type": "string"}},
    ),
    "stop": (
        {"type": "string"},
        {"type": "array", "items": {"type": "string"}},
    ),
}


def _asked(entry: Entry) -> Schema:
    """Describe an option as a request may give it; null says nothing."""
    if entry.name in SPECIAL:
        return _either(meaning(entry), *SPECIAL[entry.name], {"type": "null"})
    found = setting(entry)
    if isinstance(found["type"], str):
        found["type"] = [found["type"], "null"]
        if "enum" in found:
            found["enum"].append(None)
    return found


def request() -> Schema:
    """Describe a request of ``sample --serve --json``."""
    from charrnn.cli.serving import OPTIONS

    members = {
        "id": _id("Handed back in the answer."),
        "prompt": text("What is continued, or an input of pairs; none by default."),
    }
    for entry in OPTIONS.entries:
        if entry.name not in OPTIONS.elsewhere:
            members[entry.name] = _asked(entry)
    found = record(
        "One object a line. Options that a request does not name are those of the "
        "command.",
        members,
        optional=tuple(members),
    )
    return {"title": "A request to charrnn sample --serve --json", **found}
