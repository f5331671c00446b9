"""What one sample is asked for, read from keyword arguments."""

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from charrnn.arrays import Ids
from charrnn.config import (
    Blending,
    SampleConfig,
    SampleInputs,
    UnknownPolicy,
    check_search,
    settle,
)
from charrnn.errors import OptionError, field
from charrnn.options import OptionTable, configure, read
from charrnn.reading import Source, named_source, read_known
from charrnn.vocab import Vocab

#: Random seeds are below this: any JSON reader keeps such an integer exact.
SEEDS = 2**53

#: What to do with a text that the command line would write somewhere.
RETURNED = "sample returns the text: write it where you want it"

#: What `charrnn sample` has beside them, and what to do instead.
ELSEWHERE = {
    "prompt_file": "read the file: a prompt is a text",
    "prompt_lines": "call it once for each line",
    "interactive": "model.complete(...) continues what there is of a line",
    "escape": "texts of Python have escapes of their own",
    "echo": "the prompt is no part of what is returned",
    "stream": "model.stream(...) yields pieces as they are made",
    "threads": "a model has its threads: charrnn.load(path, threads=...)",
    "color": "nothing is printed",
    "progress": "nothing is printed",
    "quiet": "nothing is printed",
    "verbose": "nothing is printed",
    "json": RETURNED,
    "null": RETURNED,
    "mix": "charrnn.mix(models, weights) puts models together",
    "mix_mode": "charrnn.mix(models, weights, mode) puts models together",
    "output": RETURNED,
    "preset": "keyword arguments can be kept in a dict",
    "serve": "call it once for each prompt",
    "show_options": "keyword arguments can be kept in a dict",
    "raw": RETURNED,
    "separator": RETURNED,
}

OPTIONS = OptionTable((SampleConfig, Blending, SampleInputs), elsewhere=ELSEWHERE)


@dataclass(frozen=True)
class Asked:
    """One sample, as keyword arguments ask for it."""

    config: SampleConfig
    blending: Blending  # how much of a prediction is the network's
    unknown: UnknownPolicy
    allow_empty: bool  # whether an input may be empty
    corpus: tuple[Source, ...]  # the text that ``no_copy`` speaks of

    def read_corpus(self, vocab: Vocab) -> Ids | None:
        """Read the corpus as ids, if there is one."""
        return read_known(self.corpus, vocab) if self.corpus else None


def asked(
    options: Mapping[str, Any], *, remembered: bool = False, pairs: bool = False
) -> Asked:
    """Read the options of `TextModel.sample`.

    Parameters
    ----------
    options : mapping
        By their names.
    remembered : bool
        Whether the model has a text for ``no_copy`` to speak of.
    pairs : bool
        Whether the model is one of pairs.

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
    config = settle(given, pairs=pairs)
    named = options.get("corpus")
    corpus = () if named is None else tuple(_sources(named))
    if given.get("no_copy") is not None and not (corpus or remembered):
        msg = f"{field('no_copy')} needs {field('corpus')}: the model has no memory"
        raise OptionError(msg, hint="name the text that is not to be copied")
    others = {name: value for name, value in options.items() if name != "corpus"}
    inputs = configure(SampleInputs, others)
    inputs.check_model(pairs=pairs)
    blending = configure(Blending, options)
    check_search(config, blending)
    return Asked(config, blending, inputs.unknown, inputs.allow_empty, corpus)


def _sources(given: Any) -> Iterable[Source]:
    """List the texts that were given: one, or several."""
    several = isinstance(given, list | tuple)
    for source in given if several else [given]:
        yield named_source(source, "corpus")
