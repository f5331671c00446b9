from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from charrnn.checkpoint import CheckpointFile, load
from charrnn.inspection import weights
from charrnn.inspection.records import as_json, tsv
from charrnn.inspection.weights import (
    Weights,
    describe,
    measure_weights,
    spectral_radius,
)
from tests.factories import write_checkpoint


def measured(path: Path) -> Weights:
    with CheckpointFile(path) as file:
        return measure_weights(file)


@given(
    hnp.arrays(
        np.float32,
        hnp.array_shapes(max_dims=2, max_side=20),
        elements=st.floats(-(2**100), 2**100, width=32),
    )
)
def test_a_distribution_has_the_moments_of_its_values(values: np.ndarray):
    found = describe("w", None, values)
    exact = values.astype(np.float64)

    assert (found.min, found.max) == (values.min(), values.max())
    scale = np.abs(exact).max()
    assert found.mean == pytest.approx(exact.mean(), rel=1e-9, abs=1e-9 * scale)
    assert found.std == pytest.approx(exact.std(), rel=1e-9, abs=1e-7 * scale)
    assert found.norm == pytest.approx(np.linalg.norm(exact), rel=1e-9)
    assert sum(found.histogram) == values.size


def test_large_tensors_are_measured_in_parts(monkeypatch):
    values = np.random.default_rng(0).normal(3, 2, 1000).astype(np.float32)
    whole = describe("w", None, values)
    monkeypatch.setattr(weights, "CHUNK", 7)
    parts = describe("w", None, values)

    assert parts.mean == pytest.approx(whole.mean, rel=1e-12)
    assert parts.std == pytest.approx(whole.std, rel=1e-12)
    assert parts.histogram == whole.histogram
    edges = np.histogram(values.astype(float), len(whole.histogram))[0]
    assert np.abs(edges - whole.histogram).max() <= 1


def test_each_gate_has_the_spectral_radius_that_numpy_finds(tmp_path: Path):
    path = write_checkpoint(tmp_path / "m.npz", cell="gru", hidden=6)
    view = measured(path)
    Wh = load(path).parameters["layer1.Wh"].astype(np.float64)

    found = {
        t.gate: t.spectral_radius
        for t in view.tensors
        if t.tensor == "layer1.Wh" and t.gate
    }
    blocks = zip("run", Wh.reshape(3, 6, 6), strict=True)
    expected = {g: np.abs(np.linalg.eigvals(block)).max() for g, block in blocks}
    assert found == pytest.approx(expected, rel=1e-12)


def test_each_lag_has_rows_of_its_own(tmp_path: Path):
    path = write_checkpoint(tmp_path / "m.npz", cell="gru", hidden=6, lags=(1, 4))
    rows = {(t.tensor, t.gate): t for t in measured(path).tensors}
    Wh = load(path).parameters["layer1.Wh"].astype(np.float64)

    assert rows["layer1.Wh", None].shape == (18, 12)
    for k, lag in enumerate((1, 4)):
        name, columns = f"layer1.Wh, lag {lag}", Wh[:, 6 * k : 6 * k + 6]
        assert rows[name, None].norm == pytest.approx(np.linalg.norm(columns))
        for gate, block in zip("run", columns.reshape(3, 6, 6), strict=True):
            radius = np.abs(np.linalg.eigvals(block)).max()
            assert rows[name, gate].spectral_radius == pytest.approx(radius, rel=1e-12)


def test_a_vanilla_cell_has_one_row_a_recurrent_matrix(tmp_path: Path):
    view = measured(write_checkpoint(tmp_path / "m.npz", cell="rnn", layers=1))

    rows = [(t.tensor, t.spectral_radius is None) for t in view.tensors]
    assert [name for name, _ in rows].count("layer0.Wh") == 1
    assert dict(rows)["layer0.Wh"] is False


def test_running_averages_are_measured_after_the_parameters(tmp_path: Path):
    path = write_checkpoint(tmp_path / "m.npz", layers=1, norm="batch")
    means = load(path).statistics["layer0.running_mean"]
    found = {t.tensor: t for t in measured(path).tensors}

    names = [name for name in found if name.startswith("layer0.")][-4:]
    suffixes = ["gain", "shift", "running_mean", "running_var"]
    assert names == [f"layer0.{suffix}" for suffix in suffixes]
    assert found["layer0.running_mean"].max == means.max()


def test_power_iteration_agrees_with_eigenvalues():
    """Also where two complex eigenvalues lead, and for a matrix of zeros."""
    rng = np.random.default_rng(1)
    n = 2 * weights.MAX_EXACT
    random = rng.normal(0, 1 / np.sqrt(n), (n, n))
    turning = np.zeros((n, n))
    turning[0, 1], turning[1, 0] = -2, 0.5  # eigenvalues i and -i
    negative = np.diag(np.linspace(-3, 2, n))
    shift = np.eye(n, k=1)  # none but zeros, however large its products
    orthogonal = np.linalg.qr(random)[0]
    blocks = random, turning, negative, shift, orthogonal, np.zeros((n, n))
    for block in blocks:
        exact = np.abs(np.linalg.eigvals(block)).max()
        found = spectral_radius(block.astype(np.float32))
        assert found == pytest.approx(exact, rel=2e-3, abs=1e-6)


def test_rows_and_json_have_the_same_numbers(tmp_path: Path):
    view = measured(write_checkpoint(tmp_path / "m.npz"))
    header, *rows = [line.split("\t") for line in tsv(view)]
    objects = as_json(view)["tensors"]

    assert len(rows) == len(objects)
    for cells, item in zip(rows, objects, strict=True):
        row = dict(zip(header, cells, strict=True))
        assert float(row["std"]) == item["std"]
        assert row["shape"] == "x".join(map(str, item["shape"]))
        assert row["histogram"] == ",".join(map(str, item["histogram"]))
        assert (row["spectral_radius"] == "") == (item["spectral_radius"] is None)
