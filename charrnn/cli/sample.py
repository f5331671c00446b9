"""The command `sample`: write text as a trained model would.

Options become configurations that check themselves; then the checkpoint is
opened, then the prompt is read, and only when nothing is wrong with either is
Numba imported. Generated text goes to the writers and to no other place.
"""

import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from charrnn.cli.arriving import Arriving
from charrnn.cli.blending import UNFINISHED
from charrnn.cli.notes import PREPARING, Meter, Notes
from charrnn.cli.options import COMMON, Common, takes
from charrnn.cli.output import ReaderGone, TextSink, open_stdout
from charrnn.cli.presets import as_preset, with_preset
from charrnn.cli.prompts import (
    STDIN,
    WAITING,
    Prompt,
    PromptText,
    lines_of,
    to_symbols,
    too_long,
)
from charrnn.cli.sample_form import Form, adopt, check_interactive
from charrnn.cli.sample_models import Models
from charrnn.cli.sample_prompts import Prompts
from charrnn.cli.serving import SEEDS, TEXTS, Service, requests_on_stdin
from charrnn.cli.showing import Showing
from charrnn.cli.usage import one_too_many
from charrnn.cli.writers import (
    JsonWriter,
    Layout,
    PairsJsonWriter,
    TextWriter,
    Writer,
    open_output,
)
from charrnn.config import (
    CHOICE,
    LENGTH,
    OUTPUT,
    PROMPT,
    Blending,
    Mixing,
    SampleConfig,
    SampleInputs,
    check_search,
    settle,
    settle_completion,
)
from charrnn.counting import plural
from charrnn.errors import OptionError
from charrnn.options import OptionTable, check_file_name, configure, read

if TYPE_CHECKING:
    from charrnn.arrays import Ids
    from charrnn.reading import ReadOptions
    from charrnn.vocab import Vocab

#: Said when a prompt is so long that reading it through the network takes time.
READING = "reading a long prompt through the network"

#: Prompts that come bit by bit are continued side by side, so many at most.
AT_ONCE = 1024

#: Seconds without a further line after which those that are there are continued.
GRACE = 0.01

#: What the command is about, for its help. No docstring: Python may leave those out.
ABOUT = """Write text as a trained model would.

The text goes to standard output while it is made. It ends in a newline,
unless --raw is given or a model of bytes writes to a pipe or a file.
"""

EXAMPLES = "\n".join(
    [
        "Examples:",
        "charrnn sample lovecraft.npz",
        "charrnn sample -t 0.7 -p 'The old house' -n 400 lovecraft.npz",
        "echo 'The old house' | charrnn sample lovecraft.npz | fold -s -w 72",
        r"charrnn sample names.npz -p '' -e --stop '\n' -N 20",
        "charrnn sample dates.npz -p 'the 3rd of March 1987'",
        "charrnn sample dates.npz --prompt-lines --beam 4 < column.txt",
        "charrnn sample lovecraft.npz -n -1 < /dev/null | head -c 100000",
        "charrnn sample lovecraft.npz -N 50 --json | jq -r .text",
        "charrnn sample lovecraft.npz shakespeare.npz --mix 0.7,0.3",
        "charrnn sample lovecraft.npz --serve -n 80 < requests.txt",
        "charrnn sample lovecraft.npz --interactive",
        "charrnn sample lovecraft.npz -t 0.7 --show-options > mine.toml",
        "charrnn sample lovecraft.npz --preset mine.toml",
    ]
)


OPTIONS = OptionTable(
    kinds=(SampleConfig, Blending, Mixing, Form, SampleInputs, Common),
    groups=(PROMPT, LENGTH, CHOICE, OUTPUT, COMMON),
)

CheckpointPaths = Annotated[
    list[str],
    typer.Argument(
        metavar="CHECKPOINT",
        help="A model, as charrnn train saves it; of several, the mixture.",
    ),
]


@takes(OPTIONS, with_preset)
def sample(checkpoint: CheckpointPaths, **options: Any) -> None:
    """Carry out what `ABOUT` says."""
    common = configure(Common, options)
    form = configure(Form, options, echo_given=options["echo"] is not None)
    for number, path in enumerate(checkpoint):
        check_file_name("the name of the checkpoint", path)
        # What is no file is a word of a prompt that has no quotes; it may be too long
        # for a name.
        named = path.endswith(".npz") or os.path.exists(path)  # noqa: PTH110
        if number and not named:
            page = "charrnn sample --help lists the options"
            raise one_too_many(path, f"it comes after --prompt; {page}")
    if form.interactive and len(checkpoint) > 1:
        msg = "--interactive is for one model, not for several"
        raise OptionError(msg, hint="name the one that is to complete what you write")
    if form.interactive:
        check_interactive(options, OPTIONS)
    inputs = configure(SampleInputs, options)
    source = Prompt(text=form.prompt, file=form.prompt_file, escape=form.escape)
    if form.prompt_lines and not source.is_given:
        msg = "--prompt-lines needs prompts"
        raise OptionError(msg, hint="give --prompt or --prompt-file, or pipe them in")
    if "-" in inputs.corpus and source.reads_stdin:
        msg = "--corpus - and the prompt both want standard input"
        raise OptionError(msg, hint="give one of them in a file, or --prompt ''")
    given = read(SampleConfig, options)
    if not form.serve:  # where every answer has one of its own
        given.setdefault("seed", secrets.randbelow(SEEDS))
    blending, mixing = configure(Blending, options), configure(Mixing, options)
    config = settle_completion(given) if form.interactive else settle(given)
    mixing.weights(len(checkpoint))  # as many as there are models
    check_search(config, blending)
    form.check(config)
    if form.show_options:
        _show_options(options, given)
        return
    with suppress(ReaderGone):  # as whoever ran `head` wanted
        run = _Run(tuple(map(Path, checkpoint)), form, common, blending, mixing)
        run.run(source, inputs, given)


def _show_options(options: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Print the options that are in force, the seed among them, as a preset.

    Parameters
    ----------
    options : mapping
        As they were given, by name.
    given : mapping
        The same of `SampleConfig`, with a seed.
    """
    values = dict(given)
    for kind in OPTIONS.kinds:
        values = read(kind, options) | values
    for name, pair in (("logit_bias", "{}={}"), ("set_unit", "{}")):
        if name in values:
            values[name] = [
                pair.format(*one) if isinstance(one, tuple) else str(one)
                for one in values[name]
            ]
    with open_stdout() as sink:
        sink.write(as_preset(values, OPTIONS.entries))


class _Run:
    """One run of the command: open, read, generate, show.

    Parameters
    ----------
    paths : sequence of Path
        The checkpoints.
    form : Form
    common : Common
    blending : Blending
        How much of a prediction is the network's.
    mixing : Mixing
        How the predictions of several checkpoints become one.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        form: Form,
        common: Common,
        blending: Blending,
        mixing: Mixing,
    ) -> None:
        self.paths = paths
        self.blending, self.mixing = blending, mixing
        self.form = form
        self.notes, self.color = Notes(common), common.color
        self.threads, warning = common.resolve_threads()
        if warning:
            self.notes.warn(warning)

    def run(
        self, source: Prompt, inputs: SampleInputs, given: Mapping[str, Any]
    ) -> None:
        """Do it all; what can be wrong is looked at before Numba is imported.

        Parameters
        ----------
        source : Prompt
        inputs : SampleInputs
        given : mapping
            Fields of `SampleConfig` by name.
        """
        from charrnn.checkpoint import CheckpointFile  # imports NumPy

        if given.get("pattern") is not None:
            from charrnn.patterns import check

            check(given["pattern"])
        with ExitStack() as stack:
            files = [stack.enter_context(CheckpointFile(path)) for path in self.paths]
            models = Models(files, self.mixing)
            inputs.check_model(pairs=models.pairs)
            vocab, config = models.vocab, settle(given, pairs=models.pairs)
            models.check(config, self.blending, inputs)
            if self.blending.blend == "auto" and models.unfinished:
                self.notes.say(UNFINISHED)
            if self.form.serve:
                self._serve(source, models, inputs, given)
                return
            if self.form.interactive:
                self._interact(models, inputs, settle_completion(given))
                return
            batches = self._batches(source, models, config, inputs)
            prompts = next(batches)
            for prompt in prompts:
                stack.callback(prompt.close)
            config = adopt(config, vocab, self.notes, escape=self.form.escape)
            self._warn_of_repeats(models, config)
            copies = self._read_corpus(inputs.corpus, vocab)
            self.notes.detail(f"seed {config.seed}")
            precision = models.precision(config)
            if not isinstance(precision, str):
                precision = ", ".join(precision)
            self.notes.detail(f"weights in {precision}")
            if not prompts:  # a column without a line becomes one without a line
                with self._open_output(source, inputs):
                    return
            note = PREPARING
            if config.best_of > 1:
                note = f"making {config.best_of:,} candidates for each sample"
            if prompts[0].file is not None:
                note = READING
            with Meter(lambda: self.notes.say(note)) as meter:
                wanted = self.blending.blend != 1 or config.no_copy is not None
                model = models.read(self.threads, predicts=wanted)
                showing = Showing(
                    model.blended(self.blending.blend, adapt=self.blending.adapt),
                    config,
                    Prompts(vocab, models.pairs, inputs).encode,
                    corpus=copies,
                    learns=self.blending.adapt_output,
                    scored=self.form.json,
                )
                generation = showing.begin(prompts)
                with self._open_output(source, inputs) as sink:
                    writer = self._writer(sink, config, models, prompts)
                    showing.show(generation, writer, meter, self.notes.warn_of_cache)
                    showing.go_on(batches, writer, meter)
        self.notes.warn_of_cache()  # some options have kernels that run later
        self.notes.detail(str(meter))

    def _serve(
        self,
        source: Prompt,
        models: Models,
        inputs: SampleInputs,
        given: Mapping[str, Any],
    ) -> None:
        """Answer requests until no more come."""
        escape = self.form.escape
        config = adopt(settle(given), models.vocab, self.notes, escape=escape)
        texts = {name: getattr(config, name) for name in TEXTS if name in given}
        copies = self._read_corpus(inputs.corpus, models.vocab)
        lines = requests_on_stdin()
        with Meter(lambda: self.notes.say(PREPARING)):
            model = models.read(self.threads, predicts=True)
        service = Service(
            model,
            models,
            given={**given, **texts},
            blending=self.blending,
            inputs=inputs,
            corpus=copies,
            form=self.form,
        )
        with self._open_output(source, inputs) as sink:
            service.run(lines, sink)

    def _interact(
        self, models: Models, inputs: SampleInputs, config: SampleConfig
    ) -> None:
        """Complete lines while somebody writes them, or those that are piped in."""
        from charrnn.cli import interactive  # imports Numba
        from charrnn.generation.completion import Completer
        from charrnn.reading import options_for

        terminal = interactive.screen()
        if terminal is not None:
            interactive.check_editor()
        config = adopt(config, models.vocab, self.notes, escape=False)
        lines = None if terminal is not None else requests_on_stdin()
        copies = self._read_corpus(inputs.corpus, models.vocab)
        blend, adapt = self.blending.blend, self.blending.adapt
        with Meter(lambda: self.notes.say(PREPARING)):
            model = models.read_alone(self.threads).blended(blend, adapt=adapt)
            completer = Completer(
                model,
                config,
                unknown="replace" if inputs.unknown == "replace" else "skip",
                corpus=copies,
            )
            completer.complete("")  # so that no key waits for a kernel
        self.notes.warn_of_cache()
        if lines is not None:
            prompts = Prompts(models.vocab, models.pairs, inputs)
            with open_stdout() as sink:
                options = options_for(models.vocab)
                interactive.continue_lines(completer, lines, sink, prompts, options)
        elif terminal is not None:
            self.notes.say(interactive.KEYS)
            editor = interactive.Editor(completer, terminal, self.color)
            interactive.write_lines(editor)

    def _open_output(
        self, source: Prompt, inputs: SampleInputs
    ) -> AbstractContextManager[TextSink]:
        """Open what samples are written to: none of the files that are read."""
        files = (*inputs.corpus, source.file or self.paths[0])
        keep = [*self.paths, *map(Path, files)]
        return open_output(self.form.output, keep=keep, raw=self.form.raw)

    def _batches(
        self,
        source: Prompt,
        models: Models,
        config: SampleConfig,
        inputs: SampleInputs,
    ) -> Iterator[list[PromptText]]:
        """Read the prompts, and check them; of lines that still come, some at a time.

        Raises
        ------
        OptionError
            There is no input for a model of pairs.
        CorpusError, VocabError
            See `Prompts`.
        """
        from charrnn.reading import options_for

        if models.pairs and not source.is_given:
            msg = "a model of pairs needs an input"
            raise OptionError(
                msg, hint="give --prompt or --prompt-file, or pipe one in"
            )
        options, of_lines = options_for(models.vocab), self.form.prompt_lines
        prepare = Prompts(models.vocab, models.pairs, inputs)
        first = 0
        for batch in self._given(source, options, config, pairs=models.pairs):
            with ExitStack() as refused:
                for prompt in batch:
                    refused.callback(prompt.close)
                prompts = prepare.prepared(batch, of_lines=of_lines, first=first)
                if lost := prepare.check(prompts, first=first):
                    done = "left out" if inputs.unknown == "skip" else "replaced"
                    unknown = plural(lost, "unknown character")
                    self.notes.warn(f"{unknown} of the prompt {done}")
                refused.pop_all()  # whoever takes them closes them
            yield prompts
            first += len(prompts)

    def _given(
        self,
        source: Prompt,
        options: "ReadOptions",
        config: SampleConfig,
        *,
        pairs: bool,
    ) -> Iterator[list[PromptText]]:
        """Read the prompts as they were given: at least one batch."""
        on_wait, stream = lambda: self.notes.say(WAITING), source.stream
        if self.form.prompt_lines and stream is not None:
            named = source.file is not None  # who names standard input knows of it
            lines = Arriving(stream, STDIN, None if named else on_wait)
            yield from self._arriving(lines, options)
            return
        prompt = source.read(options, on_wait)
        if self.form.prompt_lines:
            with closing(prompt):
                yield prompt.lines()
        # It is shown with every sample, and an input has to be looked at.
        elif pairs or self.form.json or config.num_samples > 1:
            with closing(prompt):
                yield [prompt.whole()]
        else:
            yield [prompt]

    def _arriving(
        self, lines: Arriving, options: "ReadOptions"
    ) -> Iterator[list[PromptText]]:
        """Make prompts of the lines that are there, again and again."""
        first = 0
        while block := lines.lines(AT_ONCE, GRACE):
            given = []
            for number, line in enumerate(block, start=first + 1):
                if line is None:
                    raise too_long(number)
                given.append(line)
            prompts = lines_of(given, options, first=first, escape=self.form.escape)
            yield prompts
            first += len(prompts)
        if not first:
            yield []

    def _warn_of_repeats(self, models: Models, config: SampleConfig) -> None:
        """Warn where several outputs of an input are asked for, and none is drawn."""
        if models.pairs and config.num_samples > 1 and config.temperature == 0:
            same = f"all {config.num_samples:,} outputs are the likeliest one"
            self.notes.warn(f"{same}: --temperature 1 draws different ones")

    def _read_corpus(self, paths: Sequence[str], vocab: "Vocab") -> "Ids | None":
        """Read the text that --no-copy speaks of, if any."""
        if not paths:
            return None
        from charrnn.reading import read_known

        return read_known(paths, vocab)

    def _writer(
        self,
        sink: TextSink,
        config: SampleConfig,
        models: Models,
        prompts: Sequence[PromptText],
    ) -> Writer:
        """Choose what shows the samples."""
        form, count, vocab = self.form, len(prompts) * config.num_samples, models.vocab
        if form.json:
            before = {"seed": config.seed}
            sampler = models.sampler_fields(config, self.blending)
            after = {"sampler": sampler, "checkpoint_sha256": models.sha256()}
            texts = [prompt.text for prompt in prompts]
            kind = PairsJsonWriter if models.pairs else JsonWriter
            return kind(sink, count, vocab.unit, texts, before, after)
        separator = "\n" if form.separator is None else form.separator
        piped_bytes = vocab.unit == "byte" and not sink.terminal
        layout = Layout(
            unit=vocab.unit,
            prompts=prompts if form.echoes(pairs=models.pairs) else [()] * len(prompts),
            each=config.num_samples,
            separator=to_symbols(separator, vocab.unit, escape=form.escape),
            null=form.null,
            newline=not (form.raw or piped_bytes),
            of_lines=models.pairs,
            stream=form.stream,
            echo=form.echoes(pairs=models.pairs),
            open_end=form.prompt_lines,
        )
        return TextWriter(sink, count, layout)
