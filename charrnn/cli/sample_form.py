"""What the options of `sample` say beyond a configuration's plain numbers.

Characters and texts are given as a user writes them, with escapes perhaps, and
become symbols when the model's vocabulary is known.
"""

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from charrnn.cli.notes import Notes
from charrnn.cli.prompts import expand, to_symbols
from charrnn.config import SampleConfig
from charrnn.errors import OptionError

if TYPE_CHECKING:
    from charrnn.vocab import Vocab


@dataclass(frozen=True, kw_only=True)
class Form:
    """In which form samples are written, and where to."""

    path: str | None
    separator: str | None
    null: bool
    json: bool
    stream: bool
    raw: bool
    echo: bool
    escape: bool
    prompt_lines: bool

    def check(self, config: SampleConfig) -> None:
        """Raise `OptionError` for what cannot go together."""
        parting = "--separator" if self.separator is not None else "--null"
        if self.json and (self.null or self.separator is not None):
            msg = f"--json cannot be combined with {parting}"
            raise OptionError(msg, hint="every object is a line of its own")
        if self.null and self.separator is not None:
            msg = "--separator cannot be combined with --null"
            raise OptionError(msg, hint="--null is a separator itself")
        if config.logprobs and not self.json:
            msg = "--logprobs needs --json"
            raise OptionError(msg, hint="plain text has no place for them")
        if self.escape:
            texts = (self.separator or "", config.allow or "", config.ban)
            for text in (*texts, *config.stop):
                expand(text, "char")
        for symbol, _ in config.logit_bias:
            if len(expand(symbol, "char") if self.escape else symbol) != 1:
                msg = f"--logit-bias is for one character, not {symbol!r}"
                raise OptionError(msg, hint="give the option once for each")
        self._check_end(config)

    def _check_end(self, config: SampleConfig) -> None:
        """Raise `OptionError` if somebody would wait for ever."""
        waits = {
            "--json": self.json,
            "--no-stream": not self.stream,
            "--num-samples": config.num_samples > 1,
            "--best-of": config.best_of > 1,
            "--prompt-lines": self.prompt_lines,
        }
        ends = config.stop or config.lines is not None or config.time is not None
        for option in (name for name, used in waits.items() if used):
            if config.length < 0 and not ends:
                msg = f"--length -1 cannot be combined with {option}"
                hint = "a sample must end: give --length, --lines, --time or --stop"
                raise OptionError(msg, hint=hint)


def adopt(
    config: SampleConfig, vocab: "Vocab", notes: Notes, *, escape: bool
) -> SampleConfig:
    """Turn the texts of a configuration into symbols; warn of what is in vain.

    Raises
    ------
    OptionError
        A character of --logit-bias is several bytes.
    """
    found = config.in_symbols(partial(to_symbols, unit=vocab.unit, escape=escape))
    known = set(vocab.symbols)
    for given, stop in zip(config.stop, found.stop, strict=True):
        if not set(stop) <= known:
            notes.warn(f"--stop {given!r} has characters that the model never writes")
    if config.lines is not None and "\n" not in known:
        notes.warn("--lines is of no use: the model never writes a newline")
    for option, text in (
        ("--allow", found.allow or ""),
        ("--ban", found.ban),
        ("--logit-bias", "".join(symbol for symbol, _ in found.logit_bias)),
    ):
        missing = "".join(dict.fromkeys(s for s in text if s not in known))
        if missing:
            notes.warn(f"{option} names what the model never writes: {missing!r}")
    return found
