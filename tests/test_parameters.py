"""The layout covers the buffer once, and first values have the promised spread."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn import parameters
from charrnn.arrays import Floats
from charrnn.cells import cell_of, names
from charrnn.config import (
    ActivationName,
    CellName,
    InitName,
    ModelConfig,
    NormName,
)
from charrnn.parameters import Parameters, Role

INITS: list[InitName] = ["auto", "orthogonal", "xavier", "he", "uniform"]

configs = st.builds(
    ModelConfig,
    vocab_size=st.integers(1, 9),
    cell=st.sampled_from(names()),
    hidden=st.integers(1, 7),
    layers=st.integers(1, 4),
    lags=st.sampled_from([(1,), (1, 2, 64)]),
)


def initial(
    config: ModelConfig,
    init: InitName = "auto",
    forget_bias: float = 1.0,
    seed: int = 0,
    dtype: type[np.floating[Any]] = np.float64,
) -> Floats:
    """Make the buffer of a new model; what is not written stays NaN."""
    flat: Floats = np.full(parameters.size(config), np.nan, dtype)
    rng = np.random.default_rng(seed)
    parameters.initialize(flat, config, init, forget_bias, rng)
    return flat


def blocks(matrix: Floats, hidden: int) -> Floats:
    """Separate the gates of a (GH, H) matrix."""
    return matrix.reshape(-1, hidden, hidden)


@given(configs)
def test_size_follows_the_formula(config: ModelConfig) -> None:
    """Sum of matrices and biases, written out as in a textbook."""
    V, H, L = config.vocab_size, config.hidden, config.layers
    G = len(cell_of(config.cell).gates)
    matrices = (
        V * G * H + L * G * H * len(config.lags) * H + (L - 1) * G * H * H + V * H
    )
    biases = L * G * H + V + (L * H if config.cell == "gru" else 0)

    assert parameters.matrix_size(config) == matrices
    assert parameters.size(config) == matrices + biases


@given(configs)
def test_views_cover_the_buffer_exactly_once_in_order(config: ModelConfig) -> None:
    """Counting through the views counts through the buffer."""
    flat = np.arange(parameters.size(config), dtype=np.float64)

    views = Parameters(flat, config).by_name

    joined = np.concatenate([view.ravel() for view in views.values()])
    np.testing.assert_array_equal(joined, flat)
    assert {name: view.shape for name, view in views.items()} == (
        parameters.shapes(config)
    )


@given(configs)
def test_views_share_the_buffers_memory(config: ModelConfig) -> None:
    flat = np.zeros(parameters.size(config), np.float32)

    for view in Parameters(flat, config).by_name.values():
        view += 1

    assert (flat == 1).all()


@given(configs)
def test_matrices_come_before_biases(config: ModelConfig) -> None:
    ranks = [len(shape) for shape in parameters.shapes(config).values()]

    assert ranks == sorted(ranks, reverse=True)
    assert set(ranks) == {1, 2}


#: What a file's bytes depend on: moments are stored as one flat array.
ORDERS = {
    "rnn": "Wx Wh, Wx Wh, Wy, b, b, by",
    "gru": "Wx Wh, Wx Wh, Wy, b bhn, b bhn, by",
    "lstm": "Wx Wh, Wx Wh, Wy, b, b, by",
}


@pytest.mark.parametrize("norm", ["none", "layer", "batch"])
@pytest.mark.parametrize("cell", names())
def test_the_order_of_storage_never_changes(cell: CellName, norm: NormName) -> None:
    """Or flat arrays in the files of earlier releases would be misread."""
    config = ModelConfig(vocab_size=7, cell=cell, hidden=3, layers=2, norm=norm)
    order = ORDERS[cell]
    if norm != "none":
        order = order.replace(", b", " gain shift, b").replace("Wy gain shift", "Wy")
    prefixes = ["layer0", "layer1", "head", "layer0", "layer1", "head"]
    expected = [
        f"{prefix}.{name}"
        for prefix, part in zip(prefixes, order.split(", "), strict=True)
        for name in part.split()
    ]

    assert [*parameters.shapes(config)] == expected
    G = len(cell_of(cell).gates)
    shape = {
        "Wh": (3 * G, 3), "Wx": (3 * G, 3), "Wy": (7, 3), "b": (3 * G,), "by": (7,)
    }  # fmt: skip
    for name, found in parameters.shapes(config).items():
        own = shape.get(name.partition(".")[2], (3,))
        assert found == ((7, 3 * G) if name == "layer0.Wx" else own), name


@pytest.mark.parametrize("norm", ["none", "layer"])
@pytest.mark.parametrize("cell", names())
def test_roles_say_what_decays_and_what_belongs_to_characters(
    cell: CellName, norm: NormName
) -> None:
    """Matrices decay; what is looked up or scored has a row a character."""
    config = ModelConfig(vocab_size=7, cell=cell, hidden=3, layers=2, norm=norm)
    found = {p.name: p for p in parameters.table(config)}

    assert {n for n, p in found.items() if p.decays} == {
        *("layer0.Wx", "layer0.Wh", "layer1.Wx", "layer1.Wh", "head.Wy"),
    }
    assert {n for n, p in found.items() if p.by_character} == {
        *("layer0.Wx", "head.Wy", "head.by"),
    }
    for name, p in found.items():
        assert p.by_character == (p.shape[0] == 7), name
        assert p.layer == {"layer0": 0, "layer1": 1}.get(name.partition(".")[0])
        assert p.size == math.prod(p.shape)
    roles = {p.role for p in found.values()}
    assert (Role.OWN in roles) == (cell == "gru")
    assert (Role.GAIN in roles) == (Role.SHIFT in roles) == (norm != "none")
    work = found["layer0.Wh"].size + found["layer1.Wh"].size + found["layer1.Wx"].size
    assert parameters.recurrent(config) == work
    assert parameters.multiplied(config) == work + found["head.Wy"].size


@pytest.mark.parametrize("norm", ["none", "layer"])
@pytest.mark.parametrize("cell", names())
def test_layers_are_views_of_the_arrays_by_name(cell: CellName, norm: NormName) -> None:
    """A cell's own parameters are one vector of its layer; absent ones are empty."""
    config = ModelConfig(vocab_size=7, cell=cell, hidden=3, layers=2, norm=norm)
    flat = np.arange(parameters.size(config), dtype=np.float64)
    found = Parameters(flat, config)

    for k, layer in enumerate(found.layers):
        own = [f"layer{k}.{p.name}" for p in cell_of(cell).own]
        joined = [found.by_name[name] for name in own] or [flat[:0]]
        np.testing.assert_array_equal(layer.own, np.concatenate(joined))
        assert np.shares_memory(layer.own, flat) == bool(own)
        for name in ("Wx", "Wh", "b", "gain", "shift"):
            named = found.by_name.get(f"layer{k}.{name}", flat[:0])
            view = getattr(layer, name)
            np.testing.assert_array_equal(view, named)
            assert np.shares_memory(view, flat) == bool(view.size)
    found.layers[1].own[:] = -1
    found.Wy[...] = found.by[...] = -2
    lost = sum(p.size for p in parameters.table(config) if p.role is Role.OWN) // 2
    assert (flat == -1).sum() == lost
    assert (flat == -2).sum() == 7 * 3 + 7


def test_names_and_shapes_of_a_stacked_gru() -> None:
    config = ModelConfig(vocab_size=5, cell="gru", hidden=2, layers=2)

    assert list(parameters.shapes(config).items()) == [
        ("layer0.Wx", (5, 6)),
        ("layer0.Wh", (6, 2)),
        ("layer1.Wx", (6, 2)),
        ("layer1.Wh", (6, 2)),
        ("head.Wy", (5, 2)),
        ("layer0.b", (6,)),
        ("layer0.bhn", (2,)),
        ("layer1.b", (6,)),
        ("layer1.bhn", (2,)),
        ("head.by", (5,)),
    ]


@pytest.mark.parametrize("flat", [np.zeros(3), np.zeros((1, 24)), np.zeros(48)[::2]])
def test_views_refuse_a_buffer_that_does_not_fit(flat: Floats) -> None:
    """Too short, of two dimensions, or not contiguous."""
    config = ModelConfig(vocab_size=3, cell="rnn", hidden=2)
    assert parameters.size(config) == 6 + 4 + 6 + 2 + 3

    with pytest.raises(ValueError, match="contiguous of shape"):
        Parameters(flat, config)


@pytest.mark.parametrize("init", ["auto", "orthogonal"])
@pytest.mark.parametrize("cell", names())
def test_every_recurrent_gate_is_orthogonal(cell: CellName, init: InitName) -> None:
    """Each block keeps lengths: all its singular values are 1."""
    config = ModelConfig(vocab_size=5, cell=cell, hidden=16, layers=2)
    views = Parameters(initial(config, init), config).by_name

    for layer in range(2):
        for block in blocks(views[f"layer{layer}.Wh"], 16):
            np.testing.assert_allclose(block @ block.T, np.eye(16), atol=1e-12)


@pytest.mark.parametrize("init", INITS)
@pytest.mark.parametrize("cell", names())
def test_further_lags_begin_like_the_first_but_small(
    cell: CellName, init: InitName
) -> None:
    """The lag 1 of the first layer has the very values that it has alone."""
    config = ModelConfig(vocab_size=5, cell=cell, hidden=16, lags=(1, 3, 7))
    Wh = Parameters(initial(config, init), config).by_name["layer0.Wh"]
    alone = replace(config, lags=(1,))
    by_lag = [blocks(np.ascontiguousarray(w), 16) for w in np.split(Wh, 3, axis=1)]
    first = Parameters(initial(alone, init), alone).by_name["layer0.Wh"]

    np.testing.assert_array_equal(by_lag[0], blocks(first, 16))
    small = parameters.FURTHER_SCALE
    for further in by_lag[1:]:
        assert further.std() == pytest.approx(small * first.std(), rel=0.2)
        assert np.abs(further - small * by_lag[0]).max() > 0
    if init in ("auto", "orthogonal"):
        for block in [*by_lag[1], *by_lag[2]]:
            np.testing.assert_allclose(
                block @ block.T, small**2 * np.eye(16), atol=1e-12
            )


def test_the_state_has_the_past_that_lags_need() -> None:
    """Beside the cell's own arrays: h as far back as the largest of them reaches."""
    for cell, kinds in (("rnn", 1), ("gru", 1), ("lstm", 2)):
        config = ModelConfig(vocab_size=5, cell=cell, hidden=4, layers=3)
        assert parameters.state_shape(config, 7) == (3, kinds, 7, 4)
        lagged = replace(config, lags=(1, 2, 9))
        assert parameters.state_shape(lagged, 7) == (3, kinds + 8, 7, 4)


def test_orthogonal_gates_differ_from_one_another() -> None:
    config = ModelConfig(vocab_size=5, cell="lstm", hidden=8)
    gates = blocks(Parameters(initial(config), config).by_name["layer0.Wh"], 8)

    for n in range(1, 4):
        assert np.abs(gates[0] - gates[n]).max() > 0.1


def test_orthogonal_matrices_favor_no_sign() -> None:
    """Without the sign rule QR makes the first entry negative almost always."""
    config = ModelConfig(vocab_size=1, cell="rnn", hidden=2)
    first = [
        Parameters(initial(config, seed=seed), config).by_name["layer0.Wh"][0, 0]
        for seed in range(100)
    ]

    assert 30 < sum(value > 0 for value in first) < 70


@pytest.mark.parametrize("activation", ["relu", "leaky-relu"])
def test_rectified_cells_start_near_the_identity(activation: ActivationName) -> None:
    config = ModelConfig(vocab_size=5, cell="rnn", activation=activation, hidden=4)
    Wh = Parameters(initial(config), config).by_name["layer0.Wh"]

    np.testing.assert_array_equal(Wh, parameters.IDENTITY_SCALE * np.eye(4))


def expected_deviation(init: InitName, name: str, V: int, H: int) -> float:
    """Work out a matrix's standard deviation as the papers have it."""
    fan_in, fan_out = {"layer0.Wx": (V, H), "head.Wy": (H, V)}.get(name, (H, H))
    if init == "uniform":
        return parameters.UNIFORM_BOUND / math.sqrt(3)
    if init == "he":
        return math.sqrt(2 / fan_in)
    if "Wx" in name and init == "auto":
        return 1 / math.sqrt(H)
    if "Wh" in name and init != "xavier":
        return 1 / math.sqrt(H)  # rows of length 1
    return math.sqrt(2 / (fan_in + fan_out))


@pytest.mark.parametrize("init", INITS)
@pytest.mark.parametrize("cell", names())
def test_spread_of_every_matrix(cell: CellName, init: InitName) -> None:
    """Mean zero and the rule's standard deviation, within sampling error."""
    V, H = 90, 48
    config = ModelConfig(vocab_size=V, cell=cell, hidden=H, layers=2)
    views = Parameters(initial(config, init), config).by_name

    for name, view in views.items():
        if view.ndim == 2:
            deviation = expected_deviation(init, name, V, H)
            assert view.std() == pytest.approx(deviation, rel=0.06), name
            assert abs(view.mean()) < 5 * deviation / math.sqrt(view.size), name


@pytest.mark.parametrize("init", INITS)
@pytest.mark.parametrize("norm", ["layer", "batch"])
def test_a_head_behind_a_norm_begins_small(init: InitName, norm: NormName) -> None:
    """By "auto" alone, and nothing else begins in another way."""
    plain = ModelConfig(vocab_size=90, cell="lstm", hidden=48)
    normed = replace(plain, norm=norm)
    before = Parameters(initial(plain, init), plain).by_name
    found = Parameters(initial(normed, init), normed).by_name

    for name, view in before.items():
        scale = 0.3 if (init, name) == ("auto", "head.Wy") else 1.0
        np.testing.assert_allclose(found[name], scale * view, 1e-6)


@pytest.mark.parametrize("init", ["auto", "xavier", "uniform"])
def test_bounded_rules_stay_within_their_bounds(init: InitName) -> None:
    """Uniform draws reach sqrt(3) deviations and no further."""
    config = ModelConfig(vocab_size=90, cell="gru", hidden=48)
    Wx = Parameters(initial(config, init), config).by_name["layer0.Wx"]
    bound = math.sqrt(3) * expected_deviation(init, "layer0.Wx", 90, 48)

    assert 0.99 * bound < np.abs(Wx).max() <= bound


@pytest.mark.parametrize("init", INITS)
@pytest.mark.parametrize("cell", names())
def test_biases_are_zero_but_the_forget_gates(cell: CellName, init: InitName) -> None:
    config = ModelConfig(vocab_size=5, cell=cell, hidden=3, layers=2)
    views = Parameters(initial(config, init, forget_bias=1.5), config).by_name
    forget = np.repeat([0.0, 1.5, 0.0, 0.0], 3)

    for name, view in views.items():
        if view.ndim == 1:
            opened = cell == "lstm" and name.endswith(".b")
            np.testing.assert_array_equal(view, forget if opened else 0)


@pytest.mark.parametrize("init", INITS)
def test_the_seed_decides(init: InitName) -> None:
    config = ModelConfig(vocab_size=5, cell="lstm", hidden=3, layers=2)

    np.testing.assert_array_equal(
        initial(config, init, seed=1), initial(config, init, seed=1)
    )
    assert (initial(config, init, seed=1) != initial(config, init, seed=2)).any()


@pytest.mark.parametrize("init", INITS)
def test_precisions_agree(init: InitName) -> None:
    """A float32 model is the float64 model, rounded."""
    config = ModelConfig(vocab_size=5, cell="gru", hidden=3, layers=2)

    np.testing.assert_array_equal(
        initial(config, init, dtype=np.float32),
        initial(config, init).astype(np.float32),
    )
