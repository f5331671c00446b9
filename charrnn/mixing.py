"""Whether several models can be mixed, and which characters a mixture knows."""

from collections.abc import Sequence
from typing import NamedTuple

from charrnn.config import Mixing, MixMode
from charrnn.errors import OptionError, VocabError, field
from charrnn.vocab import Vocab

#: What the symbols of a unit are called.
UNITS = {"char": "characters", "byte": "bytes"}


class Ingredient(NamedTuple):
    """What decides whether a model can be part of a mixture."""

    name: str  # for messages: its file, or which of the models it is
    vocab: Vocab
    lines: bool  # whether it was trained with every line as a document
    pairs: bool


def mixed_vocab(ingredients: Sequence[Ingredient], mixing: Mixing) -> Vocab:
    """See whether models can be mixed, and give the characters that the mixture knows.

    A model with a weight of 0 has to suit the others, but adds nothing.

    Raises
    ------
    OptionError
        There is another number of weights, or they do not go together.
    VocabError
        They have no character in common.
    """
    weights = mixing.weights(len(ingredients))
    _check_alike(ingredients)
    pairs = zip(ingredients, weights, strict=True)
    vocabs = [one.vocab for one, weight in pairs if weight > 0]
    return _common_vocab(vocabs, mixing.mix_mode)


def _check_alike(ingredients: Sequence[Ingredient]) -> None:
    """See whether models go together.

    Raises
    ------
    OptionError
        One is of pairs, or they differ in their units or documents.
    """
    first = ingredients[0]
    for one in ingredients:
        if one.pairs:
            msg = (
                f"{one.name} is a model of pairs, which writes an output for an input, "
                "and a mixture goes on with a text"
            )
            raise OptionError(msg, hint="use it alone")
        if one.vocab.unit != first.vocab.unit:
            own, other = UNITS[first.vocab.unit], UNITS[one.vocab.unit]
            msg = f"{first.name} is a model of {own} and {one.name} one of {other}"
            hint = f"mix models that were trained with the same {field('unit')}"
            raise OptionError(msg, hint=hint)
        if one.lines != first.lines:
            lines, text = (first, one) if first.lines else (one, first)
            msg = (
                f"every line is a document to {lines.name}, and to {text.name} a text "
                "goes on"
            )
            hint = f"mix models that were all trained with {field('lines')}, or none"
            raise OptionError(msg, hint=hint)


def _common_vocab(vocabs: Sequence[Vocab], mode: MixMode) -> Vocab:
    """Give the characters of a mixture.

    Parameters
    ----------
    vocabs : sequence of Vocab
        Those of its models, all of one unit.
    mode : {"linear", "log"}
        Whether it knows what any model knows, or what all of them know.

    Raises
    ------
    VocabError
        Nothing is known to all of them.
    """
    sets = [set(vocab.symbols) for vocab in vocabs]
    shared = set.union(*sets) if mode == "linear" else set.intersection(*sets)
    if not shared:
        msg = "the models have no character in common"
        raise VocabError(msg, hint=f"mix them with {field('mix_mode', 'linear')}")
    counts = dict.fromkeys(sorted(shared), 0)
    for vocab in vocabs:
        for symbol, count in zip(vocab.symbols, vocab.counts, strict=True):
            if symbol in counts:
                counts[symbol] = min(counts[symbol] + count, 2**63 - 1)
    return Vocab("".join(counts), tuple(counts.values()), vocabs[0].unit)
