"""What a run is asked for, sorted and checked before anything is read.

The command line and Python make the same request of the same options. Nothing here
imports numpy: a mistake in an option shows at once.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from charrnn import errors
from charrnn.cells import cell_of
from charrnn.config import (
    ModelConfig,
    PrecisionName,
    RunConfig,
    TextConfig,
    TrainConfig,
)
from charrnn.errors import OptionError
from charrnn.filenames import files_of
from charrnn.options import check_file_name, configure, read

if TYPE_CHECKING:
    from charrnn.reading import ReadOptions, Source
    from charrnn.vocab import Vocab


@dataclass(frozen=True, kw_only=True)
class TrainingRequest:
    """What the user asked for. Options that were not given are not in the mappings."""

    sources: "tuple[Source, ...]"
    text: TextConfig = field(default_factory=TextConfig)
    model: Mapping[str, Any] = field(default_factory=dict)  # fields of ModelConfig
    train: Mapping[str, Any] = field(default_factory=dict)  # fields of TrainConfig
    run: RunConfig = field(default_factory=RunConfig)
    val_file: "Source | None" = None
    output: Path | None = None  # None: no file, or a stream

    @classmethod
    def of(
        cls,
        sources: "Iterable[Source]",
        options: Mapping[str, Any],
        *,
        output: Path | None,
        val_file: "Source | None" = None,
    ) -> Self:
        """Sort what is asked of a run's text, network and training.

        Parameters
        ----------
        sources : iterable of str or Text
            At least one.
        options : mapping
            Values, or text, by the names of options; None says nothing.
        output : Path or None
            The file that ``output`` names.
        val_file : str or Text, optional
            In place of the option of that name.

        Raises
        ------
        OptionError
            A value is out of range, options contradict each other, or a text would
            be overwritten.
        """
        run = configure(RunConfig, options)
        request = cls(
            sources=tuple(sources),
            text=configure(TextConfig, options),
            model=read(ModelConfig, options),
            train=read(TrainConfig, options),
            run=run,
            val_file=run.val_file if val_file is None else val_file,
            output=output,
        )
        request._check()
        return request

    @property
    def precision(self) -> PrecisionName:
        """Of a new run's products."""
        precision: PrecisionName = self.train.get("precision", TrainConfig.precision)
        return precision

    def _check(self) -> None:
        """Check options against each other, and files against texts."""
        for source in self.sources:
            if isinstance(source, str):
                check_file_name("the name of a text", source)
        if self.val_file is not None and self.train.get("val_fraction"):
            file, share = errors.field("val_file"), errors.field("val_fraction")
            msg = f"{file} and {share} exclude each other"
            raise OptionError(msg, hint="the file is used as a whole")
        # Both check themselves; a vocabulary of 1 stands in for the text's.
        model = ModelConfig(vocab_size=1, **self.model)
        train = TrainConfig(**self.train)
        if train.forget_bias != TrainConfig.forget_bias:
            check_forget_gate(model)
        if self.output is not None:
            self.spare_texts("output", *files_of(self.output))

    def spare_texts(self, name: str, *written: Path) -> None:
        """Refuse to write where a text is read from.

        Parameters
        ----------
        name : str
            The option that says what is written.

        Raises
        ------
        OptionError
            A text would be overwritten.
        """
        named = [text for text in (*self.sources, self.val_file) if text != "-"]
        texts = {os.path.realpath(text) for text in named if isinstance(text, str)}
        for path in written:
            if os.path.realpath(path) in texts:
                raise would_overwrite(name, path)

    @property
    def resume(self) -> Path | None:
        """The checkpoint that is to go on, if one is."""
        return self.output if self.run.resume else None

    def read_options(
        self, config: TrainConfig | None = None, vocab: "Vocab | None" = None
    ) -> "ReadOptions":
        """Say how the texts become characters.

        Parameters
        ----------
        config : TrainConfig, optional
            The run's, where what was asked for is not all of it: it says what a
            line is.
        vocab : Vocab, optional
            The characters that are known, if they are settled.

        Raises
        ------
        OptionError
            The options of the texts contradict each other.
        """
        from charrnn.reading import ReadOptions

        options = vars(self.text)
        if vocab is not None:
            options = options | {"unit": vocab.unit}
        if config is None:
            config = TrainConfig(**self.train)
        return ReadOptions(
            **options, lines=config.lines, pairs=config.pairs, vocab=vocab
        )


def check_forget_gate(model: ModelConfig) -> None:
    """Raise `OptionError` if a cell has no gate that a forget bias could be of."""
    if cell_of(model.cell).forget_gate is None:
        bias, cell = errors.field("forget_bias"), errors.field("cell", "lstm")
        msg = f"{bias} needs {cell}, not {model.cell}"
        raise OptionError(msg, hint=f"it has no forget gate: leave {bias} away")


def would_overwrite(name: str, path: Path) -> OptionError:
    """Say that a file is a text to read, and which option names it."""
    msg = f"{path} is a text to read and cannot be written to"
    return OptionError(msg, hint=f"name another file with {errors.field(name)}")


def shape_conflicts(given: Mapping[str, Any], model: ModelConfig) -> list[str]:
    """List the options that contradict the shape of a model that is loaded."""
    return [
        f"{errors.field(name)} {_shown(value)} (it has {_shown(getattr(model, name))})"
        for name, value in given.items()
        if getattr(model, name) != value
    ]


def _shown(value: object) -> str:
    """Write an option's value as it is given: lists with commas."""
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
