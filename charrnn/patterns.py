r"""Patterns that a text is to match: from a regular expression to an automaton.

What a single character may be (``.``, ``\w``, ``[a-f]``) is decided by Python's `re`,
for every symbol of a vocabulary. How such characters are put together is read by
greenery, which is optional, once each of them has been replaced by a sign of its own.
Of that, the automaton of positions (Glushkov 1961) is made deterministic: a state is
what may come next, and whether the text may end.

What no automaton can decide by the next character alone has no place here: looking
around, referring back, and the borders of words.
"""

import re
import warnings
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.arrays import Ids
from charrnn.errors import MissingComponentError, OptionError, VocabError, field

#: States of an automaton, and numbers in its table, at most.
MOST_STATES, MOST_ENTRIES = 20_000, 1 << 24

#: Characters of an expression, with every repetition written out, at most.
MOST_POSITIONS = 20_000

#: The first of the signs that stand for sets of characters: letters, none an operator.
FIRST_SIGN = 0x4E00

#: How far a state from which no end can be reached is from one.
FAR = 2**31 - 1

SINGLE = re.compile(
    r"\\(?:x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|0[0-7]{0,2}"
    r"|[0-3][0-7]{2}|N\{[^}]*\}|[dDsSwWntrfva]|[^0-9A-Za-z])"
    r"|\[\^?\]?(?:\\.|[^\]\\])*\]|[^\\()|*+?{]",
    re.DOTALL,
)
COUNT = re.compile(r"\{(\d*)(?:(,)(\d*))?\}")
GROUP = re.compile(r"\((?:\?:|\?P<\w+>)?(?!\?)")
FLAGS = re.compile(r"\(\?([a-zA-Z]+)\)")

ANCHORS = "anchors"

#: How what is refused begins, and what it is called.
REFUSED = (
    (r"\(\?<?[=!]", "lookaround"),
    (r"\(\?P=|\\(?![0-3][0-7]{2})[1-9]", "backreferences"),
    (r"\\[bB]", r"\b and \B"),
    (r"\\[AZ]|[\^$]", ANCHORS),
    (r"\(\?\(", "conditional groups"),
    (r"\(\?>", "atomic groups"),
    (r"\(\?#", "comments"),
    (r"\(\?(?!P<)[a-zA-Z-]", "flags behind the beginning"),
)
WHOLE = "the whole text has to match anyway: leave it away"
NESTED = "so many groups inside one another"
HINT = "write out what may follow; groups, sets, | and counts are understood"


class Automaton(NamedTuple):
    """A deterministic automaton over the symbols of a vocabulary."""

    following: Ids  # (S, V) the state behind each symbol; -1 where it may not come
    distance: Ids  # (S,) the fewest symbols to a state where a text may end


class _Part(NamedTuple):
    """Part of an expression: sets of its positions, as the bits of an integer."""

    nullable: bool  # whether it may be empty
    first: int
    last: int


def check(pattern: str) -> None:
    """See whether a pattern can be followed.

    Raises
    ------
    OptionError
        It is no regular expression, or has what no automaton can decide.
    MissingComponentError
        greenery is not installed.
    """
    _parse(_signs(pattern, "", 0)[0])


def automaton_of(pattern: str, symbols: str, *, of_bytes: bool = False) -> Automaton:
    """Make the automaton of a regular expression, which a whole text is to match.

    Parameters
    ----------
    pattern : str
        As Python's `re` has it.
    symbols : str
        Those of the vocabulary, V of them.
    of_bytes : bool
        Whether they stand for bytes; the pattern is then one of bytes, too.

    Raises
    ------
    OptionError
        See `check`; or it has too many states.
    """
    flags = 0
    if of_bytes:
        flags = re.ASCII
        if not pattern.isascii():
            msg = f"{field('pattern')} of a model of bytes must be ASCII"
            raise OptionError(msg, hint=r"write the bytes of other characters as \xHH")
    text, sets = _signs(pattern, symbols, flags)
    positions = _Positions(sets)
    whole = positions.of(_parse(text))
    return _determined(positions, whole, len(symbols))


def kept_to(automaton: Automaton, allowed: NDArray[np.bool_]) -> Automaton:
    """Leave out symbols that must not come, and states that then lead nowhere.

    Parameters
    ----------
    allowed : (V,) bool array
        Which symbols may come.

    Raises
    ------
    VocabError
        No text is left that matches.
    """
    following = np.where(allowed, automaton.following, -1).astype(np.int32)
    ends = np.flatnonzero(automaton.distance == 0)
    distance = _distances(following, ends)
    far = distance == FAR
    following[far[following] & (following >= 0)] = -1
    if distance[0] == FAR:
        place = _stuck(automaton.following, allowed) + 1
        msg = f"{field('pattern')}: nothing is possible at character {place:,}"
        hint = f"what the model, {field('allow')} and {field('ban')} leave has no match"
        raise VocabError(msg, hint=hint)
    return Automaton(following, distance)


def _stuck(following: Ids, allowed: NDArray[np.bool_]) -> int:
    """Count the symbols after which no text goes on, or none comes to an end."""
    states, seen, steps = {0}, {0}, 0
    while True:
        row = following[sorted(states)][:, allowed]
        states = set(np.unique(row[row >= 0]).tolist()) - seen
        if not states:
            return steps
        seen |= states
        steps += 1


def _refused(what: str, hint: str = HINT) -> OptionError:
    """Make the error of something that a pattern must not have."""
    return OptionError(f"{field('pattern')} cannot have {what}", hint=hint)


def _anchors() -> OptionError:
    """Make the error of an anchor, or of one that is not for the whole pattern."""
    return _refused(ANCHORS, WHOLE)


def _signs(
    pattern: str, symbols: str, flags: int
) -> tuple[str, dict[str, frozenset[int]]]:
    """Replace every part that is one character by a sign for what that may be.

    Returns
    -------
    text : str
        Signs, parentheses, bars and counts.
    sets : dict
        What each sign stands for: ids of symbols.
    """
    _check_syntax(pattern)
    if (found := FLAGS.match(pattern)) is not None:
        for letter in found[1]:
            if letter not in "ais":
                raise _refused("the flag " + letter, "a, i and s are understood")
            flags |= getattr(re, letter.upper())
        pattern = pattern[found.end() :]
    whole, pattern = pattern, _without_anchors(pattern)
    signs: dict[str, str] = {}
    sets: dict[str, frozenset[int]] = {}
    parts, at = [], 0
    while at < len(pattern):
        part, after = _next(pattern, at)
        if part is None:
            single = pattern[at:after]
            if single not in signs:
                sign = signs[single] = chr(FIRST_SIGN + len(signs))
                matches = re.compile(_escaped(single), flags).fullmatch
                sets[sign] = frozenset(n for n, s in enumerate(symbols) if matches(s))
            part = signs[single]
        parts.append(part)
        at = after
    text = "".join(parts)
    if whole != pattern and _has_alternatives(text):
        raise _anchors()  # which would be those of one alternative
    return text, sets


def _check_syntax(pattern: str) -> None:
    """See whether a pattern is one of Python's `re`, without any doubt.

    Raises
    ------
    OptionError
        It is not, or has what may come to mean something else, such as ``[[:alpha:]]``.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", FutureWarning)
            re.compile(pattern)
    except RecursionError:
        raise _refused(NESTED) from None
    except FutureWarning as warning:
        what = str(warning)
        msg = f"{field('pattern')} is not clear: {what[:1].lower()}{what[1:]}"
        hint = r"in a set, write \[ for [ and \ before what stands twice"
        raise OptionError(msg, hint=hint) from None
    except (re.error, OverflowError) as error:
        msg = f"{field('pattern')} is no regular expression: {error}"
        raise OptionError(msg, hint="it is written as Python's re has it") from None


def _escaped(single: str) -> str:
    """Write a part that is one character so that it stands for itself alone."""
    return re.escape(single) if single in "{}]" else single


def _without_anchors(pattern: str) -> str:
    """Leave out ``^`` at the beginning and ``$`` at the end, which change nothing."""
    pattern = pattern.removeprefix("^")
    rest = pattern.removesuffix("$")
    if (len(rest) - len(rest.rstrip("\\"))) % 2:  # it is \$
        return pattern
    return rest


def _has_alternatives(text: str) -> bool:
    """Tell whether there is a bar outside all parentheses."""
    depth = 0
    for sign in text:
        depth += (sign == "(") - (sign == ")")
        if sign == "|" and not depth:
            return True
    return False


def _next(pattern: str, at: int) -> tuple[str | None, int]:
    """Read the next part of a pattern.

    Returns
    -------
    part : str or None
        As greenery has it; None for one character.
    after : int
        Where the part behind it begins.

    Raises
    ------
    OptionError
        It is something that no automaton can decide.
    """
    for begin, what in REFUSED:
        if re.compile(begin).match(pattern, at):
            raise _anchors() if what == ANCHORS else _refused(what)
    if (found := GROUP.match(pattern, at)) is not None:
        return "(", found.end()
    count = COUNT.match(pattern, at)
    if count is not None and any(count.groups()):
        least, comma, most = count.groups()
        least = str(int(least or 0))
        part = f"{{{least},{most and int(most)}}}" if comma else f"{{{least}}}"
        return part, _behind(pattern, count.end())
    if pattern[at] in "*+?":
        return pattern[at], _behind(pattern, at + 1)
    if pattern[at] in ")|":
        return pattern[at], at + 1
    found = SINGLE.match(pattern, at)
    if found is None and pattern[at] != "{":
        raise _refused(repr(pattern[at : at + 4]))
    return None, at + 1 if found is None else found.end()


def _behind(pattern: str, at: int) -> int:
    """Pass over what says how much a count takes, which does not change what matches.

    Raises
    ------
    OptionError
        It takes all it can get, which does.
    """
    if pattern[at : at + 1] == "+":
        what = "possessive counts"
        raise _refused(what)
    return at + (pattern[at : at + 1] == "?")


def _parse(text: str) -> Any:
    """Let greenery read signs and what puts them together."""
    try:
        from greenery import parse
    except ImportError:
        msg = f"{field('pattern')} needs greenery, which is not installed"
        hint = "pip install 'charrnn-numba[patterns]'"
        raise MissingComponentError(msg, hint=hint) from None
    try:
        return parse(text)
    except RecursionError:
        raise _refused(NESTED) from None


class _Positions:
    """The characters of an expression, each place where one stands.

    Parameters
    ----------
    sets : mapping
        What each sign stands for.

    Attributes
    ----------
    symbols : list of set of int
        What may stand in each position.
    follow : list of int
        Which positions may come behind each, as the bits of an integer.
    """

    def __init__(self, sets: Mapping[str, frozenset[int]]) -> None:
        self.symbols: list[frozenset[int]] = []
        self.follow: list[int] = []
        self._sets = sets
        self._written = 0  # repetitions, which may have no position

    def of(self, pattern: Any) -> _Part:
        """Give numbers to the positions of alternatives."""
        parts = [self._row(conc.mults) for conc in pattern.concs]
        nullable, first, last = False, 0, 0
        for part in parts:
            nullable = nullable or part.nullable
            first, last = first | part.first, last | part.last
        return _Part(nullable, first, last)

    def _row(self, mults: Iterable[Any]) -> _Part:
        """Give numbers to the positions of parts that follow one another."""
        whole = _Part(True, 0, 0)
        for mult in mults:
            whole = self._joined(whole, self._repeated(mult))
        return whole

    def _repeated(self, mult: Any) -> _Part:
        """Give numbers to the positions of a part that may come several times."""
        least, most = mult.multiplier.min.v, mult.multiplier.max.v
        whole = _Part(True, 0, 0)
        for n in range(max(least, 1) if most is None else most):
            self._written += 1
            if self._written > MOST_POSITIONS:
                raise _too_large()
            part = self._one(mult.multiplicand)
            if most is None and n == max(least, 1) - 1:
                self._connect(part.last, part.first)
            if n >= least:
                part = part._replace(nullable=True)
            whole = self._joined(whole, part)
        return whole

    def _one(self, multiplicand: Any) -> _Part:
        """Give a number to a character, or to those of a group."""
        if hasattr(multiplicand, "concs"):
            return self.of(multiplicand)
        if len(self.symbols) >= MOST_POSITIONS:
            raise _too_large()
        signs = multiplicand.get_chars()
        self.symbols.append(frozenset().union(*(self._sets[sign] for sign in signs)))
        self.follow.append(0)
        here = 1 << (len(self.symbols) - 1)
        return _Part(False, here, here)

    def _joined(self, one: _Part, other: _Part) -> _Part:
        """Put one part behind another."""
        self._connect(one.last, other.first)
        return _Part(
            one.nullable and other.nullable,
            one.first | (other.first if one.nullable else 0),
            other.last | (one.last if other.nullable else 0),
        )

    def _connect(self, before: int, behind: int) -> None:
        """Let some positions come behind some others."""
        for position in _bits(before):
            self.follow[position] |= behind


def _bits(number: int) -> Iterable[int]:
    """List the places of the bits that are set."""
    while number:
        low = number & -number
        yield low.bit_length() - 1
        number ^= low


def _too_large() -> OptionError:
    """Make the error of a pattern that is too large."""
    msg = f"{field('pattern')} has too many states"
    return OptionError(msg, hint="give smaller counts, or fewer alternatives")


def _determined(positions: _Positions, whole: _Part, V: int) -> Automaton:
    """Make states of what may come next, and whether the text may end."""
    occurring = [0] * V
    for position, symbols in enumerate(positions.symbols):
        for symbol in symbols:
            occurring[symbol] |= 1 << position
    kinds: dict[int, list[int]] = {}
    for symbol, places in enumerate(occurring):
        if places:
            kinds.setdefault(places, []).append(symbol)
    begin = whole.first, whole.nullable
    states, rows = {begin: 0}, []
    waiting = deque([begin])
    while waiting:
        coming, _ = waiting.popleft()
        row = np.full(V, -1, np.int32)
        for places, alike in kinds.items():
            if reached := coming & places:
                behind = 0
                for position in _bits(reached):
                    behind |= positions.follow[position]
                state = behind, bool(reached & whole.last)
                if state not in states:
                    states[state] = len(states)
                    waiting.append(state)
                row[alike] = states[state]
        rows.append(row)
        if len(states) > min(MOST_STATES, MOST_ENTRIES // max(1, V)):
            raise _too_large()
    following = np.stack(rows)
    ends = np.array([n for (_, ends), n in states.items() if ends], np.int64)
    return Automaton(following, _distances(following, ends))


def _distances(following: Ids, ends: NDArray[np.int64]) -> Ids:
    """Count the fewest symbols from every state to one of some, (S,); see `FAR`."""
    S = len(following)
    sources, symbols = np.nonzero(following >= 0)
    pairs = np.unique(following[sources, symbols].astype(np.int64) * S + sources)
    before: dict[int, list[int]] = {}
    for target, source in zip((pairs // S).tolist(), (pairs % S).tolist(), strict=True):
        before.setdefault(target, []).append(source)
    found = np.full(S, FAR, np.int32)
    found[ends] = 0
    waiting = deque(ends.tolist())
    while waiting:
        state = waiting.popleft()
        for source in before.get(state, ()):
            if found[source] == FAR:
                found[source] = found[state] + 1
                waiting.append(source)
    return found
