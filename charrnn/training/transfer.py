"""Transfer another model's weights to a new text (``init_from``).

Characters are matched by what they are, not by their ids: a text with the same
number of characters in another order would otherwise come out as a
substitution cipher. What the old model knew stays in the vocabulary; new
characters get the freshly initialized rows of their own.
"""

import numpy as np

from charrnn.arrays import PackedIds
from charrnn.checkpoint import Checkpoint
from charrnn.corpus import Corpus
from charrnn.counting import plural
from charrnn.errors import OptionError, field
from charrnn.network import Network
from charrnn.parameters import table
from charrnn.vocab import Vocab, name_symbol

#: Characters that a note names at most.
NAMED = 10


def union(old: Vocab, corpus: Corpus) -> tuple[Vocab, PackedIds]:
    """Merge two vocabularies, and translate a text into the merged one.

    Returns
    -------
    vocab : Vocab
        All characters of both, with the counts of the new text.
    ids : (N,) unsigned array

    Raises
    ------
    OptionError
        One is of bytes and the other of characters.
    """
    new = corpus.vocab
    if old.unit != new.unit:
        msg = f"the model is of {old.unit}s, the text is read as {new.unit}s"
        raise OptionError(msg, hint=field("unit", old.unit))
    symbols = "".join(sorted(set(old.symbols) | set(new.symbols)))
    counted = dict(zip(new.symbols, new.counts, strict=True))
    counts = tuple(counted.get(symbol, 0) for symbol in symbols)
    vocab = Vocab(symbols, counts, new.unit)
    if symbols == new.symbols:
        return vocab, corpus.ids
    place = {symbol: i for i, symbol in enumerate(symbols)}
    dtype = np.min_scalar_type(len(symbols) - 1)
    ids = np.array([place[symbol] for symbol in new.symbols], dtype)
    return vocab, ids[corpus.ids]


def transfer(network: Network, vocab: Vocab, source: Checkpoint) -> list[str]:
    """Copy a checkpoint's weights into a freshly initialized network.

    Parameters
    ----------
    network : Network
        It has the same shape but for its vocabulary; its weights are changed, and
        are still to be packed.
    vocab : Vocab
        Vocabulary of the network, which has all characters of the source.

    Returns
    -------
    list of str
        What is new, for the user.
    """
    place = {symbol: i for i, symbol in enumerate(vocab.symbols)}
    rows = np.array([place[symbol] for symbol in source.vocab.symbols])
    tensors = network.tensors
    by_character = {p.name for p in table(network.config) if p.by_character}
    for name, values in (source.parameters | source.statistics).items():
        target = tensors[name]
        if name in by_character:
            target[rows] = values
        else:
            target[...] = values
    new = [s for s in vocab.symbols if s not in set(source.vocab.symbols)]
    if not new:
        return ["all characters are known to the model"]
    shown = ", ".join(name_symbol(s, vocab.unit) for s in new[:NAMED])
    more = f" and {len(new) - NAMED} more" if len(new) > NAMED else ""
    return [f"{plural(len(new), 'new character')}: {shown}{more}"]
