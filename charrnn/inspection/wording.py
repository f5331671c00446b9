"""Numbers as people read them."""

from collections.abc import Iterable

from charrnn.counting import plural

#: What the outputs are that evaluations of a run have written.
EVALUATED_OUTPUTS = "of at most 1,000 held out, by the network alone"


def byte_size(number: int) -> str:
    """Write a number of bytes, short and in full."""
    short, units = float(number), ["bytes", "kB", "MB", "GB"]
    while short >= 1000 and len(units) > 1:
        short /= 1000
        units.pop(0)
    full = plural(number, "byte")
    return full if units[0] == "bytes" else f"{short:.1f} {units[0]} ({full})"


def number(value: float | None, form: str = ".4g") -> str:
    """Write a number, or a dash where there is none."""
    return "-" if value is None else format(value, form)


def shape(lengths: Iterable[int]) -> str:
    """Write the lengths of an array's axes."""
    return " x ".join(map(str, lengths))
