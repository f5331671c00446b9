"""The option table: what stands at a field is all that anybody needs to know."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import typer

from charrnn.cli.options import takes
from charrnn.cli.reference import COMMANDS, tables
from charrnn.cli.spelling import SHORT
from charrnn.config import ModelConfig, RunConfig, SampleConfig, TextConfig, TrainConfig
from charrnn.durations import Every
from charrnn.errors import OptionError, field
from charrnn.options import (
    KEY,
    Option,
    OptionTable,
    configure,
    entries_of,
    option,
    read,
)
from charrnn.training.resume import CHANGEABLE

TOYS = "Toys"


@dataclass(frozen=True, kw_only=True)
class Toy(TrainConfig):
    """A run with options that the package does not know."""

    shine: float = option(
        0.5,
        Option(
            f"How much it shines, beside {field('batch_size')}.",
            TOYS,
            low=0,
            high=1,
            changeable=True,
        ),
    )
    shape: Literal["cube", "ball"] = option("ball", Option("What it is.", TOYS))


TOY_TABLE = OptionTable(kinds=(RunConfig, TextConfig, Toy))


@pytest.fixture
def toy() -> Callable[..., Toy]:
    """Call a command that takes the toy's options."""
    app = typer.Typer()
    made: list[Toy] = []

    @app.command()
    @takes(TOY_TABLE)
    def command(**options: Any) -> None:
        made.append(configure(Toy, options))

    def call(*arguments: str) -> Toy:
        run: Any = typer.main.get_command(app)
        run.main(list(arguments), standalone_mode=False)
        return made[-1]

    call.command = typer.main.get_command(app)  # type: ignore[attr-defined]
    return call


def test_a_new_field_is_an_option_of_the_command(toy: Callable[..., Toy]) -> None:
    assert toy().shine == 0.5
    made = toy("--shine", "0.25", "--shape", "cube", "--time", "1m30s", "--lines")
    assert (made.shine, made.shape, made.time, made.lines) == (0.25, "cube", 90, True)


def test_a_new_field_has_its_help(toy: Any) -> None:
    (shine,) = (p for p in toy.command.params if p.name == "shine")
    assert shine.rich_help_panel == TOYS
    assert shine.metavar == "F"
    assert shine.help == r"How much it shines, beside --batch-size. \[default: 0.5]"


def test_a_new_field_checks_itself(toy: Callable[..., Toy]) -> None:
    with pytest.raises(OptionError, match="shine must be at least 0 and at most 1"):
        toy("--shine", "2")
    with pytest.raises(OptionError) as caught:
        Toy(shape="bal")  # type: ignore[arg-type]
    assert str(caught.value) == "shape is 'bal', not one of cube, ball"
    assert (caught.value.field, caught.value.hint) == ("shape", "is ball meant?")


def test_a_new_field_is_documented() -> None:
    lines = list(tables(TOY_TABLE))
    at = lines.index(f"### {TOYS}")
    assert lines[at + 4 : at + 6] == [
        "| `--shine` | `F` | 0.5 | How much it shines, beside `--batch-size`. "
        "`--resume` may change it. |",
        r"| `--shape` | `cube\|ball` | ball | What it is. |",
    ]


def test_a_new_field_may_be_given_by_name() -> None:
    TOY_TABLE.refuse_unknown(["shine", "lines", "output"])
    with pytest.raises(OptionError) as caught:
        TOY_TABLE.refuse_unknown(["shin"])
    assert str(caught.value) == "there is no option shin"
    assert (caught.value.field, caught.value.hint) == ("shin", "is shine meant?")


def test_a_misspelt_part_of_a_record_is_refused() -> None:
    with pytest.raises(TypeError, match="metawar"):
        Option("Help.", TOYS, metawar="N")  # type: ignore[call-arg]


def test_options_of_one_command_have_different_names() -> None:
    with pytest.raises(ValueError, match="two options are called"):
        _ = OptionTable(kinds=(SampleConfig, TrainConfig)).entries


def test_the_order_of_help() -> None:
    """By group, then as declared, unless an option stands behind another."""
    names = [entry.name for entry in COMMANDS["train"].entries]
    assert names.index("weight_decay") == names.index("optimizer") + 1
    assert names.index("val_file") == names.index("val_fraction") + 1
    groups = [entry.record.group for entry in COMMANDS["train"].entries]
    assert tuple(dict.fromkeys(groups)) == COMMANDS["train"].groups


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        ("hidden", "8", 8),
        ("hidden", np.int64(8), 8),
        ("lr", "1e-3", 0.001),
        ("lr", 1, 1.0),
        ("lr", np.float32(0.5), 0.5),
        ("time", "60s", 60.0),
        ("time", 60, 60.0),
        ("time", "1h30m", 5400.0),
        ("eval_every", 500, Every(steps=500)),
        ("eval_every", "10m", Every(seconds=600)),
        ("eval_every", Every(seconds=5), Every(seconds=5)),
        ("init_from", "m.npz", Path("m.npz")),
        ("init_from", Path("m.npz"), Path("m.npz")),
        ("force", True, True),
        ("stop", "ab", ("ab",)),
        ("stop", ["a", "b"], ("a", "b")),
        ("logit_bias", {"e": -1.5}, (("e", -1.5),)),
        ("logit_bias", ["e=-1.5", "z=-inf"], (("e", -1.5), ("z", -np.inf))),
        ("logit_bias", "==2", (("=", 2.0),)),
        ("logit_bias", [("e", 2)], (("e", 2.0),)),
        ("unit", [3], (3,)),
        ("unit", 3, (3,)),
    ],
)
def test_values_of_python_and_of_the_command_line(
    name: str, given: Any, value: Any
) -> None:
    command = {"stop": "sample", "logit_bias": "sample", "unit": "inspect"}
    entries = COMMANDS[command.get(name, "train")].entries
    (entry,) = (entry for entry in entries if entry.name == name)
    found = entry.read(given)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"batch_size": "many"}, "batch_size must be a whole number, not 'many'"),
        ({"batch_size": 8.5}, "batch_size must be a whole number, not 8.5"),
        ({"batch_size": True}, "batch_size must be a whole number, not True"),
        ({"batch_size": "9" * 5000}, "batch_size must be a whole number, not '999"),
        ({"lr": "fast"}, "lr must be a number, not 'fast'"),
        ({"lr": [1]}, r"lr must be a number, not \[1\]"),
        ({"lines": "yes"}, "lines must be True or False, not 'yes'"),
        ({"optimizer": 3}, "optimizer must be a text, not 3"),
        ({"time": "60"}, "time is '60', which is not a duration"),
        ({"time": True}, "time is True, which is not a duration"),
        ({"eval_every": 2.5}, "eval_every is '2.5', which is not a duration"),
    ],
)
def test_what_cannot_be_read_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message) as caught:
        configure(TrainConfig, given)
    assert caught.value.field == next(iter(given))
    assert caught.value.hint
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("bias", ["e", "=1", "e=", "e=nan", 3, ("e",), ("e", None)])
def test_what_is_no_bias_is_refused(bias: Any) -> None:
    with pytest.raises(OptionError, match=r"^logit_bias .* is not CHAR=B"):
        read(SampleConfig, {"logit_bias": [bias]})


def test_what_was_not_given_is_left_to_the_default() -> None:
    assert read(TrainConfig, {"lr": None, "cell": "gru", "seed": 3}) == {"seed": 3}


@pytest.mark.parametrize("kind", [ModelConfig, TrainConfig, SampleConfig, TextConfig])
def test_every_limit_has_an_effect(kind: Any) -> None:
    others = {"vocab_size": 1} if kind is ModelConfig else {}
    limited = [e for e in entries_of(kind) if e.record.low > -np.inf]
    for entry in limited:
        low = entry.record.low
        with pytest.raises(OptionError, match=f"^{entry.name} must be"):
            kind(**others, **{entry.name: low - max(1, abs(low))})
    assert limited


def test_what_a_resumed_run_may_change() -> None:
    assert set(CHANGEABLE) == {
        "epochs", "steps", "time", "patience", "lr", "schedule", "warmup",
        "weight_decay", "grad_clip", "clip_mode", "dropout", "weight_dropout",
        "eval_every", "precision",
    }  # fmt: skip


def test_short_spellings_in_messages_are_those_of_the_options() -> None:
    for name, short in SHORT.items():
        found = {
            f"-{entry.record.short}"
            for options in COMMANDS.values()
            for entry in options.entries
            if entry.name == name
        }
        assert found == {short}


def test_fields_without_a_record_are_no_options() -> None:
    assert "vocab_size" not in [e.name for e in COMMANDS["train"].entries]
    assert all(KEY in f.metadata for f in dataclasses.fields(TrainConfig))


@dataclass(frozen=True, kw_only=True)
class Partners:
    """An option that needs one of two others, and one whose partner is elsewhere."""

    amount: int = option(5, Option("How many.", "G", needs=("text", "file")))
    text: str | None = option(None, Option("In a text.", "G"))
    file: tuple[str, ...] = option((), Option("Or in files.", "G"))
    lonely: bool = option(False, Option("Needs what no table has.", "G", needs=("x",)))


@pytest.mark.parametrize(
    ("given", "refused"),
    [
        ({"amount": 3}, True),
        ({"amount": "3", "text": None, "file": []}, True),
        ({"amount": np.int64(3)}, True),
        ({"amount": 3, "text": ""}, False),
        ({"amount": 3, "file": ["a"]}, False),
        ({"amount": "5"}, False),  # the default asks for nothing
        ({"amount": None, "lonely": True}, False),
        ({"text": "a"}, False),
    ],
)
def test_an_option_that_does_nothing_alone(
    given: dict[str, Any], refused: bool
) -> None:
    table = OptionTable((Partners,))
    if not refused:
        table.refuse_alone(given)
        return
    with pytest.raises(OptionError, match="does nothing without text or file") as found:
        table.refuse_alone(given)
    assert found.value.field == "amount"
