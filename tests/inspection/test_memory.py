"""Gradients by lag, against finite differences and against worked examples."""

import json
import math
from typing import Any

import numpy as np
import pytest

from charrnn import parameters
from charrnn.config import ActivationName, CellName, ModelConfig, NormName
from charrnn.errors import CheckpointError, CorpusError
from charrnn.inspection import memory
from charrnn.inspection.memory import (
    Places,
    bits_after,
    gradient_by_lag,
    gradient_norms,
    measure_memory,
)
from charrnn.inspection.records import as_json, tsv
from charrnn.network import Network
from charrnn.windows import Documents, Window
from tests import reference

V, H = 6, 5
#: Every line is a document; a newline has the id 0.
LINES = Documents(before=0, stand_in=0, start=0)
IDS = np.random.default_rng(4).integers(0, V, 40).astype(np.int32)
CELLS: list[tuple[CellName, ActivationName]] = [
    ("rnn", "tanh"),
    ("rnn", "relu"),
    ("gru", "tanh"),
    ("lstm", "tanh"),
]


def new_network(
    cell: CellName = "lstm",
    activation: ActivationName = "tanh",
    dtype: Any = np.float64,
    layers: int = 2,
    norm: NormName = "none",
    lags: tuple[int, ...] = (1,),
) -> Network:
    config = ModelConfig(
        vocab_size=V,
        hidden=H,
        layers=layers,
        cell=cell,
        activation=activation,
        norm=norm,
        lags=lags,
    )
    network = Network(config, dtype=dtype)
    rng = np.random.default_rng(8)
    network.theta[:] = rng.normal(0, 0.5, network.theta.size)
    for average in network.norm.running.values():
        average[:] = rng.uniform(0.1, 0.5, H)
    network.pack()
    return network


def normalized(network: Network, k: int, h: np.ndarray) -> np.ndarray:
    """Normalize a layer's outputs by the equations, a batch by running averages."""
    if network.config.norm == "none":
        return h
    mean, var = h.mean(), h.var()
    if network.config.norm == "batch":
        mean = network.norm.running[f"layer{k}.running_mean"]
        var = network.norm.running[f"layer{k}.running_var"]
    gain, shift = network.weights[f"layer{k}.gain"], network.weights[f"layer{k}.shift"]
    return (h - mean) / np.sqrt(var + 1e-5) * gain + shift


def loss_at(
    network: Network, ids: np.ndarray, t: int, at: int, layer: int, nudge: np.ndarray
) -> float:
    """Loss of character t by the equations, with h of a layer nudged at one place.

    The nudge is felt wherever that h goes: to the next step, and to the layers
    above. Inputs are the characters before each place.
    """
    cell = network.config.cell
    weights = {name: w.astype(np.float64) for name, w in network.weights.items()}
    states = np.zeros((2, network.new_state(1).shape[1], 1, H))
    eye = np.eye(V)
    inputs = np.concatenate([[0], ids[:-1]])
    for place in range(t + 1):
        x = eye[inputs[place]][None]
        for k in range(2):
            Wx = weights[f"layer{k}.Wx"]
            zx = x @ (Wx if k == 0 else Wx.T) + weights[f"layer{k}.b"]
            bhn = weights.get(f"layer{k}.bhn", np.zeros(0))
            _, states[k] = reference.run(
                cell,
                zx[None],
                states[k],
                [[0]],
                weights[f"layer{k}.Wh"],
                bhn,
                network.config.activation,
                network.config.lags,
            )
            if (place, k) == (at, layer):
                states[k, 0] += nudge
            x = normalized(network, k, states[k, 0])
    logits = x @ weights["head.Wy"].T + weights["head.by"]
    return reference.cross_entropy(logits, ids[t : t + 1])[0]


@pytest.mark.parametrize(
    ("cell", "activation", "norm"),
    [
        *((*cell, "none") for cell in CELLS),
        ("lstm", "tanh", "layer"),
        ("gru", "tanh", "batch"),
    ],
)
@pytest.mark.parametrize("lags", [(1,), (1, 3)], ids=["", "1,3"])
def test_the_norms_are_those_of_finite_differences(cell, activation, norm, lags):
    """For every layer, several lags and several places of the text."""
    network, eps = new_network(cell, activation, norm=norm, lags=lags), 1e-6
    found = gradient_norms(network, Places(IDS), 12, samples=2)
    places = Places(IDS).pick(2, 12)

    for layer in range(2):
        for lag in (0, 1, 2, 12):
            for n, t in enumerate(places.tolist()):
                gradient = [
                    loss_at(network, IDS, t, t - lag, layer, nudge)
                    - loss_at(network, IDS, t, t - lag, layer, -nudge)
                    for nudge in eps * np.eye(H)
                ]
                norm = np.linalg.norm(gradient) / (2 * eps)
                assert found[layer, lag, n] == pytest.approx(norm, rel=1e-4, abs=1e-10)


def test_a_linear_cell_forgets_by_its_matrix():
    """With leaky relus never below zero, the gradient shrinks by Wh exactly."""
    network = new_network("rnn", "relu", layers=1)
    network.weights["layer0.Wx"][...] = 1.0
    network.weights["layer0.b"][...] = 0
    network.weights["layer0.Wh"][...] = 0.8 * np.eye(H)
    network.pack()

    norms = gradient_by_lag(network, IDS, 20)
    assert norms[1:] / norms[:-1] == pytest.approx(np.full(20, 0.8), rel=1e-9)
    layer = measure_memory(network, Places(IDS), max_lag=20).layers[0]
    assert layer.decay == pytest.approx(0.8)
    assert layer.half_life == pytest.approx(math.log(0.5) / math.log(0.8))


def test_a_lag_carries_what_the_state_before_does_not():
    """Where h of one step before is not seen, only multiples of the other lag count."""
    network = new_network("rnn", "relu", layers=1, lags=(1, 3))
    network.weights["layer0.Wh"][:, :H] = 0
    network.weights["layer0.Wh"][:, H:] = 0.5 * np.eye(H)
    network.weights["layer0.Wx"][:] = 1.0
    network.weights["layer0.b"][:] = 0
    network.pack()
    norms = gradient_norms(network, Places(IDS), 7, samples=3).mean(axis=2)[0]

    assert (norms[[1, 2, 4, 5, 7]] == 0).all()
    np.testing.assert_allclose(
        norms[[3, 6]], norms[0] * np.array([0.5, 0.25]), rtol=1e-12
    )


def test_gradients_that_grow_have_no_half_life():
    network = new_network("rnn", "relu", layers=1)
    network.weights["layer0.Wx"][...] = 1.0
    network.weights["layer0.Wh"][...] = 1.25 * np.eye(H)
    network.weights["head.Wy"][...] *= 1e-3
    network.pack()
    layer = measure_memory(network, Places(IDS), max_lag=20).layers[0]

    assert layer.decay is not None
    assert layer.decay > 1
    assert layer.half_life is None


def test_what_vanishes_does_not_leave_the_range_of_a_float32():
    """0.01 to the 100th is 1e-200; a float32 ends at 1e-45."""
    ids = np.random.default_rng(1).integers(0, V, 300).astype(np.int32)
    network = new_network("rnn", "relu", np.float32, layers=1)
    network.weights["layer0.Wx"][...] = 1.0
    network.weights["layer0.b"][...] = 0
    network.weights["layer0.Wh"][...] = 0.01 * np.eye(H)
    network.pack()

    norms = gradient_by_lag(network, ids, (0, 100))
    assert norms[1] / norms[0] == pytest.approx(1e-200, rel=1e-4)


@pytest.mark.parametrize(("cell", "activation"), CELLS)
@pytest.mark.parametrize("init", ["orthogonal", "uniform"])
def test_any_fresh_model_can_be_measured(cell, activation, init):
    config = ModelConfig(vocab_size=V, cell=cell, activation=activation, hidden=16)
    network = Network(config)
    parameters.initialize(network.theta, config, init, 1.0, np.random.default_rng(0))
    network.pack()
    norms = gradient_by_lag(network, np.tile(IDS, 5), (1, 10, 25, 50, 100))

    assert norms.shape == (5,)
    assert np.isfinite(norms).all()
    if cell == "rnn" and init == "uniform":
        assert norms[1] < norms[0] / 100


def test_one_precision_agrees_with_the_other():
    single, double = new_network(dtype=np.float32), new_network()

    assert gradient_by_lag(single, IDS, 15) == pytest.approx(
        gradient_by_lag(double, IDS, 15), rel=1e-3
    )


def test_rows_do_not_meet(monkeypatch):
    """However places are grouped into windows, each has its own gradient."""
    network = new_network()
    whole = gradient_norms(network, Places(IDS), 10)
    monkeypatch.setattr(memory, "ROWS", 4)
    parts = gradient_norms(network, Places(IDS), 10)
    monkeypatch.setattr(memory, "ROOM", 1)

    assert parts == pytest.approx(whole, rel=1e-12)
    assert gradient_norms(network, Places(IDS), 10) == pytest.approx(whole, rel=1e-12)


def test_no_gradient_goes_back_beyond_a_document():
    ids = np.array([1, 2, 3, 0, 1, 2, 3, 4], np.int32)
    network = new_network(layers=1)
    norms = gradient_norms(network, Places(ids, LINES), 7, samples=1)[0, :, 0]

    # The last input, of place 7, and those of 6 and 5 belong to the line; the
    # newline, the input of place 4, begins it.
    assert (norms[:4] > 0).all()
    assert not norms[4:].any()


def test_after_more_context_the_bits_are_those_of_the_whole_text():
    network, places = new_network(), Places(IDS)
    every = np.arange(40)
    inputs = np.concatenate([[0], IDS[:-1]]).astype(np.int32)[:, None]
    window = Window.of_inputs(inputs)._replace(targets=IDS[:, None])
    nats = network.losses(window, network.new_state(1))[:, 0]

    whole = bits_after(network, places, every, 40)
    assert whole == pytest.approx(nats.mean() / math.log(2), rel=1e-12)
    # With one character of context nothing else matters.
    single = [
        network.losses(window.steps(n, n + 1), network.new_state(1)) for n in range(40)
    ]
    one = bits_after(network, places, every, 1)
    assert one == pytest.approx(np.mean(single) / math.log(2), rel=1e-12)


def test_the_view_has_every_layer_lag_and_length_of_context():
    network = new_network()
    view = measure_memory(network, Places(IDS), max_lag=10)

    assert [item.layer for item in view.layers] == [0, 1]
    assert all(len(item.norms) == 11 for item in view.layers)
    assert [c.characters for c in view.contexts] == [1, 2, 4, 8, 10]
    assert view.layers[1].norms == pytest.approx(gradient_by_lag(network, IDS, 10))
    assert [
        item.layer for item in measure_memory(network, Places(IDS), layer=1).layers
    ] == [1]


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_short_texts_have_short_memories(size):
    view = measure_memory(new_network(), Places(IDS[:size]))

    assert view.max_lag == size // 2
    assert all(len(item.norms) == view.max_lag + 1 for item in view.layers)
    json.dumps(as_json(view), allow_nan=False)


def test_an_empty_text_is_an_error():
    with pytest.raises(CorpusError, match="empty"):
        measure_memory(new_network(), Places(IDS[:0]))
    with pytest.raises(ValueError, match="has no lag 40"):
        gradient_by_lag(new_network(), IDS, 40)


@pytest.mark.parametrize("name", ["layer0.Wh", "head.Wy"])
def test_weights_that_overflow_are_an_error_of_the_checkpoint(name):
    """Finite ones that no training leaves: there is no drawing of infinity."""
    network = new_network(dtype=np.float32)
    network.weights[name][:] = -3.4e38
    network.pack()

    with pytest.raises(CheckpointError, match="gradients overflow"):
        measure_memory(network, Places(IDS), max_lag=5)


def test_rows_and_json_have_the_same_numbers():
    view = measure_memory(new_network(), Places(IDS))
    header, *rows = [line.split("\t") for line in tsv(view)]
    found = as_json(view)

    assert header == ["measure", "layer", "lag", "value"]
    norms = [norm for item in found["layers"] for norm in item["norms"]]
    bits = [context["bits_per_char"] for context in found["contexts"]]
    assert [float(row[3]) for row in rows] == norms + bits
    assert rows[-1][:2] == ["bits", ""]


#: Every line is a pair; a newline has the id 0, a separator 1.
PAIRS = Documents(before=0, stand_in=0, start=0, separator=1)
PAIR_IDS = np.array([2, 3, 1, 4, 0, 2, 1, 5, 3, 2, 0, 4, 4, 4, 1, 2, 0], np.int32)


def test_of_pairs_losses_are_those_of_outputs():
    network = new_network()
    places = Places(PAIR_IDS, PAIRS)
    found = measure_memory(network, places)
    window = PAIRS.window(PAIR_IDS, np.arange(len(PAIR_IDS))[:, None])
    nats = network.losses(window, network.new_state(1)).sum()

    outputs = [3, 4, 7, 8, 9, 10, 15, 16]
    assert found.scored == found.gradients == len(outputs)
    assert places.pick(100, 0).tolist() == outputs
    assert places.pick(3, 5).tolist() == [3, 9, 16]
    assert found.contexts[-1].characters == 6  # a whole pair
    bits = nats / len(outputs) / math.log(2)
    assert found.contexts[-1].bits_per_char == pytest.approx(bits)


def test_no_gradient_goes_back_beyond_a_pair():
    network, places = new_network(), Places(PAIR_IDS, PAIRS)
    norms = gradient_norms(network, places, 6)[0]

    first = [0, 0, 5, 5, 5, 5, 11, 11]
    for n, (place, start) in enumerate(zip(places.pick(9, 6), first, strict=True)):
        # From what was read last back to the newline before the pair.
        known = place - 1 - (start - 1)
        assert (norms[: known + 1, n] > 0).all()
        assert (norms[known + 1 :, n] == 0).all()


def test_of_pairs_it_is_told_how_often_only_an_input_was_read():
    found = measure_memory(new_network(), Places(PAIR_IDS, PAIRS))
    wanted = []
    for lag in range(found.max_lag + 1):
        inputs = [{0, 1, 2}, {5, 6}, {11, 12, 13, 14}]
        places = [(3, 0), (4, 0), (7, 1), (8, 1), (9, 1), (10, 1), (15, 2), (16, 2)]
        wanted.append(np.mean([place - 1 - lag in inputs[n] for place, n in places]))

    assert found.in_input == pytest.approx(wanted)
    assert measure_memory(new_network(), Places(IDS)).in_input is None


def test_a_text_without_an_output_is_an_error():
    with pytest.raises(CorpusError, match="nothing to remember"):
        measure_memory(new_network(), Places(PAIR_IDS[:2], PAIRS))
