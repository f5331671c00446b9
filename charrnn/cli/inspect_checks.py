"""Whether checkpoints can have the views asked for, and what is said if they cannot."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from charrnn.errors import (
    CharRNNError,
    CheckpointError,
    InputError,
    OptionError,
    VocabError,
    field,
)

if TYPE_CHECKING:
    from charrnn.inspection.inspected import InspectedCheckpoint
    from charrnn.inspection.view import AnyView


def check_views(
    checkpoint: "InspectedCheckpoint", views: Sequence["AnyView"], *, several: bool
) -> None:
    """See whether a checkpoint can have these views, before Numba is imported.

    Parameters
    ----------
    several : bool
        Whether it is one of several: then an error has to say which one it is about.
    """
    for view in views:
        if not view.suits(checkpoint):
            raise _unsuited(view, checkpoint)
        view.check(checkpoint)
    try:
        checkpoint.count()
    except VocabError as error:
        if several:
            error.where = str(checkpoint.file.path)
        raise


def _unsuited(view: "AnyView", checkpoint: "InspectedCheckpoint") -> OptionError:
    """Say that a view is not about such a model, and what is."""
    where = str(checkpoint.file.path)
    name = field("view", view.name)
    if view.models == "pairs":
        msg = f"{name} is about models of pairs, which this one is not"
        hint = f"training with {field('pairs', True)} makes one"
        return OptionError(msg, where=where, hint=hint)
    msg = f"{name} is not about models of pairs, which this one is"
    hint = f"{field('view', 'errors')} is the view for them"
    return OptionError(msg, where=where, hint=hint)


def summed_up(faults: Sequence[CharRNNError], files: int) -> CharRNNError:
    """Make one error of those that were reported one by one."""
    unreadable = all(isinstance(error, InputError) for error in faults)
    kind = InputError if unreadable else CheckpointError
    return kind(f"{len(faults):,} of {files:,} checkpoints failed the check")
