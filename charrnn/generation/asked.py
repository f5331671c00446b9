"""What one sample is asked for, read from keyword arguments."""

import os
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from charrnn.arrays import Ids
from charrnn.config import SampleConfig, SampleInputs, UnknownPolicy, usual_length
from charrnn.errors import OptionError, field
from charrnn.options import OptionTable, configure, read
from charrnn.reading import Source, Text, read_known
from charrnn.vocab import Vocab

#: Random seeds are below this: any JSON reader keeps such an integer exact.
SEEDS = 2**53

OPTIONS = OptionTable((SampleConfig, SampleInputs))


@dataclass(frozen=True)
class Asked:
    """One sample, as keyword arguments ask for it."""

    config: SampleConfig
    unknown: UnknownPolicy
    corpus: tuple[Source, ...]  # the text that ``no_copy`` speaks of

    def read_corpus(self, vocab: Vocab) -> Ids | None:
        """Read the corpus as ids, if there is one."""
        return read_known(self.corpus, vocab) if self.corpus else None


def asked(options: Mapping[str, Any]) -> Asked:
    """Read the options of `TextModel.sample`.

    Raises
    ------
    OptionError
        One is unknown, out of range, or has no place in a single text.
    """
    OPTIONS.refuse_unknown(options)
    OPTIONS.refuse_alone(options)
    for name in ("num_samples", "logprobs"):
        if options.get(name) not in (None, getattr(SampleConfig, name)):
            msg = f"{field(name)} has no place in a single text"
            raise OptionError(msg, hint="call it again for another sample")
    given = read(SampleConfig, options)
    given.setdefault("seed", secrets.randbelow(SEEDS))
    given.setdefault("length", usual_length(given.get("lines"), given.get("time")))
    corpus = tuple(_sources(options.get("corpus") or ()))
    others = {name: value for name, value in options.items() if name != "corpus"}
    unknown = configure(SampleInputs, others).unknown
    return Asked(SampleConfig(**given), unknown, corpus)


def _sources(given: Any) -> Iterable[Source]:
    """List the texts that were given: one, or several."""
    single = isinstance(given, str | os.PathLike | Text)
    for source in [given] if single else given:
        yield source if isinstance(source, Text) else os.fspath(source)
