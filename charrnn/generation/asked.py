"""What one sample is asked for, read from keyword arguments."""

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from charrnn.arrays import Ids
from charrnn.config import SampleConfig, UnknownPolicy, default_length
from charrnn.errors import OptionError, field
from charrnn.keywords import chosen, names, refuse_unknown
from charrnn.reading import Source, Text, read_known
from charrnn.vocab import Vocab

#: Random seeds are below this: any JSON reader keeps such an integer exact.
SEEDS = 2**53


@dataclass(frozen=True, kw_only=True)
class SampleInputs:
    """What a sample reads beside the prompt's characters."""

    unknown: UnknownPolicy = "error"
    corpus: tuple[Source, ...] = ()  # the text that ``no_copy`` speaks of

    def read_corpus(self, vocab: Vocab) -> Ids | None:
        """Read the corpus as ids, if there is one."""
        return read_known(self.corpus, vocab) if self.corpus else None


def sample_config(options: Mapping[str, Any]) -> tuple[SampleConfig, SampleInputs]:
    """Read the options of `TextModel.sample`.

    Raises
    ------
    OptionError
        One is unknown, out of range, or about the command line's output only.
    """
    refuse_unknown(options, names(SampleConfig, SampleInputs))
    for name in ("num_samples", "logprobs"):
        if options.get(name) not in (
            None,
            SampleConfig.__dataclass_fields__[name].default,
        ):
            msg = f"{field(name)} has no place in a single text"
            raise OptionError(msg, hint="call it again for another sample")
    found = chosen(SampleConfig, options)
    found.setdefault("seed", secrets.randbelow(SEEDS))
    found.setdefault("length", default_length(found.get("lines"), found.get("time")))
    corpus = options.get("corpus") or ()
    sources = (corpus,) if isinstance(corpus, str | os.PathLike | Text) else corpus
    inputs = SampleInputs(
        unknown=options.get("unknown") or "error",
        corpus=tuple(s if isinstance(s, Text) else os.fspath(s) for s in sources),
    )
    if (found.get("no_copy") is None) != (not inputs.corpus):
        msg = f"{field('no_copy')} and {field('corpus')} need each other"
        raise OptionError(msg, hint="one says how many characters, one where from")
    return SampleConfig(**found), inputs
