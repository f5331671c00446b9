"""Patterns: an automaton says what Python's `re` says, or says that it cannot."""

import re
import sys
from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.errors import MissingComponentError, OptionError, VocabError
from charrnn.patterns import FAR, Automaton, automaton_of, check, kept_to

SYMBOLS = "\n\rab_A1 é\\"


def accepts(automaton: Automaton, text: str, symbols: str = SYMBOLS) -> bool:
    """Read a text, and tell whether it may end there."""
    state = 0
    for symbol in text:
        state = int(automaton.following[state, symbols.index(symbol)])
        if state < 0:
            return False
    return bool(automaton.distance[state] == 0)


#: One character, in the ways that it can be written.
SINGLES = (
    r"a b _ \n \x61 \u00e9 \\ é . \w \W \d \s \S [ab] [^a] [^\W_] []a] [a-b\d] [\w-] 1"
)

singles = st.sampled_from([*SINGLES.split(" "), " "])


def larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Put expressions together."""
    counts = ["*", "+", "?", "{2}", "{1,2}", "{,1}", "{2,}", "*?", "??", "{0}"]
    grouped = st.builds("(?:{})".format, inner) | st.builds("({})".format, inner)
    return (
        st.builds("{}{}".format, inner, inner)
        | st.builds("(?:{}|{})".format, inner, inner)
        | st.builds("{}{}".format, grouped, st.sampled_from(counts))
    )


expressions = st.recursive(singles | st.just(""), larger, max_leaves=8)
texts = st.text(st.sampled_from(SYMBOLS), max_size=7)


@given(expressions, st.sampled_from(["", "(?i)", "(?s)", "(?a)"]), texts)
def test_automaton_accepts_what_re_matches(
    expression: str, flags: str, text: str
) -> None:
    pattern = flags + expression
    matches = re.compile(pattern).fullmatch
    automaton = automaton_of(pattern, SYMBOLS)

    assert accepts(automaton, text) == bool(matches(text))
    for more in product("a\n1é", repeat=2):
        joined = "".join(more)
        assert accepts(automaton, joined) == bool(matches(joined))


@given(expressions, st.sets(st.sampled_from(SYMBOLS)))
def test_kept_states_lead_to_an_end(expression: str, banned: set[str]) -> None:
    """By the way that the distances say; others are left out."""
    automaton = automaton_of(expression, SYMBOLS)
    allowed = np.array([symbol not in banned for symbol in SYMBOLS])
    try:
        following, distance = kept_to(automaton, allowed)
    except VocabError:
        matches = re.compile(expression).fullmatch
        left = "".join(sorted(set(SYMBOLS) - banned))
        assert not any(
            matches("".join(t)) for n in range(4) for t in product(left, repeat=n)
        )
        return

    assert (following[:, ~allowed] == -1).all()
    reached = np.unique(following[following >= 0])
    assert (distance[reached] < FAR).all()
    for state in {0, *reached.tolist()}:
        row = following[state][following[state] >= 0]
        if distance[state]:
            assert distance[row].min() == distance[state] - 1


def test_bytes_are_bytes() -> None:
    symbols = "".join(map(chr, range(256)))
    automaton = automaton_of(r"[\x80-\xff]\w", symbols, of_bytes=True)

    assert accepts(automaton, "\xffa", symbols)
    assert not accepts(automaton, "\xff\xe9", symbols)
    with pytest.raises(OptionError, match="must be ASCII"):
        automaton_of("é", symbols, of_bytes=True)


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("a(?=b)", "lookaround"),
        ("a(?<!b)", "lookaround"),
        (r"(a)\1", "backreferences"),
        ("(?P<x>a)(?P=x)", "backreferences"),
        (r"\ba", r"\\b"),
        ("a|^b", "anchors"),
        ("^a|b$", "anchors"),
        ("^(?:a|b)|b", "anchors"),
        (r"(a)(b)\2", "backreferences"),
        ("[[:alpha:]]", "not clear: possible nested set"),
        ("(" * 500 + ")" * 500, "so many groups"),
        (r"\Aa", "anchors"),
        ("(a)?(?(1)b|c)", "conditional"),
        ("(?#a)", "comments"),
        ("(?i:a)b", "flags"),
        ("(?x)a", "the flag x"),
        ("(a", "no regular expression"),
        ("a**", "no regular expression"),
        ("(a|b)*a(a|b){20}", "too many states"),
        ("((a{1000}){1000}){1000}", "too many states"),
        ("((|){9999}){9999}", "too many states"),
    ],
)
def test_what_cannot_be_followed_is_named(pattern: str, words: str) -> None:
    with pytest.raises(OptionError, match=words) as caught:
        automaton_of(pattern, SYMBOLS)
    assert caught.value.field == "pattern"


@pytest.mark.parametrize(
    "pattern",
    ["^ab$", "^ab", "ab$", "a{", "a{}", r"a\$", "^(?:a|b{2})$", r"\141\N{DOLLAR SIGN}"],
)
def test_edges_of_the_whole_and_braces(pattern: str) -> None:
    automaton = automaton_of(pattern, "ab{}$")
    for size in range(4):
        for symbols in product("ab{}$", repeat=size):
            text = "".join(symbols)
            found = accepts(automaton, text, "ab{}$")
            assert found == bool(re.fullmatch(pattern, text))


def test_place_without_a_way_is_named() -> None:
    automaton = automaton_of("aab", SYMBOLS)
    with pytest.raises(VocabError, match="at character 3"):
        kept_to(automaton, np.array([symbol != "b" for symbol in SYMBOLS]))


def test_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "greenery", None)
    with pytest.raises(MissingComponentError, match="greenery") as caught:
        check("a")
    assert "charrnn-numba[patterns]" in str(caught.value.hint)


@pytest.fixture
def counted() -> Callable[[str], int]:
    """Count the states of a pattern."""
    return lambda pattern: len(automaton_of(pattern, SYMBOLS).following)


def test_long_counts_stay_small(counted: Callable[[str], int]) -> None:
    assert counted("(?:a|b){0,500}") == 501
