"""What is said of a training before it begins and when it is over."""

from collections.abc import Callable, Iterator

from charrnn.arrays import Ids, PackedIds
from charrnn.cells import cell_of
from charrnn.cli.commands import as_argument, shell_command
from charrnn.cli.metrics import bits
from charrnn.cli.spelling import as_option
from charrnn.cli.training_settings import Settings
from charrnn.config import RunConfig, TextConfig, TrainConfig, UnitName
from charrnn.counting import plural
from charrnn.durations import duration_text, exact_duration
from charrnn.errors import spell
from charrnn.escapes import shortened
from charrnn.filenames import default_output
from charrnn.generation import decode
from charrnn.processors import bfloat16_form
from charrnn.training.baselines import Baselines
from charrnn.training.blending import Blend
from charrnn.training.job import Job
from charrnn.training.prepare import memory_estimate
from charrnn.training.records import Ended
from charrnn.training.trainer import Trainer
from charrnn.vocab import Vocab, from_code_points

#: What a text is counted in.
UNITS: dict[UnitName, str] = {"char": "character", "byte": "byte"}

#: A validation loss that is larger than the best by more than this share means
#: that a run has gone on for too long.
OVERFITTED = 0.005

#: Inputs among which the one that is named in an example is the shortest.
EXAMPLES = 20

#: Characters of an input that a command names, at most.
LONGEST_EXAMPLE = 60

#: Temperature of previews and of the command that is suggested in the end.
TEMPERATURE = 0.8


def description(job: Job) -> Iterator[str]:
    """Say what is trained on, and what was noticed in it."""
    held_out, vocab = job.held_out, job.vocab
    size, held = plural(job.corpus.characters, UNITS[vocab.unit]), ""
    if job.of_pairs:
        size = f"{plural(_lines(job, job.corpus.ids), 'pair')}, {size}"
    if held_out is not None:
        count = f"{len(held_out):,}"
        if job.of_pairs:
            count = plural(_lines(job, held_out), "pair")
        held = f", {count} held out"
    yield f"{size}, {len(vocab):,} distinct{held}{_products(job)}"
    yield from (spell(note, as_option) for note in job.notes)
    if done := job.trainer.position.step:
        yield f"resuming after step {done:,}"


def _products(job: Job) -> str:
    """Say what products are made of, if that is not float32."""
    precision = job.trainer.config.precision
    if precision == "float32":
        return ""
    emulated = ", emulated" if bfloat16_form() == "emulated" else ""
    return f"; products in {precision}{emulated}"


def _lines(job: Job, ids: PackedIds) -> int:
    """Count the lines of a text."""
    return int((ids == job.documents.start).sum())


def plan_lines(job: Job, seconds: float) -> Iterator[str]:
    """Show the plan in three lines: the network, what is dropped, and the run.

    Parameters
    ----------
    seconds : float
        That a step takes.
    adds_to_best : bool
        See `prepare.memory_estimate`.
    """
    trainer = job.trainer
    network, config = trainer.network, trainer.config
    shape = network.config
    has_activation = "activation" in cell_of(shape.cell).settings
    kind = f"{shape.cell} ({shape.activation})" if has_activation else shape.cell
    norm = "" if shape.norm == "none" else f", {shape.norm} norm"
    lags = "" if shape.lags == (1,) else f", lags {','.join(map(str, shape.lags))}"
    yield (
        f"network: {kind} {shape.layers} x {shape.hidden}{lags}{norm}, "
        f"{plural(network.theta.size, 'parameter')}"
    )
    if config.dropout or config.weight_dropout:
        yield (
            f"dropout: {config.dropout:g} of outputs, "
            f"{config.weight_dropout:g} of recurrent weights"
        )
    else:
        yield "no dropout"
    yield (
        f"run: {limit(config)}, about {duration_text(expected(trainer, seconds))}; "
        f"batch {config.batch_size} x {config.seq_length}, {config.optimizer} "
        f"{config.lr:g} {config.schedule}"
    )


def expected(trainer: Trainer, seconds: float) -> float:
    """Seconds of training that are left, when a step takes `seconds`."""
    config, limits = trainer.config, []
    if config.time is not None:
        limits.append(config.time * (1 - trainer.position.progress))
    if trainer.total_steps is not None:
        limits.append((trainer.total_steps - trainer.position.step) * seconds)
    return max(0.0, min(limits))


def limit(config: TrainConfig) -> str:
    """Say when a run ends."""
    limits = []
    if config.epochs is not None:
        limits.append(plural(config.epochs, "epoch", "g"))
    if config.steps is not None:
        limits.append(plural(config.steps, "step"))
    if config.time is not None:
        limits.append(duration_text(config.time))
    return " or ".join(limits)


def start_fields(job: Job, output: str) -> dict[str, object]:
    """Describe a run for the first of its records."""
    network, config = job.trainer.network, job.trainer.config
    corpus = job.corpus
    fields = {
        "corpus": {
            "files": list(corpus.files),
            "bytes": corpus.bytes,
            "characters": corpus.characters,
            "sha256": corpus.sha256,
        },
        "vocabulary": network.config.vocab_size,
        "parameters": network.theta.size,
        "cell": network.config.cell,
        "layers": network.config.layers,
        "hidden": network.config.hidden,
        "batch_size": config.batch_size,
        "ranks": job.trainer.ranks.size,
        "rank_batch_size": config.batch_size // job.trainer.ranks.size,
        "seq_length": config.seq_length,
        "threads": network.threads,
        "seed": config.seed,
        "output": output,
    }
    if config.precision != "float32":
        fields["precision"] = config.precision
    return fields


def estimate(job: Job, seconds: float, *, adds_to_best: bool) -> dict[str, float]:
    """Estimate what a run takes, as fields of its plan.

    Parameters
    ----------
    seconds : float
        That a step takes.

    Returns
    -------
    dict
        ``memory`` in bytes, beside the text; ``seconds`` of training that are left;
        ``chars_per_second``.
    """
    streams = job.trainer.streams
    return {
        "memory": memory_estimate(job, adds_to_best=adds_to_best),
        "seconds": expected(job.trainer, seconds),
        "chars_per_second": streams.characters / streams.windows / seconds,
    }


def continuation(settings: Settings) -> str:
    """Write the command that resumes a run, with all that it needs."""
    request = settings.request
    text, sources, run = request.text, request.sources, request.run
    words = ["charrnn", "train", *map(as_argument, map(str, sources)), "--resume"]
    if settings.output != default_output(str(sources[0])):
        words += ["--output", str(settings.output)]
    if text.encoding != TextConfig.encoding:
        words += ["--encoding", text.encoding]
    if text.newlines != TextConfig.newlines:
        words += ["--newlines", text.newlines]
    if text.pair_separator != TextConfig.pair_separator:
        words += ["--pair-separator", text.pair_separator.replace("\\", "\\\\")]
    if text.allow_empty:
        words.append("--allow-empty")
    if run.val_file is not None:
        words += ["--val-file", run.val_file]
    if not run.memory:
        words.append("--no-memory")
    if run.save_every != RunConfig.save_every:
        words += ["--save-every", str(run.save_every)]
    if not run.keep_best:
        words.append("--no-keep-best")
    if run.on_divergence != RunConfig.on_divergence:
        words += ["--on-divergence", run.on_divergence]
    if settings.reports.json:
        words.append("--json")
    if settings.reports.log_file is not None:
        words += ["--log-file", settings.reports.log_file]
    return shell_command(*words)


def further(settings: Settings, config: TrainConfig) -> str:
    """Write the command that trains twice as far as a run that has ended."""
    words = []
    if config.epochs is not None:
        words += ["--epochs", f"{2 * config.epochs:g}"]
    if config.steps is not None:
        words += ["--steps", str(2 * max(1, config.steps))]
    if config.time is not None:
        words += ["--time", exact_duration(2 * config.time)]
    return f"train further: {continuation(settings)} {shell_command(*words)}"


def summary(ended: Ended, job: Job, began: int, *, kept: bool) -> Iterator[str]:
    """Sum a run up: its length and its losses.

    Parameters
    ----------
    began : int
        The steps that a resumed run had done before.
    kept : bool
        Whether there is a file of the best evaluation.
    """
    config = job.trainer.config
    if ended.steps == began > 0:
        reached = "patience" if ended.reason == "patience" else limit(config)
        yield f"nothing left to do ({reached}); a larger limit goes on"
    else:
        speed = ended.chars_per_second
        rate = f" ({speed:,.0f} characters a second)" if speed else ""
        took = duration_text(ended.elapsed)
        # A limit in time counts the time before a resume, too; others do not.
        more = f", {ended.steps - began:,} of them" if began and not config.time else ""
        steps = plural(ended.steps, "step")
        yield f"{steps}, {ended.epochs:.2f} epochs{more} in {took}{rate}"
    if ended.train_loss is not None:
        yield _row("training loss", ended.train_loss)
    if ended.val_loss is not None:
        yield _row("validation loss", ended.val_loss)
    if ended.blend is not None:
        yield from _blended(ended.blend)
    yield from _accuracy(ended)
    if better_before(ended):
        best_step = job.trainer.position.best_step
        name = "  best, kept apart" if kept else "  best, not kept"
        yield _row(name, ended.best_val_loss or 0.0)
        advice = "use the best" if kept else "train for fewer steps"
        yield (
            f"what came after step {best_step:,} only learned the text by heart: "
            f"{advice}"
        )


def _accuracy(ended: Ended) -> Iterator[str]:
    """Say how many outputs of held-out pairs are right, of a run that was not ended."""
    if ended.exact is None or ended.error_rate is None:
        return
    blends = ended.blend is not None and ended.blend.share < 1
    by = " (both)" if blends else ""
    yield f"{'outputs exactly right':<21} {ended.exact:8.2%}{by}"
    yield f"{'errors per character':<21} {ended.error_rate:8.2%}{by}"


def _blended(blend: Blend) -> Iterator[str]:
    """Say what n-grams make of the held-out text, without the network and with it."""
    grams, network = f"{blend.order}-grams", f"{blend.share:.0%} network"
    if blend.ngram_loss is not None:
        yield _row(f"  {grams} alone", blend.ngram_loss)
    if blend.loss is not None:
        yield _row(f"  both ({network})", blend.loss)
    elif blend.share < 1:
        yield f"samples will be of {network}, {1 - blend.share:.0%} {grams} of the text"
    yield "the checkpoint contains the text (--no-memory leaves it out)"


def better_before(ended: Ended) -> bool:
    """Tell whether an earlier state was worth more than the last one."""
    last, best = ended.val_loss, ended.best_val_loss
    return last is not None and best is not None and last > best * (1 + OVERFITTED)


def comparison(found: Baselines) -> Iterator[str]:
    """Show what simpler means make of the validation text, the best one first."""
    yield "the validation text without a network:"
    rows = [("single characters", found.order0)]
    if found.xz is not None:
        rows.append(("xz", found.xz))
    if found.ngram is not None:
        rows.append((f"{found.ngram.order}-gram (Kneser-Ney)", found.ngram.loss))
    for name, loss in sorted(rows, key=lambda row: row[1]):
        yield _row(f"  {name}", loss)
    for note in found.notes:
        yield f"  {note}"


def _row(name: str, loss: float) -> str:
    """Write a loss so that those above and below it are aligned."""
    return f"{name:<21} {loss:8.4f} nats {bits(loss):7.3f} bits"


def suggestion(output: str, job: Job) -> str:
    """Write the command that samples what was trained."""
    words = ["charrnn", "sample", "--temperature", str(TEMPERATURE)]
    if job.of_pairs:
        words = ["charrnn", "sample"]
        if len(given := example(job)) <= LONGEST_EXAMPLE:
            words.append(f"--prompt={given}")
    return f"try: {shell_command(*words, as_argument(output))}"


def example(job: Job) -> str:
    """Give an input of a run on pairs that is short, and held out where some are."""
    pairs = job.pairs_to_show
    shortest = min(pairs.first(EXAMPLES).inputs, key=len)
    return as_text(shortest, job.vocab)


def attempts(
    job: Job, count: int, characters: int, stopped: Callable[[], bool] = lambda: False
) -> str:
    """Show what the network makes of a few inputs, one a line.

    Parameters
    ----------
    characters : int
        Of each input and of each output, at most: what is longer is cut.
    stopped : callable
        Asked every few steps whether to give up.

    Raises
    ------
    Stopped
        `stopped` said yes.
    VocabError
        The network is not finite, and has nothing to choose from.
    """
    shown = job.pairs_to_show.first(count)
    model = job.model(job.trainer.averaged)
    limits = [min(limit, characters + 1) for limit in shown.limits]
    outputs = decode(model, shown.inputs, limits, stopped)

    def cut(ids: Ids) -> str:
        return shortened(as_text(ids, job.vocab), characters)

    pairs = zip(shown.inputs, outputs, strict=True)
    return "\n".join(f"{cut(given)} -> {cut(output)}" for given, output in pairs)


def as_text(ids: Ids, vocab: Vocab) -> str:
    """Write ids as a text: of bytes, what they say as UTF-8."""
    symbols = from_code_points(vocab.points[ids])
    if vocab.unit == "char":
        return symbols
    return symbols.encode("latin-1").decode("utf-8", "surrogateescape")
