"""One model in several threads and processes."""

import copy
import multiprocessing
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import charrnn
from charrnn.errors import CharRNNError, VocabError
from charrnn.kernels.threads import start
from charrnn.textmodel import TextModel
from tests.factories import TEXT, make_checkpoint, model_of, write_checkpoint

#: Overlapping texts of one length, so that threads want the same scratch.
TEXTS = [(TEXT * 5)[n : n + 120] for n in range(8)]

#: Scores the texts with several threads, and prints whether the losses are right.
SCORE = """
import sys
from concurrent.futures import ThreadPoolExecutor
import charrnn
model = charrnn.load(sys.argv[1])
expected = [model.loss(text) for text in sys.argv[2:]] * 20
with ThreadPoolExecutor(4) as pool:
    print(list(pool.map(model.loss, sys.argv[2:] * 20)) == expected)
"""


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a checkpoint of two layers."""
    return write_checkpoint(tmp_path_factory.mktemp("model") / "m.npz")


@pytest.fixture(scope="module")
def model(path: Path) -> TextModel:
    """Load it once."""
    return charrnn.load(path)


def process(program: str, *arguments: object, **variables: str) -> str:
    """Run a program of Python and return what it prints."""
    words = [sys.executable, "-c", program, *map(str, arguments)]
    environment = os.environ | variables
    done = subprocess.run(
        words, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def pickled(model: TextModel) -> Any:
    """Pickle a model, and take it out again."""
    return pickle.loads(pickle.dumps(model))  # noqa: S301 - it is our own


def test_threads_have_scratch_of_their_own(model: TextModel) -> None:
    here = model.network.workspace(3, 2)
    with ThreadPoolExecutor(1) as pool:
        there = pool.submit(model.network.workspace, 3, 2).result()

    assert here is model.network.workspace(3, 2)
    assert here is not there


def test_one_model_reads_in_several_threads(model: TextModel) -> None:
    """Losses and states are those that one thread finds."""
    losses = [model.loss(text) for text in TEXTS]
    states = [model.states(text) for text in TEXTS]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(model.loss, TEXTS * 20))
        seen = list(pool.map(model.states, TEXTS * 20))

    assert found == losses * 20
    for one, other in zip(seen, states * 20, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_layer_for_one_thread_at_a_time_is_used_by_one(path: Path) -> None:
    """Numba's own ends the process if two threads are in kernels at once."""
    told = process(SCORE, path, *TEXTS, NUMBA_THREADING_LAYER="workqueue")

    assert told == "True"


def test_how_long_threads_spin_is_not_handed_on(path: Path) -> None:
    """GNU's OpenMP is told when it is loaded, and no program that is started later."""
    program = "import os, sys, charrnn; charrnn.load(sys.argv[1]).loss('the sea');"
    program += "print(os.environ.get('GOMP_SPINCOUNT'))"

    assert process(program, path) == "None"
    assert process(program, path, GOMP_SPINCOUNT="7") == "7"


@pytest.mark.skipif(sys.platform != "linux", reason="GNU's OpenMP is used on Linux")
def test_how_long_threads_spin_is_told_in_time(path: Path) -> None:
    program = "import sys, charrnn; charrnn.load(sys.argv[1]).loss('the sea')"
    words = [sys.executable, "-c", program, str(path)]
    tell = {"OMP_DISPLAY_ENV": "verbose", "NUMBA_THREADING_LAYER": "omp"}
    done = subprocess.run(
        words, env=os.environ | tell, capture_output=True, text=True, check=True
    )

    assert "GOMP_SPINCOUNT = '5000'" in done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be forked")
def test_a_forked_process_is_told_what_to_do(model: TextModel) -> None:
    """It would be ended by the library beneath the kernels, and a pool would hang."""
    expected = model.loss("the sea")
    if start() != "omp" or sys.platform != "linux":
        pytest.skip("this threading layer survives a fork")
    with multiprocessing.get_context("fork").Pool(1) as pool:
        with pytest.raises(CharRNNError, match="forked") as caught:
            pool.apply_async(model.loss, ["the sea"]).get(60)
        assert "spawn" in (caught.value.hint or "")
        with pytest.raises(CharRNNError, match="forked"):
            pool.apply_async(_train).get(60)
    assert model.loss("the sea") == expected


def _train() -> int:
    """Train a little in another process."""
    return len(list(charrnn.train(charrnn.Text(TEXT), hidden=3, steps=2)))


def test_a_spawned_process_works(model: TextModel) -> None:
    """It gets the model by pickling, and its errors come back whole."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        losses = pool.map(model.loss, TEXTS[:2])
        with pytest.raises(VocabError) as caught:
            pool.apply(model.loss, ["Q"])

    assert losses == [model.loss(text) for text in TEXTS[:2]]
    assert "unknown='skip'" in (caught.value.hint or "")


@pytest.mark.parametrize("norm", ["none", "layer", "batch"])
@pytest.mark.parametrize("copied", [copy.deepcopy, pickled])
def test_a_copy_is_the_same_model_with_weights_of_its_own(
    norm: Any, copied: Any
) -> None:
    model = model_of(make_checkpoint(norm=norm))
    other = copied(model)
    text = TEXT[:30]
    expected = model.surprise(text)

    assert (other.surprise(text) == expected).all()
    assert other.sample(length=20, seed=1) == model.sample(length=20, seed=1)
    assert (other.vocab, other.documents, other.corpus) == (
        model.vocab,
        model.documents,
        model.corpus,
    )
    model.network.theta[:] = 0
    model.network.pack()
    assert (other.surprise(text) == expected).all()
