"""Numbers of things, in words: every message counts the same way."""


def plural(count: float, noun: str, form: str = ",") -> str:
    """Count something: ``1 step``, ``2,000 steps``.

    Parameters
    ----------
    noun : str
        In the singular; its plural ends in s.
    form : str
        How the number is written.
    """
    return f"{count:{form}} {noun if count == 1 else noun + 's'}"
