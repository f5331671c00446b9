"""``charrnn train``: texts in, a checkpoint out."""

import contextlib
import sys
from pathlib import Path
from typing import Annotated

import typer

from charrnn.cli.options import (
    Color,
    Common,
    Progress,
    Quiet,
    Threads,
    Verbose,
    option,
)
from charrnn.cli.training_settings import settings_of
from charrnn.errors import OptionError

OUTPUT = "Output"
TEXT = "Text"
MODEL = "Model"
LENGTH = "How long"
LEARNING = "Learning"
REPORTS = "Reports"

EXAMPLES = "\n".join(
    [
        "Examples:",
        "charrnn train lovecraft.txt --time 10m",
        "cat books/*.txt | charrnn train - -o books.npz -q",
        "charrnn train names.txt --lines --time 60s",
        "charrnn train lovecraft.txt --resume --epochs 20",
        "charrnn train mail.txt --init-from lovecraft.npz",
    ]
)


Paths = Annotated[
    list[str] | None,
    typer.Argument(metavar="PATHS...", help="Texts, joined in order; - is stdin."),
]
Output = Annotated[
    str | None,
    option("--output", "-o", metavar="PATH", panel=OUTPUT,
            help="Checkpoint; named after the first text by default. - is stdout."),
]  # fmt: skip
Force = Annotated[
    bool, option("--force", "-f", panel=OUTPUT, help="Replace an existing checkpoint.")
]
Resume = Annotated[
    bool,
    option("--resume", panel=OUTPUT,
            help="Continue the checkpoint exactly where it stopped."),
]  # fmt: skip
NewCorpus = Annotated[
    bool,
    option("--new-corpus", panel=OUTPUT, help="Let --resume go on with another text."),
]
InitFrom = Annotated[
    Path | None,
    option("--init-from", metavar="PATH", panel=OUTPUT,
            help="Begin with another checkpoint's weights."),
]  # fmt: skip
SaveEvery = Annotated[
    str,
    option("--save-every", metavar="N|DUR", panel=OUTPUT,
            help="Steps, or time of training, between saves."),
]  # fmt: skip
KeepBest = Annotated[
    bool,
    option("--keep-best/--no-keep-best", panel=OUTPUT,
            help="Keep the best validation in STEM.best.npz."),
]  # fmt: skip
Encoding = Annotated[
    str, option("--encoding", metavar="NAME", panel=TEXT, help="Of the texts.")
]
Newlines = Annotated[
    str,
    option("--newlines", metavar="keep|lf", panel=TEXT,
            help="lf turns CR LF and CR into LF."),
]  # fmt: skip
Unit = Annotated[
    str,
    option("--unit", metavar="char|byte", panel=TEXT,
            help="Model characters, or raw bytes."),
]  # fmt: skip
MinCount = Annotated[
    int,
    option("--min-count", metavar="N", panel=TEXT,
            help="Rarer characters become U+FFFD."),
]  # fmt: skip
Lines = Annotated[
    bool,
    option("--lines", panel=TEXT, help="Every line is a document; order is shuffled."),
]
ValFraction = Annotated[
    float | None,
    option("--val-fraction", metavar="F", panel=TEXT,
            help="Tail of the text held out for validation. \\[default: 0.1]"),
]  # fmt: skip
ValFile = Annotated[
    str | None,
    option("--val-file", metavar="PATH", panel=TEXT, help="A text to validate on."),
]
Cell = Annotated[
    str | None,
    option("--cell", metavar="rnn|gru|lstm", panel=MODEL,
            help="Kind of cell. \\[default: lstm]"),
]  # fmt: skip
Activation = Annotated[
    str | None,
    option("--activation", metavar="NAME", panel=MODEL,
            help="tanh, sigmoid, relu or leaky-relu, of --cell rnn. \\[default: tanh]"),
]  # fmt: skip
Hidden = Annotated[
    int | None,
    option("--hidden", metavar="N", panel=MODEL,
            help="Units per layer. \\[default: planned]"),
]  # fmt: skip
Layers = Annotated[
    int | None,
    option("--layers", metavar="N", panel=MODEL,
            help="Layers, 1 to 16. \\[default: 1]"),
]  # fmt: skip
Norm = Annotated[
    str | None,
    option("--norm", metavar="none|layer|batch", panel=MODEL,
            help="Normalize the output of every layer. "
            "\\[default: layer for an lstm, else none]"),
]  # fmt: skip
Dropout = Annotated[
    float | None,
    option("--dropout", metavar="P", panel=MODEL,
            help="Of outputs, after every layer. \\[default: planned]"),
]  # fmt: skip
WeightDropout = Annotated[
    float | None,
    option("--weight-dropout", metavar="P", panel=MODEL,
            help="Of recurrent weights, anew each step. \\[default: planned]"),
]  # fmt: skip
Init = Annotated[
    str | None,
    option("--init", metavar="NAME", panel=MODEL,
            help="auto, orthogonal, xavier, he or uniform. \\[default: auto]"),
]  # fmt: skip
ForgetBias = Annotated[
    float | None,
    option("--forget-bias", metavar="F", panel=MODEL,
            help="First bias of the LSTM's forget gate. \\[default: 1]"),
]  # fmt: skip
Epochs = Annotated[
    float | None,
    option("--epochs", metavar="X", panel=LENGTH,
            help="Passes over the text. \\[default: planned]"),
]  # fmt: skip
Steps = Annotated[
    int | None, option("--steps", metavar="N", panel=LENGTH, help="Steps in all.")
]
Time = Annotated[
    str | None,
    option("--time", metavar="DUR", panel=LENGTH,
            help="Time of training: 90s, 30m, 2h. The first limit reached ends."),
]  # fmt: skip
Patience = Annotated[
    int | None,
    option("--patience", metavar="N", panel=LENGTH,
            help="Stop after N evaluations without improvement; 0 never. "
            "\\[default: 6 if --epochs and --steps are left open, else 0]"),
]  # fmt: skip
BatchSize = Annotated[
    int | None,
    option("--batch-size", metavar="N", panel=LEARNING,
            help="Streams read side by side. \\[default: 32, of short lines 64]"),
]  # fmt: skip
SeqLength = Annotated[
    int | None,
    option("--seq-length", metavar="N", panel=LEARNING,
            help="Steps of backpropagation through time. "
            "\\[default: 64, of short lines 32]"),
]  # fmt: skip
Optimizer = Annotated[
    str | None,
    option("--optimizer", metavar="NAME", panel=LEARNING,
            help="adam, rmsprop, adagrad or sgd. \\[default: adam]"),
]  # fmt: skip
WeightDecay = Annotated[
    float | None,
    option("--weight-decay", metavar="F", panel=LEARNING,
            help="Decoupled, on weight matrices. \\[default: 0]"),
]  # fmt: skip
LearningRate = Annotated[
    float | None,
    option("--lr", metavar="F", panel=LEARNING,
            help="Peak learning rate. \\[default: by cell and width]"),
]  # fmt: skip
Schedule = Annotated[
    str | None,
    option("--schedule", metavar="NAME", panel=LEARNING,
            help="constant, step, exponential, linear, cosine or cyclic. "
            "\\[default: cosine]"),
]  # fmt: skip
Warmup = Annotated[
    float | None,
    option("--warmup", metavar="X", panel=LEARNING,
            help="Share of the run, or steps from 1 on. \\[default: 0.02]"),
]  # fmt: skip
Ema = Annotated[
    float | None,
    option("--ema", metavar="F", panel=LEARNING,
            help="Decay of the averaged weights that are evaluated, sampled and "
            "saved; 0 is off. \\[default: 0.999]"),
]  # fmt: skip
GradClip = Annotated[
    float | None,
    option("--grad-clip", metavar="F", panel=LEARNING,
            help="Limit of the gradient; 0 is off. \\[default: 1]"),
]  # fmt: skip
ClipMode = Annotated[
    str | None,
    option("--clip-mode", metavar="norm|value", panel=LEARNING,
            help="What the limit is on. \\[default: norm]"),
]  # fmt: skip
OnDivergence = Annotated[
    str,
    option("--on-divergence", metavar="stop|rollback", panel=LEARNING,
            help="When loss, gradient or weights are not finite."),
]  # fmt: skip
Seed = Annotated[
    int | None,
    option("--seed", metavar="N", panel=LEARNING,
            help="Of first weights, dropout and order. \\[default: 0]"),
]  # fmt: skip
EvalEvery = Annotated[
    str | None,
    option("--eval-every", metavar="N|DUR", panel=REPORTS,
            help="Between validations. \\[default: 20 in a run]"),
]  # fmt: skip
LogEvery = Annotated[
    int,
    option("--log-every", metavar="N", panel=REPORTS,
            help="Steps between step records of --json and --log-file."),
]  # fmt: skip
PreviewEvery = Annotated[
    int | None,
    option("--preview-every", metavar="N", panel=REPORTS,
            help="Steps between previews; 0 is never. "
            "\\[default: at validations, on a terminal]"),
]  # fmt: skip
PreviewChars = Annotated[
    int,
    option("--preview-chars", metavar="N", panel=REPORTS, help="Length of a preview."),
]
Json = Annotated[
    bool,
    option("--json", panel=REPORTS, help="JSON Lines of metrics on stdout."),
]
LogFile = Annotated[
    Path | None,
    option("--log-file", metavar="PATH", panel=REPORTS,
            help="Append the same lines to a file."),
]  # fmt: skip
DryRun = Annotated[
    bool,
    option("--dry-run", panel=REPORTS,
            help="Show size, memory and time; write nothing."),
]  # fmt: skip


def train(
    context: typer.Context,
    paths: Paths = None,
    output: Output = None,
    force: Force = False,
    resume: Resume = False,
    new_corpus: NewCorpus = False,
    init_from: InitFrom = None,
    save_every: SaveEvery = "1m",
    keep_best: KeepBest = True,
    encoding: Encoding = "utf-8",
    newlines: Newlines = "keep",
    unit: Unit = "char",
    min_count: MinCount = 1,
    lines: Lines = False,
    val_fraction: ValFraction = None,
    val_file: ValFile = None,
    cell: Cell = None,
    activation: Activation = None,
    hidden: Hidden = None,
    layers: Layers = None,
    norm: Norm = None,
    dropout: Dropout = None,
    weight_dropout: WeightDropout = None,
    init: Init = None,
    forget_bias: ForgetBias = None,
    epochs: Epochs = None,
    steps: Steps = None,
    time: Time = None,
    patience: Patience = None,
    batch_size: BatchSize = None,
    seq_length: SeqLength = None,
    optimizer: Optimizer = None,
    weight_decay: WeightDecay = None,
    lr: LearningRate = None,
    schedule: Schedule = None,
    warmup: Warmup = None,
    ema: Ema = None,
    grad_clip: GradClip = None,
    clip_mode: ClipMode = None,
    on_divergence: OnDivergence = "rollback",
    seed: Seed = None,
    eval_every: EvalEvery = None,
    log_every: LogEvery = 50,
    preview_every: PreviewEvery = None,
    preview_chars: PreviewChars = 160,
    json: Json = False,
    log_file: LogFile = None,
    dry_run: DryRun = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    color: Color = "auto",
    progress: Progress = "auto",
    threads: Threads = None,
) -> None:
    """Train a network on texts and save it as a checkpoint.

    Prints the checkpoint's path on stdout. Ctrl-C saves and tells how to
    go on.
    """
    common = Common(quiet, verbose, color, progress, threads)
    if not paths:
        _explain(context)
    settings = settings_of(context.params)
    if not common.quiet:
        _announce(settings.sources)
    # Heavy: numpy, and numba with it.
    from charrnn.cli.training_session import Session

    Session(settings, common).execute()


def _explain(context: typer.Context) -> None:
    """Print the help to a person who gave no text, and refuse to guess."""
    if sys.stderr.isatty():
        typer.echo(context.get_help(), err=True)
    msg = "no text to train on"
    raise OptionError(msg, hint="charrnn train FILE..., or - for standard input")


def _announce(sources: tuple[str, ...]) -> None:
    """Say at once that something happens; reading may take a while."""
    names = ", ".join("standard input" if s == "-" else s for s in sources[:3])
    more = f" and {len(sources) - 3} more" if len(sources) > 3 else ""
    shown = "".join(c if c.isprintable() else "?" for c in names)
    with contextlib.suppress(OSError, ValueError):  # nobody listens
        typer.echo(f"charrnn: reading {shown}{more}", err=True)
