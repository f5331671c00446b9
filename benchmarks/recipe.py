"""Variants of the recipe beside it: the same work, several seeds, one text.

Every row changes one thing of what the plan chooses for a run of this length. All
rows multiply the same number of weights, so a wider or deeper network reads fewer
characters; how fast a machine does that, and what else it does meanwhile, changes
nothing. "difference" is the mean over the seeds of a variant's loss less the recipe's
with that seed; "spread" is the recipe's own, highest less lowest.

    python benchmarks/recipe.py TEXT --work 1.8e12 --seeds 3 --record FILE

Work of 1.8e12 is about a minute of two current cores. What the record has is not run
again, so that a search, which takes hours, can be stopped and gone on with.
"""

import argparse
import json
import statistics
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from reporting import Report, cell, new_parser

import charrnn
from charrnn import parameters
from charrnn.config import ModelConfig, TrainConfig
from charrnn.training.plan import Material, make_plan, nominal_speed

#: Options by the names of Python's; what is missing is planned. A share "x" of the
#: peak rate is of the planned one, and the name of a constant is one of parameters.
VARIANTS: dict[str, dict[str, Any]] = {
    "the recipe": {},
    "rate x 0.5": {"lr x": 0.5},
    "rate x 0.7": {"lr x": 0.7},
    "rate x 1.4": {"lr x": 1.4},
    "rate x 2": {"lr x": 2.0},
    "window 32": {"seq_length": 32},
    "window 128": {"seq_length": 128},
    "batch 16": {"batch_size": 16},
    "batch 16, rate x 0.7": {"batch_size": 16, "lr x": 0.7},
    "batch 64": {"batch_size": 64},
    "2 layers": {"layers": 2},
    "2 layers, width x 0.75": {"layers": 2, "hidden x": 0.75},
    "3 layers, width x 0.6": {"layers": 3, "hidden x": 0.6},
    "width x 0.75": {"hidden x": 0.75},
    "width x 1.5": {"hidden x": 1.5},
    "no average": {"ema": 0.0},
    "average 0.995": {"ema": 0.995},
    "weight decay 0.01": {"weight_decay": 0.01},
    "weight decay 0.1": {"weight_decay": 0.1},
    "linear schedule": {"schedule": "linear"},
    "warm-up 0.02": {"warmup": 0.02},
    "warm-up 0.1": {"warmup": 0.1},
    "limit of gradients 0.25": {"grad_clip": 0.25},
    "forget bias 2": {"forget_bias": 2.0},
    "rmsprop": {"optimizer": "rmsprop"},
    "dropout 0.1": {"dropout": 0.1},
    "gru": {"cell": "gru"},
    "gru, rate x 1.8": {"cell": "gru", "lr x": 1.8},
    "rnn": {"cell": "rnn"},
    "rnn, rate x 1.8": {"cell": "rnn", "lr x": 1.8},
    "gru, layer norm": {"cell": "gru", "norm": "layer"},
    "bfloat16": {"precision": "bfloat16"},
    "gru, bfloat16": {"cell": "gru", "precision": "bfloat16"},
    "rnn, bfloat16": {"cell": "rnn", "precision": "bfloat16"},
    "head from full scale": {"HEAD_SCALE": 1.0},
    "head from 0.1": {"HEAD_SCALE": 0.1},
}

#: The text that comes with charrnn stands in for others.
OURS = Path(__file__).parent.parent / "corpora" / "saltmarsh.txt"

#: What a quick run tries.
QUICK = ("the recipe", "batch 16")


@dataclass(frozen=True)
class Row:
    """One variant: its losses on the tail, in nats, by seed."""

    variant: str
    network: str
    characters: int
    losses: tuple[float, ...]
    recipe: tuple[float, ...]  # of the same seeds

    @property
    def difference(self) -> float:
        """The mean of what the variant changes."""
        pairs = zip(self.losses, self.recipe, strict=True)
        return statistics.mean(ours - theirs for ours, theirs in pairs)


COLUMNS = {
    "variant": lambda row: row.variant,
    "network": lambda row: row.network,
    "characters": lambda row: cell(row.characters),
    "loss": lambda row: cell(statistics.mean(row.losses), ".4f"),
    "spread": lambda row: cell(max(row.losses) - min(row.losses), ".4f"),
    "difference": lambda row: cell(row.difference, "+.4f"),
}


@dataclass(frozen=True)
class Setting:
    """A variant on a text, ready to run."""

    options: dict[str, Any]
    constants: dict[str, float]
    network: str
    characters: int

    @classmethod
    def of(
        cls, text: str, changes: dict[str, Any], work: float, width: int
    ) -> "Setting":
        """Work out sizes: so many steps that the work is the same."""
        options = {name: value for name, value in changes.items() if name.islower()}
        constants = {name: changes[name] for name in changes if name.isupper()}
        share = options.pop("hidden x", 1.0)
        of_rate = options.pop("lr x", 1.0)
        options["hidden"] = round(share * width / 16) * 16
        fields = ModelConfig.__dataclass_fields__
        model = {name: options[name] for name in options if name in fields}
        train = {name: options[name] for name in options if name not in fields}
        vocab_size = len(set(text))
        material = Material(round(0.9 * len(text)), vocab_size)
        shape, _ = make_plan(material, model, train, nominal_speed)
        usual = TrainConfig()
        a_step = train.get("batch_size", usual.batch_size)
        a_step *= train.get("seq_length", usual.seq_length)
        steps = max(1, round(work / parameters.multiplied(shape) / a_step))
        options["steps"] = train["steps"] = steps
        _, planned = make_plan(material, model, train, nominal_speed)
        options["lr"] = of_rate * planned.lr
        what = f"{shape.cell} {shape.layers} x {shape.hidden}"
        return cls(options, constants, what, steps * a_step)

    def loss(self, text: str, seed: int, threads: int) -> float:
        """Train, and score the tail."""
        with ExitStack() as changed:
            for name, value in self.constants.items():
                changed.enter_context(mock.patch.object(parameters, name, value))
            *_, ended = charrnn.train(
                charrnn.Text(text), seed=seed, threads=threads, memory=False,
                keep_best=False, eval_every=10**9, **self.options,
            )  # fmt: skip
        if not isinstance(ended, charrnn.Ended) or ended.val_loss is None:
            msg = "the run has not come to its end"
            raise TypeError(msg)
        return ended.val_loss


class Record:
    """Losses that were measured before."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._known: dict[str, float] = {}
        if path is not None and path.exists():
            for line in path.read_text("utf-8").splitlines():
                key, value = json.loads(line)
                self._known[json.dumps(key)] = value

    def loss(self, key: list[Any], setting: Setting, text: str, threads: int) -> float:
        """Look a loss up, or measure it; the last part of a key is the seed."""
        name = json.dumps(key)
        if name not in self._known:
            self._known[name] = setting.loss(text, key[-1], threads)
            if self._path is not None:
                with self._path.open("a", encoding="utf-8") as record:
                    record.write(json.dumps([key, self._known[name]]) + "\n")
        return self._known[name]


def run(report: Report, options: argparse.Namespace) -> None:
    """Go through the variants, each with every seed."""
    text = options.text.read_text("utf-8")
    names = list(VARIANTS)
    if options.quick:
        text, names, options.seeds = text[:3000], list(QUICK), 1
        options.work, options.width = 1e8, 16
    if options.only:
        names = ["the recipe", *options.only]
    record = Record(options.record)
    title = (
        f"{options.text.stem}: loss of the tail at {options.work:.3g} of work, in nats"
    )
    add = report.table(title, COLUMNS)
    recipe: tuple[float, ...] = ()
    for name in names:
        setting = Setting.of(text, VARIANTS[name], options.work, options.width)
        losses = tuple(
            record.loss(
                [options.text.stem, options.work, options.width, name, seed],
                setting, text, options.threads,
            )
            for seed in range(options.seeds)
        )  # fmt: skip
        recipe = recipe or losses
        add(Row(name, setting.network, setting.characters, losses, recipe))


def main() -> None:
    """Try the variants."""
    parser = new_parser(__doc__)
    parser.add_argument("text", type=Path, nargs="?", default=OURS, metavar="TEXT")
    parser.add_argument("--work", type=float, default=1.8e12, metavar="N")
    parser.add_argument("--width", type=int, default=256, metavar="N")
    parser.add_argument("--seeds", type=int, default=3, metavar="N")
    parser.add_argument("--record", type=Path, metavar="FILE", help="kept losses")
    parser.add_argument("--only", nargs="*", choices=VARIANTS, metavar="VARIANT")
    options = parser.parse_args()
    report = Report(options)
    run(report, options)
    report.write()


if __name__ == "__main__":
    main()
