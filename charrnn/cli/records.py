"""What JSON says of a sample: its own fields, and the settings that made it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from charrnn.config import Blending, SampleConfig, UnitName
from charrnn.escapes import readable
from charrnn.options import entries_of

if TYPE_CHECKING:
    from charrnn.generation import FinishReason, Piece, Score

#: Settings that are told as they are; biases have a form of their own.
SAMPLER = tuple(e.name for e in entries_of(SampleConfig) if e.record.recorded)


class Sampled(Protocol):
    """A sample in one piece: a `Record`, or a `Piece` that is all of it."""

    @property
    def text(self) -> str:
        """The symbols that it is made of."""

    @property
    def total(self) -> float:
        """What they cost the model, in nats."""

    @property
    def finish(self) -> "FinishReason | None":
        """Why it ended; None while it has not."""

    @property
    def scores(self) -> "Sequence[Score]":
        """What the model said of every character, if that is wanted."""

    @property
    def beams(self) -> tuple[tuple[str, float], ...]:
        """The likeliest texts, and the nats of each, where they were searched for."""


@dataclass
class Record:
    """What a sample has come to, piece by piece."""

    pieces: list[str] = field(default_factory=list)
    scores: "list[Score]" = field(default_factory=list)
    total: float = 0.0
    finish: "FinishReason | None" = None
    beams: tuple[tuple[str, float], ...] = ()

    @property
    def text(self) -> str:
        """The symbols that it has come to so far."""
        return "".join(self.pieces)

    def take(self, piece: "Piece") -> None:
        """Add a piece."""
        self.pieces.append(piece.text)
        self.scores += piece.scores
        self.total = piece.total
        self.finish, self.beams = piece.finish, piece.beams


def text_fields(prompt: str, sample: Sampled, unit: UnitName) -> dict[str, Any]:
    """Say what a sample of running text is.

    Parameters
    ----------
    prompt : str
        Symbols.
    sample : Record or Piece
        All of it.
    """
    symbols, nats = sample.text, sample.total
    bits = nats / math.log(2) / len(symbols) if symbols else None
    return {
        "prompt": readable(prompt, unit),
        "text": readable(symbols, unit),
        "chars": len(symbols),
        "finish_reason": sample.finish,
        "nats": nats,
        "bits_per_char": bits,
    }


def pair_fields(prompt: str, sample: Sampled, unit: UnitName) -> dict[str, Any]:
    """Say what an output of pairs is; what its newline costs belongs to it."""
    symbols, nats = sample.text, sample.total
    bits = nats / math.log(2)
    scored = len(symbols) + (sample.finish == "lines")
    found = {
        "input": readable(prompt.removesuffix("\t"), unit),
        "output": readable(symbols, unit),
        "chars": len(symbols),
        "finish_reason": sample.finish,
        "nats": nats,
        "bits": bits,
        "bits_per_char": bits / scored if scored else None,
    }
    if sample.beams:
        found["beams"] = [
            {"output": readable(text, unit), "nats": nats}
            for text, nats in sample.beams
        ]
    return found


def score_fields(score: "Score", unit: UnitName) -> dict[str, Any]:
    """Say what the model said of one character."""
    # JSON has no infinity: what cannot be is no alternative.
    top = [_likely(s, nats, unit) for s, nats in score.top if math.isfinite(nats)]
    return {**_likely(score.symbol, score.nats, unit), "top": top}


def _likely(symbol: str, nats: float, unit: UnitName) -> dict[str, Any]:
    """Write one character and the logarithm of its probability."""
    alone = unit == "char" or symbol.isascii()
    char = symbol if alone else f"\\x{ord(symbol):02x}"
    return {"char": char, "logprob": -nats if nats else 0.0}


def sampler_fields(
    config: SampleConfig,
    blending: Blending,
    share: float | list[float],
    *,
    precision: str | list[str],
    unit: UnitName,
    pairs: bool,
) -> dict[str, Any]:
    """Say what a sample of a checkpoint was made with.

    Parameters
    ----------
    config : SampleConfig
        Its texts in symbols.
    share : float or list of float
        The network's in what is predicted; of a mixture, that of each.
    precision : str or list of str
        What the weights are rounded to; of a mixture, those of each.
    pairs : bool
        Whether the model is one of pairs.
    """
    sampler = {name: getattr(config, name) for name in SAMPLER}
    sampler["precision"] = precision
    sampler["blend"] = share
    sampler["adapt"] = blending.adapt
    sampler["adapt_output"] = blending.adapt_output
    for name in ("allow", "ban"):
        if sampler[name] is not None:
            sampler[name] = readable(sampler[name], unit)
    biases: dict[str, float] = {}
    for symbol, bias in config.logit_bias:
        biases[symbol] = biases.get(symbol, 0.0) + bias
    sampler["logit_bias"] = {s: _finite(b) for s, b in biases.items()}
    if config.set_unit:
        sampler["set_unit"] = [str(unit) for unit in config.set_unit]
    if config.pattern is None:
        del sampler["pattern"]
    if not pairs:  # which has no place for it
        del sampler["beam"]
    return sampler


def _finite(bias: float) -> float | str:
    """Write a bias as JSON can hold it."""
    return bias if math.isfinite(bias) else "-inf"
