"""What commands say of the memory of a checkpoint, and of the lack of one."""

from typing import TYPE_CHECKING

from charrnn.config import Blending, Share, needs_memory, no_memory

if TYPE_CHECKING:
    from charrnn.checkpoint import CheckpointFile

#: Said where somebody might expect a blend, but the text has not been counted yet.
UNFINISHED = (
    "the network predicts alone: its training has not ended, and the text is stored "
    "with the model at the end"
)


def check_blending(blending: Blending, file: "CheckpointFile") -> None:
    """Raise `CountsError` where a blend is asked for that a file cannot give."""
    blend, adapt = blending.blend, blending.adapt
    if file.memory is None and needs_memory(blend, adapt=adapt):
        raise no_memory(blend, adapt=adapt, where=str(file.path))


def share_in(blend: Share, file: "CheckpointFile") -> float:
    """Tell the network's share in what the model of a file predicts."""
    if blend != "auto":
        return blend
    return 1.0 if file.memory is None else file.memory.share
