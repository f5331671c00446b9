"""The data of the views that read no text: what is in a file, and what it runs on."""

from collections.abc import Callable
from typing import get_args

from charrnn.cells import names as cell_names
from charrnn.cli.schemas.forms import (
    Schema,
    bits,
    flag,
    loss,
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
from charrnn.cli.schemas.settings import settings
from charrnn.config import MixMode, ModelConfig, TrainConfig
from charrnn.options import entries_of

#: What the characters of a model are.
UNIT = word("What the model reads and writes: code points, or bytes.", ("char", "byte"))

EXACT = share(
    "Of a model of pairs: share of the held-out inputs whose output was right as a "
    "whole when training wrote them last; null if it did not.",
    null=True,
)
ERROR_RATE = number(
    "Of a model of pairs: edits per character of the right outputs, when training "
    "wrote the held-out ones last; null if it did not.",
    low=0,
    null=True,
)
STEPS = whole("Steps of training done; null if the file has weights alone.", null=True)
EPOCHS = number("Passes over the training text, with a fraction.", low=0, null=True)


def parameters(about: str = "Trained numbers of the network.") -> Schema:
    """Describe a count of parameters."""
    return whole(about, low=0)


def measured(about: str) -> Schema:
    """Describe a loss and when it was measured."""
    members = {
        "nats": loss("The loss.", null=True),
        "bits": bits("The same in bits per character.", null=True),
        "step": whole("The step after which it was measured.", null=True),
    }
    return record(f"{about} Null if it is not known.", members, null=True)


def losses() -> dict[str, Schema]:
    """Describe the losses that a file tells of."""
    return {
        "train_loss": measured("The last loss of the training text."),
        "val_loss": measured("The last loss of the held-out text."),
        "best_val_loss": measured("The lowest loss of the held-out text."),
    }


def model_settings() -> dict[str, Schema]:
    """Describe what fixes the shape of a model."""
    size = whole("Distinct characters that the model knows.", low=1)
    return {"vocab_size": size, **settings(entries_of(ModelConfig))}


def _training() -> Schema:
    """Describe the settings of the run that made a file."""
    members = settings(entries_of(TrainConfig))
    every = {
        "steps": whole("Steps from one to the next; 0 if it is counted in time."),
        "seconds": number("Seconds of training likewise.", low=0),
    }
    about = members["eval_every"]["description"]
    members["eval_every"] = record(about, every, null=True)
    return record(
        "The settings of the run; null if the file has weights alone.",
        members,
        null=True,
    )


def _summary() -> Schema:
    """Describe the view ``summary``."""
    shape = several("Its sizes.", whole("A size.", low=1))
    tensor = {
        "name": text("Its name in the file."),
        "shape": shape,
        "parameters": parameters("Its numbers."),
    }
    corpus = {
        "files": several("Base names of the files, in order.", text("A name.")),
        "bytes": whole("Size of the files together, in bytes."),
        "characters": whole("Characters of the text as the model reads it."),
        "sha256": sha256("SHA-256 of the text."),
    }
    memory = {
        "characters": whole("Characters of the training text in the file."),
        "bytes": whole("Bytes of the file that hold it."),
        "order": whole("The longest n-grams that are counted.", low=1),
        "share": share("The network's share in predictions beside their counts."),
    }
    file = {
        "path": text("Path of the file, as it was given."),
        "format": text("Version of the file's format, such as 1.0."),
        "bytes": whole("Size of the file."),
        "sha256": sha256("SHA-256 of the file."),
    }
    members = {
        "model": record("What fixes the shape of the network.", model_settings()),
        "unit": UNIT,
        "parameters": parameters(),
        "tensors": several(
            "The tensors of parameters, in the file's order.",
            record("A tensor.", tensor),
        ),
        "steps": STEPS,
        "epochs": EPOCHS,
        **losses(),
        "training": _training(),
        "corpus": record("The text that it was trained on.", corpus),
        "memory": record(
            "The training text in the file, to be counted: it can be read out of it. "
            "Null if it is not there.",
            memory,
            null=True,
        ),
        "file": record("The file.", file),
        "pairs": flag("Whether it is a model of pairs, which writes outputs."),
        "exact": EXACT,
        "error_rate": ERROR_RATE,
    }
    return record("What the checkpoint is, and how it came about.", members)


def _vocab() -> Schema:
    """Describe the view ``vocab``."""
    symbol = {
        "index": whole("Its number in the model, from 0."),
        "char": text("The character."),
        "code_point": text("Its number: U+0041, or of a byte 0x41."),
        "name": text("Its name in Unicode; empty if it has none."),
        "count": whole("How often it stands in the training text."),
    }
    members = {
        "unit": UNIT,
        "characters": whole("Characters of the training text."),
        "symbols": several(
            "All characters, in the order of their numbers.",
            record("A character, or a byte.", symbol),
        ),
    }
    return record("The characters that the model knows.", members)


def _history() -> Schema:
    """Describe the view ``history``."""
    point = {
        "step": whole("Steps done by then.", null=True),
        "epoch": number("Passes over the training text.", low=0, null=True),
        "loss": loss("Of the training text, a running mean.", null=True),
        "val_loss": loss("Of the held-out text.", null=True),
        "lr": number("Learning rate.", low=0, null=True),
        "grad_norm": number("Norm of the gradient before clipping.", low=0, null=True),
        "exact": EXACT,
        "error_rate": ERROR_RATE,
    }
    about = (
        "What was measured at one step; null where nothing was. exact and error_rate "
        "are there only if the run was one on pairs that measured them."
    )
    points = several(
        "In the order of their steps.",
        record(about, point, optional=("exact", "error_rate")),
    )
    return record("The metrics of training, by step.", {"points": points})


def _weights() -> Schema:
    """Describe the view ``weights``."""
    tensor = {
        "tensor": text("Its name; of a network with several lags also Wh, lag 2."),
        "gate": text(
            "The gate of a recurrent matrix that its numbers belong to; null for the "
            "whole tensor.",
            null=True,
        ),
        "shape": several("Its sizes.", whole("A size.", low=1)),
        "parameters": parameters("Its numbers."),
        "min": number("The least."),
        "mean": number("Their mean."),
        "std": number("Their standard deviation.", low=0),
        "max": number("The greatest."),
        "norm": number("Root of the sum of their squares.", low=0),
        "spectral_radius": number(
            "Of square recurrent blocks the largest modulus of an eigenvalue; null "
            "for other tensors.",
            low=0,
            null=True,
        ),
        "histogram": several(
            "How many numbers are in each of equal steps from the least to the "
            "greatest.",
            whole("A count."),
        ),
    }
    tensors = several(
        "In the file's order, gates behind their matrix.",
        record("A tensor, or the part of a gate.", tensor),
    )
    return record("How the values of every tensor are spread.", {"tensors": tensors})


def _text_cost() -> Schema:
    """Describe what a text costs in a comparison."""
    members = {
        "characters": whole("Characters that are scored; of a model of bytes, bytes."),
        "unknown": whole("Characters of the text that the model does not know."),
        "nats": number("The sum of -ln p over them.", low=0, null=True),
        "bits": bits("The same in bits.", null=True),
        "bits_per_char": bits("The same in bits per character.", null=True),
        "static_bits_per_char": bits(
            "With --adapt: the same by counts that do not go on in the text.",
            null=True,
        ),
        "exact": share(
            "Of a model of pairs: share of the text's inputs whose output comes out "
            "right.",
            null=True,
        ),
        "error_rate": number(
            "Of a model of pairs: edits per character of the text's outputs.",
            low=0,
            null=True,
        ),
        "network_share": share("The network's share in predictions."),
    }
    return record(
        "What the text costs under it; null if none was given.", members, null=True
    )


def _compare() -> Schema:
    """Describe the view ``compare``."""
    shape = model_settings()
    one = {
        "checkpoint": text("Path of the checkpoint."),
        "cell": word("Kind of cell.", cell_names()),
        **{name: shape[name] for name in ("activation", "layers", "hidden", "norm")},
        "parameters": parameters(),
        "unit": UNIT,
        "vocabulary": whole("Distinct characters that it knows.", low=1),
        "steps": STEPS,
        "epochs": EPOCHS,
        **losses(),
        "corpus_characters": whole("Characters of its training text."),
        "corpus_sha256": sha256("SHA-256 of its training text."),
        "text": _text_cost(),
        "exact": EXACT,
        "error_rate": ERROR_RATE,
    }
    members = {
        "checkpoints": several(
            "In the order of their names on the command line.",
            record("A checkpoint.", one),
        ),
        "mixture": _mixture_cost(),
    }
    about = "Checkpoints side by side; with --mix their mixture, too."
    return record(about, members, optional=("mixture",))


def _mixture_cost() -> Schema:
    """Describe what a text costs under a mixture."""
    members = {
        "weights": several(
            "The models', which add up to 1.", share("A weight."), low=1
        ),
        "mode": word("How they are mixed.", get_args(MixMode)),
        "vocabulary": whole("Distinct characters that it knows.", low=1),
        "characters": whole("Characters that are scored; of models of bytes, bytes."),
        "unknown": whole("Characters of the text that it does not know."),
        "nats": number("The sum of -ln p over them.", low=0, null=True),
        "bits": bits("The same in bits.", null=True),
        "bits_per_char": bits("The same in bits per character.", null=True),
    }
    return record("What the text costs under the mixture.", members)


def _system() -> Schema:
    """Describe the view ``system``."""
    cache = {
        "directory": text("Its path; null without a home directory.", null=True),
        "files": whole("Files in it."),
        "bytes": whole("Their size together."),
    }
    members = {
        "versions": table(
            "By package: its version.", text("Null if it is missing.", null=True)
        ),
        "platform": text("The operating system."),
        "processor": text("The processor's name, as far as it is known."),
        "vectors": several("Vector instructions that it has.", text("A name.")),
        "processors": whole("Processors of the machine.", low=1),
        "processors_allowed": whole("Those that this process may use.", low=1),
        "threads": whole("Threads that are used.", low=1),
        "threading_layer": text("What Numba is asked to start them by."),
        "cache": record("Where compiled kernels are kept.", cache),
        "environment": table(
            "Variables that change how kernels run, by name.", text("A value.")
        ),
    }
    return record("What charrnn runs on.", members)


#: By name: what makes the schema of a view's data.
VIEWS: dict[str, Callable[[], Schema]] = {
    "summary": _summary,
    "vocab": _vocab,
    "history": _history,
    "weights": _weights,
    "compare": _compare,
    "system": _system,
}
