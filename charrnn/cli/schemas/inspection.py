"""What a line of ``inspect --json`` is: the views of one checkpoint, or of several."""

from charrnn.cli.schemas import file_views, text_views
from charrnn.cli.schemas.forms import (
    Schema,
    always,
    flag,
    record,
    several,
    share,
    text,
)
from charrnn.cli.schemas.settings import setting
from charrnn.config import Mixing
from charrnn.inspection.registry import names
from charrnn.options import entries_of

#: By the name of a view: what makes the schema of its data.
VIEWS = file_views.VIEWS | text_views.VIEWS

#: A view that does not come with charrnn may have any data.
FOREIGN: Schema = {"description": "A view that was registered.", "type": "object"}


def line() -> Schema:
    """Describe any line of the output."""
    views: dict[str, Schema] = {
        name: VIEWS[name]() if name in VIEWS else FOREIGN for name in names()
    }
    version = always("Version of the form.", 1)
    shown = record(
        "The data of the views that were asked for, by name, in the order of asking.",
        {name: {"$ref": f"#/$defs/{name}"} for name in views},
        optional=views,
    )
    one = {
        "schema": version,
        "checkpoint": text("Path of the checkpoint, as it was given."),
        "verified": flag("With --verify: whether every byte of the file is good."),
        "fault": text("With --verify: what is wrong with it, if anything is."),
        "views": shown,
    }
    together = {
        "schema": version,
        "checkpoints": several("Their paths, in order.", text("A path."), low=1),
        "views": shown,
    }
    about_one = record("One checkpoint.", one, optional=("verified", "fault"))
    mixing = {entry.name: entry for entry in entries_of(Mixing)}
    together |= {
        "mix": several("With --mix: the weights.", share("A weight."), low=1),
        "mix_mode": setting(mixing["mix_mode"]),
    }
    about_all = record(
        "The view compare, of all checkpoints together; with --mix all views of their "
        "mixture.",
        together,
        optional=("mix", "mix_mode"),
    )
    return {
        "title": "A line of charrnn inspect --json",
        "description": (
            "JSON Lines: an object for each checkpoint, then one for the view compare "
            "or a mixture if that was asked for. Numbers that are not finite are null. "
            "Characters of a model of bytes are the Latin-1 ones of their numbers."
        ),
        "oneOf": [about_one, about_all],
        "$defs": views,
    }
