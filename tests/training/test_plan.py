"""What a run uses where nothing is said."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn import parameters
from charrnn.config import (
    MAX_HIDDEN,
    MAX_LAYERS,
    PATIENCE,
    SHORT_WINDOW,
    CellName,
    ModelConfig,
    TrainConfig,
)
from charrnn.training import plan
from charrnn.training.plan import (
    Material,
    dropout,
    dropout_by_passes,
    make_plan,
    peak_rate,
)

pytestmark = pytest.mark.small

Cells = st.sampled_from(["rnn", "gru", "lstm"])

#: Weights multiplied a second.
SPEED = 5e10


def planned(
    characters: int,
    *,
    vocab_size: int = 65,
    lines: int | None = None,
    model: dict[str, Any] | None = None,
    **train: Any,
) -> tuple[ModelConfig, TrainConfig]:
    """Plan a run on a text of so many characters, at a fixed speed."""
    material = Material(characters, vocab_size, lines)
    return make_plan(material, model or {}, train, lambda cell: SPEED)


def read(shape: ModelConfig, config: TrainConfig, characters: int) -> float:
    """Characters that a planned run reads."""
    counts = []
    if config.epochs is not None:
        counts.append(config.epochs * characters)
    if config.steps is not None:
        counts.append(config.steps * config.batch_size * config.seq_length)
    if config.time is not None:
        counts.append(config.time * SPEED / parameters.multiplied(shape))
    return min(counts)


@given(
    cell=Cells,
    hidden=st.integers(1, MAX_HIDDEN - 1),
    layers=st.integers(1, MAX_LAYERS - 1),
)
def test_larger_networks_take_smaller_steps(
    cell: CellName, hidden: int, layers: int
) -> None:
    def rate(hidden: int, layers: int) -> float:
        config = ModelConfig(vocab_size=9, cell=cell, hidden=hidden, layers=layers)
        return peak_rate(config)

    assert 0 < rate(hidden + 1, layers) <= rate(hidden, layers)
    assert 0 < rate(hidden, layers + 1) <= rate(hidden, layers)
    TrainConfig(lr=rate(hidden, layers))


@given(cell=Cells, steps=st.floats(1e-3, 1e9), more=st.floats(1, 1e6))
def test_shorter_runs_take_larger_steps(
    cell: CellName, steps: float, more: float
) -> None:
    """Up to a limit, or the shortest ones would be thrown about."""
    config = ModelConfig(vocab_size=9, cell=cell)
    usual, short, long = (peak_rate(config, n) for n in (3000, steps, more * steps))

    assert usual <= long <= short <= 1.8 * usual
    assert peak_rate(config, 1500) > 1.4 * usual


def test_rectified_cells_take_the_smallest_steps() -> None:
    rates = [
        peak_rate(ModelConfig(vocab_size=9, cell="rnn", activation=name))
        for name in ("tanh", "sigmoid", "relu", "leaky-relu")
    ]

    assert rates[0] == rates[1] > rates[2] == rates[3]


@given(characters=st.integers(1, 10**10), time=st.floats(0.1, 1e6))
def test_more_time_never_makes_a_smaller_network(characters: int, time: float) -> None:
    less, more = (
        planned(characters, time=seconds)[0].hidden for seconds in (time, 2 * time)
    )

    assert plan.WIDTHS[0] <= less <= more <= plan.WIDTHS[-1]


@given(
    characters=st.integers(1, 10**10),
    vocab_size=st.integers(1, 10_000),
    time=st.one_of(st.none(), st.floats(0.1, 1e6)),
)
def test_a_network_reads_enough_for_its_size(
    characters: int, vocab_size: int, time: float | None
) -> None:
    """Unless it is the smallest that a plan knows."""
    shape, config = planned(characters, vocab_size=vocab_size, time=time)
    needed = plan.CHARACTERS_PER_WEIGHT * parameters.recurrent(shape)

    assert read(shape, config, characters) >= 0.99 * needed or (
        shape.hidden == plan.WIDTHS[0]
    )


@given(characters=st.integers(1, 10**10))
def test_a_run_without_limits_has_a_bounded_length(characters: int) -> None:
    """In work, but for texts so long that reading them once is more."""
    shape, config = planned(characters)
    assert config.epochs is not None
    work = config.epochs * characters * parameters.multiplied(shape)

    assert (config.time, config.steps) == (None, None)
    assert config.epochs <= plan.MOST_EPOCHS
    assert work <= 1.01 * plan.DEFAULT_WORK or config.epochs == 1
    assert config.patience == PATIENCE


@pytest.mark.parametrize(
    "given",
    [
        {"epochs": 3.0},
        {"steps": 100},
        {"epochs": 3.0, "time": 60.0},
        {"time": 60.0, "steps": 7},
        {"time": 60.0},
    ],
)
def test_limits_stand(given: dict[str, Any]) -> None:
    """And patience is only for runs whose passes are left open."""
    _, config = planned(1_000_000, **given)
    limits = {name: getattr(config, name) for name in ("epochs", "steps", "time")}

    assert limits == {"epochs": None, "steps": None, "time": None} | given
    opened = "epochs" not in given and "steps" not in given
    assert config.patience == (PATIENCE if opened else 0)


def test_much_time_for_a_short_text_is_not_all_used() -> None:
    shape, config = planned(18_000, time=600.0)

    assert (config.time, config.epochs) == (600.0, plan.MOST_EPOCHS)
    assert shape.hidden < 256


EVERY_OPTION: dict[str, Any] = {
    "dropout": 0.11,
    "weight_dropout": 0.12,
    "lr": 0.013,
    "ema": 0.14,
    "patience": 15,
    "batch_size": 16,
    "seq_length": 17,
    "epochs": 18.0,
}


@pytest.mark.parametrize("name", EVERY_OPTION)
@pytest.mark.parametrize("lines", [None, 4000])
def test_what_is_given_stands(name: str, lines: int | None) -> None:
    """Zero as well as any other value."""
    for value in (EVERY_OPTION[name], 0.0):
        if value == 0 and name in ("lr", "batch_size", "seq_length", "epochs"):
            continue
        given: dict[str, Any] = {name: value}
        _, config = planned(40_000, lines=lines, **given)
        assert getattr(config, name) == value


@pytest.mark.parametrize(
    "model",
    [
        {"cell": "lstm"},
        {"cell": "rnn", "activation": "relu"},
        {"hidden": 33},
        {"layers": 3, "norm": "layer"},
        {"cell": "lstm", "norm": "none"},
    ],
)
def test_the_network_that_is_given_stands(model: dict[str, Any]) -> None:
    shape, _ = planned(1_000_000, model=model)

    assert {name: getattr(shape, name) for name in model} == model


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_an_lstm_is_normalized(cell: CellName) -> None:
    """It gains a lot by it, the others nothing."""
    shape, _ = planned(1_000_000, model={"cell": cell})

    assert shape.norm == ("layer" if cell == "lstm" else "none")
    assert planned(100, model={"cell": cell, "hidden": 1})[0].norm == "none"


def test_where_no_cell_is_named_it_is_as_if_it_was() -> None:
    """Or the default would not be what was chosen by measuring."""
    assert planned(1_000_000) == planned(1_000_000, model={"cell": plan.CELL})


def test_speed_is_asked_for_a_limit_in_time_only() -> None:
    def refuse(cell: CellName) -> float:
        raise AssertionError(cell)

    for limits in ({}, {"epochs": 2.0}, {"steps": 9}):
        make_plan(Material(1000, 9), {}, limits, refuse)
    with pytest.raises(AssertionError, match="lstm"):
        make_plan(Material(1000, 9), {"cell": "lstm"}, {"time": 1.0}, refuse)


def test_short_lines_have_short_windows() -> None:
    of_names, of_verse = (planned(80_000, lines=n)[1] for n in (10_000, 2_000))

    assert (of_names.batch_size, of_names.seq_length) == (64, 32)
    assert (of_verse.batch_size, of_verse.seq_length) == (32, 64)


@pytest.mark.parametrize(("steps", "rows"), [(32, 64), (64, 32), (96, 21), (512, 8)])
def test_windows_of_pairs_have_as_many_characters(steps: int, rows: int) -> None:
    material = Material(80_000, 30, 4_000, steps)
    config = make_plan(material, {}, {"steps": 9}, plan.nominal_speed)[1]

    assert (config.batch_size, config.seq_length) == (rows, steps)


def test_pairs_take_little_dropout() -> None:
    """And none of recurrent weights, however often they are read."""
    found = dropout(1000.0, 10**6, Material(80_000, 30, 4_000, 32))

    assert found == {"dropout": plan.MOST_OF_PAIRS, "weight_dropout": 0.0}


@given(passes=st.floats(1e-3, 1e6))
def test_the_more_passes_the_more_dropout(passes: float) -> None:
    less, more = dropout_by_passes(passes), dropout_by_passes(2 * passes)

    for name in less:
        assert 0 <= less[name] <= more[name] <= plan.MOST_DROPOUT
    assert max(dropout_by_passes(1.0).values()) == 0


@given(
    passes=st.floats(1e-3, 1e6),
    weights=st.integers(1, 10**9),
    characters=st.integers(1, 10**9),
    lines=st.none() | st.integers(1, 10**6),
)
def test_the_larger_the_network_the_more_dropout(
    passes: float, weights: int, characters: int, lines: int | None
) -> None:
    """Up to that for the passes; none where nothing is learned by heart."""
    material = Material(characters, 9, lines)
    full, less = dropout_by_passes(passes), dropout(passes, weights, material)
    more = dropout(passes, 2 * weights, material)

    for name in full:
        assert 0 <= less[name] <= more[name] <= full[name]
    few, _ = plan.by_heart(material)
    if weights <= few * characters:
        assert not any(less.values())


def test_a_network_far_too_small_for_its_text_is_not_dropped() -> None:
    """However often it reads the text: dropout once cost it 0.17 nats."""
    for cell in ("rnn", "gru", "lstm"):
        model: dict[str, Any] = {"cell": cell, "hidden": 64}
        _, config = planned(2_600_000, model=model, epochs=15.0)
        assert (config.dropout, config.weight_dropout) == (0, 0)
    _, config = planned(20_000, model={"hidden": 256}, epochs=15.0)
    assert config.dropout > 0.1


def test_weights_that_hold_an_input_are_not_dropped() -> None:
    """Those of pairs; their outputs are dropped as those of other texts, if any."""
    budget = {"steps": 1500}
    pairs, lines = (
        make_plan(Material(80_000, 30, 3_000, window), {}, budget, plan.nominal_speed)
        for window in (64, None)
    )

    assert lines[1].weight_dropout > 0
    assert pairs[1].weight_dropout == 0
    assert pairs[1].dropout > 0.1
    given = make_plan(
        Material(80_000, 30, 3_000, 64), {}, {"weight_dropout": 0.1}, plan.nominal_speed
    )
    assert given[1].weight_dropout == 0.1


def test_a_short_run_has_short_windows_and_so_more_steps() -> None:
    """Three seconds are one; five minutes are not."""
    shape, config = planned(1_000_000, time=3.0)
    _, longer = planned(1_000_000, time=300.0)

    usual = config.batch_size * TrainConfig.seq_length
    assert read(shape, config, 1_000_000) < plan.SHORT_RUN * usual
    assert (config.seq_length, longer.seq_length) == (32, 64)
    # The rate is that of the steps it has now.
    steps = read(shape, config, 1_000_000) / (config.batch_size * config.seq_length)
    assert config.lr == pytest.approx(peak_rate(shape, steps))


@pytest.mark.parametrize(
    ("characters", "given"),
    [
        (1_000_000, {"seq_length": 64}),  # it stands
        (1_000_000, {"steps": 200}),  # so many steps read as much as ever
        (1_000_000, {"epochs": 0.1}),
        (2_000, {}),  # its windows are cut to fit anyway
    ],
)
def test_windows_are_as_long_as_ever(characters: int, given: dict[str, Any]) -> None:
    limits = given if "epochs" in given else {"time": 1.0, **given}

    _, config = planned(characters, **limits)

    assert config.seq_length == TrainConfig.seq_length


def test_windows_of_short_lines_are_not_halved_twice() -> None:
    _, config = planned(1_000_000, lines=100_000, time=1.0)

    assert config.seq_length == SHORT_WINDOW
