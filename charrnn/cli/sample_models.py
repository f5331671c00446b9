"""The checkpoints of one command, as the one model that they make.

One checkpoint is a model; several, or one with a weight, are a mixture. What can be
wrong with them is found before Numba is imported.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from charrnn.cli.blending import check_blending, share_in
from charrnn.cli.records import sampler_fields
from charrnn.config import Blending, Mixing, SampleConfig, SampleInputs
from charrnn.errors import OptionError, field

if TYPE_CHECKING:
    from charrnn.checkpoint import CheckpointFile
    from charrnn.predictor import Predictor
    from charrnn.textmodel import TextModel


class Models:
    """What `sample` writes by.

    Parameters
    ----------
    files : sequence of CheckpointFile
        Open.
    mixing : Mixing

    Attributes
    ----------
    vocab : Vocab
    pairs : bool
        Whether it is a model of pairs.

    Raises
    ------
    OptionError, VocabError
        The checkpoints cannot be mixed; see `charrnn.mixing`.
    """

    def __init__(self, files: "Sequence[CheckpointFile]", mixing: Mixing) -> None:
        from charrnn.mixing import Ingredient, mixed_vocab  # imports NumPy

        self._files, self._mixing = files, mixing
        self.mixed = len(files) > 1 or bool(mixing.mix)
        self.vocab, self.pairs = files[0].vocab, files[0].pairs
        self._used = list(files)
        if self.mixed:
            self._weights = mixing.weights(len(files))
            self.vocab = mixed_vocab(
                [Ingredient(str(f.path), f.vocab, f.lines, f.pairs) for f in files],
                mixing,
            )
            pairs = zip(files, self._weights, strict=True)
            self._used = [file for file, weight in pairs if weight > 0]

    @property
    def paths(self) -> list[Path]:
        """Where the checkpoints are."""
        return [file.path for file in self._files]

    @property
    def remembers(self) -> bool:
        """Whether a text of its training is there."""
        return any(file.memory is not None for file in self._used)

    @property
    def unfinished(self) -> bool:
        """Whether the text of a training that goes on is not there yet."""
        return any(file.remembers for file in self._used)

    def check(
        self, config: SampleConfig, blending: Blending, inputs: SampleInputs
    ) -> None:
        """See whether it has the units, memories and texts that options speak of.

        Raises
        ------
        OptionError
            It has no such unit, or a mixture is to have one; or there is no text that
            ``no_copy`` could be about.
        CountsError
            There is no memory to blend with.
        """
        counted = inputs.corpus or self.remembers
        for file in self._used:
            check_blending(blending, file)
        if config.set_unit and self.mixed:
            msg = f"{field('set_unit')} cannot be combined with several models"
            raise OptionError(msg, hint="a unit is one network's: sample one model")
        if config.no_copy is not None and not counted:
            msg = "--no-copy needs --corpus: the checkpoint has no memory of its text"
            raise OptionError(msg, hint="--no-copy 20 --corpus lovecraft.txt")
        model = self._files[0].model
        for unit in config.set_unit:
            unit.check(cell=model.cell, layers=model.layers, hidden=model.hidden)

    def read(self, threads: int, *, predicts: bool) -> "Predictor":
        """Read what predicts, the memories only if they are of use."""
        from charrnn.textmodel import TextModel  # imports Numba

        models = [
            TextModel.read_from(file, threads=threads, predicts=predicts)
            for file in self._files
        ]
        if not self.mixed:
            return models[0]
        from charrnn.mixture import Mixture

        return Mixture(models, self._mixing, [str(path) for path in self.paths])

    def read_alone(self, threads: int) -> "TextModel":
        """Read the one model, with its memory."""
        from charrnn.textmodel import TextModel  # imports Numba

        (file,) = self._files
        return TextModel.read_from(file, threads=threads, predicts=True)

    def precision(self, config: SampleConfig) -> str | list[str]:
        """Say what weights are rounded to; of a mixture, those of each network."""
        from charrnn.parameters import chosen_precision  # imports NumPy

        found = [chosen_precision(f.model, config.precision) for f in self._files]
        return list(found) if self.mixed else found[0]

    def sampler_fields(
        self, config: SampleConfig, blending: Blending
    ) -> dict[str, Any]:
        """Say what a sample is made with; of a mixture a share for each network."""
        shares = [share_in(blending.blend, file) for file in self._files]
        share = shares if self.mixed else shares[0]
        found = sampler_fields(
            config,
            blending,
            share,
            precision=self.precision(config),
            unit=self.vocab.unit,
            pairs=self.pairs,
        )
        if self.mixed:
            found["mix"] = list(self._weights)
            found["mix_mode"] = self._mixing.mix_mode
        return found

    def sha256(self) -> str | list[str]:
        """Fingerprint the checkpoint; of a mixture, each of them."""
        found = [file.sha256() for file in self._files]
        return found if self.mixed else found[0]
