"""What a line of ``train --json`` is: one record of a run, or its plan."""

from typing import get_args

from charrnn.cells import names as cell_names
from charrnn.cli.schemas.forms import (
    Schema,
    always,
    bits,
    flag,
    loss,
    number,
    record,
    several,
    sha256,
    share,
    text,
    whole,
    word,
)
from charrnn.config import PrecisionName
from charrnn.training.records import StopReason

#: Of all records; see `charrnn.training.records`.
ELAPSED = number(
    "Seconds of training steps, without compiling, evaluating, saving and previews. "
    "Of a run with a limit in time they count from its beginning, also where it was "
    "resumed since; of any other run from the last resume.",
    low=0,
)
STEP = whole("Steps of the optimizer done so far, this one included.")
EPOCH = number("Passes over the training text so far, with a fraction.", low=0)
EXACT = share(
    "Only of a run on pairs. Share of the held-out inputs whose output is right as a "
    "whole; null where nothing was held out or written.",
    null=True,
)
ERROR_RATE = number(
    "Only of a run on pairs. Edits per character of the right outputs: 0 is all "
    "right, and more than 1 is possible.",
    low=0,
    null=True,
)
OF_PAIRS = {"exact": EXACT, "error_rate": ERROR_RATE}


def _event(name: str, about: str, *optional: str, **members: Schema) -> Schema:
    """Describe a record, with what all have."""
    first = {
        "event": always("What the record is about.", name),
        "schema": always("Version of the form of all records.", 1),
    }
    return record(about, {**first, **members}, optional=optional)


def _both(about: str, *, null: bool = False) -> Schema:
    """Describe a loss in both units."""
    members = {
        "loss": loss("A mean over the held-out text."),
        "bits_per_char": bits("The same in bits per character."),
    }
    return record(about, members, null=null)


def _corpus() -> Schema:
    """Describe what is trained on."""
    members = {
        "files": several("Base names of the files, in order.", text("A name.")),
        "bytes": whole("Size of the files together, in bytes."),
        "characters": whole("Characters of the text as the model reads it."),
        "sha256": sha256("SHA-256 of the text, by which a resumed run knows it again."),
    }
    return record("The text that is trained on, its held-out part included.", members)


def _begun() -> dict[str, Schema]:
    """Describe what a run is, before it begins."""
    return {
        "corpus": _corpus(),
        "vocabulary": whole("Distinct characters that the model knows.", low=1),
        "parameters": whole("Trained numbers of the network.", low=1),
        "cell": word("Kind of cell.", cell_names()),
        "layers": whole("Layers of the network.", low=1),
        "hidden": whole("Units of each layer.", low=1),
        "batch_size": whole("Streams read side by side, of all processes.", low=1),
        "ranks": whole("Processes that train together.", low=1),
        "rank_batch_size": whole("Streams that each process reads.", low=1),
        "seq_length": whole("Characters of each stream in a step.", low=1),
        "threads": whole("Threads of each process.", low=1),
        "seed": whole("What weights, dropout and order are drawn by."),
        "output": text("Path of the checkpoint; - is standard output."),
        "precision": word(
            "What products are rounded to; not there for float32.",
            get_args(PrecisionName),
        ),
    }


def _yardsticks() -> Schema:
    """Describe what simpler means make of the held-out text."""
    ngram = {
        "order": whole("Characters of an n-gram.", low=1),
        "loss": loss("A mean over the held-out text."),
        "bits_per_char": bits("The same in bits per character."),
    }
    members = {
        "order0": _both("By the frequencies of single characters."),
        "ngram": record(
            "By an interpolated Kneser-Ney model of the order that does best; null "
            "where the text is too long to be counted.",
            ngram,
            null=True,
        ),
        "xz": _both(
            "By what xz adds to the compressed training text; null where the text is "
            "too long or too short for it.",
            null=True,
        ),
        "notes": several("What was left out, and why.", text("A sentence.")),
    }
    return record(
        "What the held-out text costs without a network, to compare losses with; null "
        "where nothing was held out.",
        members,
        null=True,
    )


def _blend() -> Schema:
    """Describe a network and the n-grams of its text together."""
    members = {
        "share": share("The network's share in predictions."),
        "order": whole("The longest n-grams that are counted.", low=1),
        "loss": loss(
            "Of the blend: its share was fitted on one half of the held-out text and "
            "scored on the other, both ways. Null where nothing was held out.",
            null=True,
        ),
        "bits_per_char": bits("The same in bits per character.", null=True),
        "network_loss": loss("Of the network alone.", null=True),
        "ngram_loss": loss("Of the n-grams alone.", null=True),
    }
    return record(
        "The network together with the n-grams of its text, which the checkpoint "
        "holds; null where the text was not counted.",
        members,
        null=True,
    )


def _plan() -> Schema:
    """Describe what a dry run says."""
    return _event(
        "plan",
        "Instead of all others with --dry-run: what a run would be.",
        "precision",
        **_begun(),
        memory=whole("Estimated bytes of memory, beside the text."),
        seconds=number("Estimated seconds of training that are left.", low=0),
        chars_per_second=number("Measured characters a second of a step.", low=0),
        refused=text(
            "Why the run would be refused for its output; null if it would not.",
            null=True,
        ),
        yardsticks=_yardsticks(),
    )


def _step() -> Schema:
    """Describe a step."""
    return _event(
        "step",
        "A step of the optimizer, as often as --log-every says.",
        step=STEP,
        epoch=EPOCH,
        loss=loss(
            "Of this step's window; null where it has no target, as inside the input "
            "of a pair, or where the loss is not finite.",
            null=True,
        ),
        bits_per_char=bits("The same in bits per character.", null=True),
        lr=number("Learning rate of the step.", low=0),
        grad_norm=number(
            "Euclidean norm of the gradient before clipping; null where it is not "
            "finite.",
            low=0,
            null=True,
        ),
        chars_per_second=number("Characters a second of the last second.", low=0),
        elapsed=ELAPSED,
    )


def _eval() -> Schema:
    """Describe an evaluation."""
    return _event(
        "eval",
        "One pass over the held-out text, the state carried along, without dropout.",
        "exact",
        "error_rate",
        step=STEP,
        epoch=EPOCH,
        val_loss=loss("Of the held-out text; null where it is not finite.", null=True),
        val_bits_per_char=bits("The same in bits per character.", null=True),
        best=flag("Whether it is lower than ever before in this run."),
        elapsed=ELAPSED,
        **OF_PAIRS,
    )


def _end() -> Schema:
    """Describe the last record."""
    return _event(
        "end",
        "The run is over, and its last checkpoint is written.",
        "exact",
        "error_rate",
        reason=word("Why it ended.", get_args(StopReason)),
        steps=whole("Steps done, those before a resume included."),
        epochs=number("Passes over the training text, with a fraction.", low=0),
        train_loss=loss("Running mean of the last steps.", null=True),
        val_loss=loss("Of the held-out text in the end.", null=True),
        best_val_loss=loss("The lowest of all evaluations.", null=True),
        chars_per_second=number(
            "Characters a second over all steps since the last resume; null if there "
            "was none.",
            low=0,
            null=True,
        ),
        elapsed=ELAPSED,
        **OF_PAIRS,
        yardsticks=_yardsticks(),
        blend=_blend(),
        path=text("Path of the checkpoint; - is standard output."),
    )


def line() -> Schema:
    """Describe any line of the output."""
    events = {
        "start": _event(
            "start", "The first record: what the run is.", "precision", **_begun()
        ),
        "plan": _plan(),
        "step": _step(),
        "eval": _eval(),
        "save": _event(
            "save",
            "A checkpoint has been written.",
            step=whole("Steps done by then."),
            path=text("Its path; - is standard output."),
        ),
        "warning": _event(
            "warning",
            "Something that does not end the run.",
            message=text("A sentence, options by their names in Python."),
        ),
        "end": _end(),
    }
    return {
        "title": "A line of charrnn train --json",
        "description": (
            "JSON Lines: each line is one record, told apart by its event. Lines of "
            "--log-file are the same. Numbers that are not finite are null."
        ),
        "oneOf": [{"$ref": f"#/$defs/{name}"} for name in events],
        "$defs": events,
    }
