"""Which units of a network can be looked at, and in how much of a text."""

from charrnn.cells import cell_of
from charrnn.config import ModelConfig
from charrnn.errors import OptionError, field
from charrnn.options import check_number

#: Characters that statistics of units are made of: a few seconds.
MEASURED = 1 << 17


def check_place(
    config: ModelConfig, signal: str, layer: int | None, units: tuple[int, ...]
) -> None:
    """Raise `OptionError` unless a model has this signal, layer and these units."""
    known = cell_of(config.cell).signals
    if signal not in known:
        msg = f"{field('signal', signal)}: a cell of type {config.cell} has none"
        raise OptionError(msg, hint=f"it has {', '.join(known)}")
    if layer is not None:
        check_number(field("layer"), layer, low=0, high=config.layers - 1)
    for unit in units:
        check_number(field("unit"), unit, low=0, high=config.hidden - 1)
