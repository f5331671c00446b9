"""The command `sample`: write text as a trained model would.

Options become configurations that check themselves; then the checkpoint is
opened, then the prompt is read, and only when nothing is wrong with either is
Numba imported. Generated text goes to the writers and to no other place.
"""

import secrets
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from charrnn.cli import sample_options as options
from charrnn.cli.notes import PREPARING, Meter, Notes
from charrnn.cli.options import Color, Common, Progress, Quiet, Threads, Verbose
from charrnn.cli.output import ReaderGone, TextSink
from charrnn.cli.prompts import WAITING, Prompt, expand, to_symbols
from charrnn.cli.writers import (
    JsonWriter,
    Layout,
    TextWriter,
    Writer,
    open_output,
    readable,
)
from charrnn.config import SampleConfig, UnknownPolicy
from charrnn.errors import OptionError, VocabError

if TYPE_CHECKING:
    from charrnn.arrays import Ids
    from charrnn.checkpoint import CheckpointFile
    from charrnn.generation import Generation
    from charrnn.model import Model
    from charrnn.vocab import Vocab

#: Random seeds are below this: any JSON reader keeps such an integer exact.
SEEDS = 2**53


EXAMPLES = "\n".join(
    [
        "Examples:",
        "charrnn sample lovecraft.npz",
        "charrnn sample -t 0.7 -p 'The old house' -n 400 lovecraft.npz",
        "echo 'The old house' | charrnn sample lovecraft.npz | fold -s -w 72",
        r"charrnn sample names.npz -p '' -e --stop '\n' -N 20",
        "charrnn sample lovecraft.npz -n -1 < /dev/null | head -c 100000",
        "charrnn sample lovecraft.npz -N 50 --json | jq -r .text",
    ]
)


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

    def check(self, config: SampleConfig) -> None:
        """Raise `OptionError` for what cannot go together."""
        parting = "--separator" if self.separator is not None else "--null"
        if self.json and (self.null or self.separator is not None):
            msg = f"--json cannot be combined with {parting}"
            raise OptionError(msg, hint="every object is a line of its own")
        if self.null and self.separator is not None:
            msg = "--separator cannot be combined with --null"
            raise OptionError(msg)
        if self.escape:
            for text in (self.separator or "", *config.stop):
                expand(text, "char")
        waits = {
            "--json": self.json,
            "--no-stream": not self.stream,
            "--num-samples": config.num_samples > 1,
        }
        for option in (name for name, used in waits.items() if used):
            if config.length < 0 and not config.stop:
                msg = f"--length -1 cannot be combined with {option}"
                raise OptionError(
                    msg, hint="a sample must end: give --length or --stop"
                )


def sample(
    checkpoint: options.CheckpointPath,
    prompt: options.PromptText = None,
    prompt_file: options.PromptFile = None,
    escape: options.Escape = False,
    unknown: options.Unknown = "error",
    echo: options.Echo = True,
    length: options.Length = SampleConfig.length,
    stop: options.Stop = None,
    include_stop: options.IncludeStop = False,
    temperature: options.Temperature = SampleConfig.temperature,
    top_k: options.TopK = None,
    top_p: options.TopP = None,
    min_p: options.MinP = None,
    seed: options.Seed = None,
    num_samples: options.NumSamples = SampleConfig.num_samples,
    output: options.Output = None,
    separator: options.Separator = None,
    null: options.Null = False,
    json: options.Json = False,
    stream: options.Stream = True,
    raw: options.Raw = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    color: Color = "auto",
    progress: Progress = "auto",
    threads: Threads = None,
) -> None:
    """Write text as a trained model would.

    The text goes to standard output while it is made. It ends in a newline,
    unless --raw is given or a model of bytes writes to a pipe or a file.
    """
    common = Common(quiet, verbose, color, progress, threads)
    source = Prompt(text=prompt, file=prompt_file, escape=escape)
    config = SampleConfig(
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        min_p=min_p,
        length=length,
        stop=tuple(stop or ()),
        include_stop=include_stop,
        num_samples=num_samples,
        seed=secrets.randbelow(SEEDS) if seed is None else seed,
    )
    form = Form(
        path=output,
        separator=separator,
        null=null,
        json=json,
        stream=stream,
        raw=raw,
        echo=echo,
        escape=escape,
    )
    form.check(config)
    with suppress(ReaderGone):  # as whoever ran `head` wanted
        _run(checkpoint, source, unknown, config, form, common)


def _run(
    path: Path,
    source: Prompt,
    unknown: UnknownPolicy,
    config: SampleConfig,
    form: Form,
    common: Common,
) -> None:
    """Open the checkpoint, read the prompt, generate and show."""
    notes = Notes(common)
    threads, warning = common.resolve_threads()
    if warning:
        notes.warn(warning)
    from charrnn.checkpoint import CheckpointFile  # imports NumPy

    with CheckpointFile(path) as file:
        vocab = file.vocab
        prompt = source.read(vocab.unit, lambda: notes.say(WAITING))
        ids = _encode(vocab, prompt, unknown, notes)
        config = _adopt_stops(config, vocab, form.escape, notes)
        notes.detail(f"seed {config.seed}")
        with Meter(lambda: notes.say(PREPARING)) as meter:
            model = _load(file, config, threads)
            from charrnn.generation import Generation  # imports Numba

            lines = file.training is not None and file.training.config.lines
            generation = Generation(
                model, vocab, ids, config, documents=lines, scored=form.json
            )
            with open_output(form.path, keep=path, raw=form.raw) as sink:
                writer = _writer(sink, form, config, vocab, prompt, path)
                _show(generation, writer, meter)
    notes.detail(str(meter))


def _encode(vocab: "Vocab", prompt: str, unknown: UnknownPolicy, notes: Notes) -> "Ids":
    """Turn the prompt's symbols into ids, and say what it lost."""
    try:
        if vocab.unit == "byte":
            ids = vocab.encode_bytes(prompt.encode("latin-1"), unknown)
        else:
            ids = vocab.encode(prompt, unknown)
    except VocabError as error:
        error.where = "the prompt"
        raise
    known = set(vocab.symbols)
    lost = sum(symbol not in known for symbol in prompt)
    if lost:
        done = "left out" if unknown == "skip" else "replaced"
        noun = "character" if lost == 1 else "characters"
        notes.warn(f"{lost:,} unknown {noun} of the prompt {done}")
    return ids


def _adopt_stops(
    config: SampleConfig, vocab: "Vocab", escape: bool, notes: Notes
) -> SampleConfig:
    """Turn the stop texts into symbols, and name those that cannot occur."""
    stops = [to_symbols(stop, vocab.unit, escape=escape) for stop in config.stop]
    for given, stop in zip(config.stop, stops, strict=True):
        if not set(stop) <= set(vocab.symbols):
            notes.warn(f"--stop {given!r} has characters that the model never writes")
    return replace(config, stop=tuple(stops))


def _load(file: "CheckpointFile", config: SampleConfig, threads: int) -> "Model":
    """Build the model that a checkpoint holds."""
    from charrnn.generation import useful_threads  # imports Numba
    from charrnn.model import Model

    model = Model(
        file.model, threads=useful_threads(file.model, config.num_samples, threads)
    )
    model.load({name: file.read(name) for name in model.weights})
    return model


def _writer(
    sink: TextSink,
    form: Form,
    config: SampleConfig,
    vocab: "Vocab",
    prompt: str,
    path: Path,
) -> Writer:
    """Choose what shows the samples."""
    if form.json:
        from charrnn.checkpoint import file_sha256

        names = ("temperature", "top_k", "top_p", "min_p")
        before = {"seed": config.seed, "prompt": readable(prompt, vocab.unit)}
        after = {
            "sampler": {name: getattr(config, name) for name in names},
            "checkpoint_sha256": file_sha256(path),
        }
        return JsonWriter(sink, config.num_samples, vocab.unit, before, after)
    separator = "\n" if form.separator is None else form.separator
    piped_bytes = vocab.unit == "byte" and not sink.terminal
    layout = Layout(
        unit=vocab.unit,
        prompt=prompt if form.echo else "",
        separator=to_symbols(separator, vocab.unit, escape=form.escape),
        null=form.null,
        newline=not (form.raw or piped_bytes),
        stream=form.stream,
    )
    return TextWriter(sink, config.num_samples, layout)


def _show(generation: "Generation", writer: Writer, meter: Meter) -> None:
    """Generate and show; when interrupted, show what there is."""
    pieces = meter.watch(generation.pieces())
    try:
        # Made before the prompt is echoed: a note on stderr that kernels are
        # being compiled must not stand in the middle of the prompt's line.
        first = next(pieces, None)
        writer.start()
        if first is not None:
            writer.take(first)
        for piece in pieces:
            writer.take(piece)
    except KeyboardInterrupt:
        writer.interrupt(generation.interrupt())
        raise
