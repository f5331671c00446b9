"""Kernels: translated once, with all that they call, and noted before they are."""

import gc
import sys
import weakref
from typing import Any

import numba
import numpy as np
import pytest
from numba import config as numba_config
from numba import prange
from numba.core.codegen import JITCodeLibrary
from numba.core.errors import LoweringError

from charrnn.cells import cell_of
from charrnn.config import CellName, ModelConfig, SampleConfig, WeightsName
from charrnn.generation import Generation
from charrnn.kernels import matmul, reduced
from charrnn.kernels.cells import kernels_of
from charrnn.kernels.generator import generator_of
from charrnn.kernels.jit import jit
from charrnn.kernels.libraries import PARALLEL_LOOP, LateLibrary, noted
from charrnn.kernels.recurrence import loops
from charrnn.network import Network
from charrnn.textmodel import TextModel
from charrnn.windows import Window
from tests.factories import make_vocab

pytestmark = pytest.mark.skipif(numba_config.DISABLE_JIT, reason="nothing is compiled")


@jit
def _part(x: Any) -> float:
    total = 0.0
    for k in range(x.size):
        total += x[k]
    return total


@jit(called=True)
def _called(x: Any) -> float:
    return 2 * _part(x)


@jit(parallel=False)
def _kernel(x: Any) -> float:
    return _called(x) + _part(x)


@jit(parallel=True)
def _threaded(x: Any, out: Any) -> None:
    for k in prange(out.size):
        out[k] = _part(x[k])


@jit(parallel=False)
def _noted(x: Any) -> float:
    return float(x[0])


def _twice(x: int) -> int:
    return 2 * x


@jit(parallel=False)
def _view(x: Any) -> Any:
    return x, x[1:]


@jit(parallel=False, allocates=True)
def _counting(x: Any) -> float:
    room = np.empty(x.size)
    room[:] = x
    return _part(room[1:])


def library_of(function: Any) -> Any:
    """Find the library of a function that is compiled for one set of types."""
    (compiled,) = function.overloads.values()
    return compiled.library


def test_references_are_counted_by_what_makes_arrays_and_nothing_else() -> None:
    """What a kernel returns is no array either, which only some callers would count."""
    x = np.array([1.0, 2.0, 4.0])
    assert _counting(x) == 6
    _kernel(x)

    assert "NRT_incref" in library_of(_counting).get_llvm_str()
    assert "NRT_" not in library_of(_kernel).get_llvm_str()
    for _ in range(2):
        with pytest.raises(LoweringError, match="_view returns arrays"):
            _view(x)
    assert not _view.signatures  # type: ignore[attr-defined]


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_no_view_of_the_hot_kernels_is_counted(cell: CellName) -> None:
    """Threads that take views of the same weights would wait for one another."""
    kernels = kernels_of(cell_of(cell))
    shared = matmul._multiply_blocks, reduced.help_out
    for kernel in (generator_of(kernels), *loops(kernels), *shared):
        compiled: Any = kernel
        assert compiled.targetoptions["_nrt"] is False


@pytest.mark.parametrize("precision", ["float32", "int8"])
@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_nothing_is_held_on_to(cell: CellName, precision: WeightsName) -> None:
    """Whatever kernels were given is gone when nobody else has it, and not before."""
    network = Network(ModelConfig(vocab_size=5, cell=cell, layers=2, hidden=4))
    model = TextModel.of(network, make_vocab("abcde"))
    config = SampleConfig(length=20, precision=precision, no_repeat=2, top_k=3)
    prompt, window = (
        model.vocab.encode("ab"),
        Window.of_inputs(np.zeros((4, 2), np.int32)),
    )
    gradient, counts = np.zeros_like(network.theta), []
    space = network.workspace(4, 2)
    tape = space.tapes[0]
    arrays = [network.theta, gradient, *network.head.Wy, tape.z, tape.states]
    for _ in range(4):
        list(Generation(model, [prompt], config, scored=False).pieces())
        network.loss_and_gradient(window, network.new_state(2), gradient)
        gc.collect()
        counts.append([sys.getrefcount(array) for array in arrays])
    assert counts[1:] == counts[:-1]
    owners = [weakref.ref(a if a.base is None else a.base) for a in arrays]

    del network, model, gradient, space, tape, arrays
    gc.collect()
    assert [owner() for owner in owners] == [None] * len(owners)


def test_parts_are_not_translated_but_can_be_called() -> None:
    """A kernel has machine code; Python calls kernels of the parts' own sources."""
    x = np.array([1.0, 2.0, 4.0])

    assert _kernel(x) == 21
    for part in (_part, _called):
        assert isinstance(library_of(part), LateLibrary)
        assert not library_of(part).get_pointer_to_function("no such function")
        with pytest.raises(RuntimeError, match="no compiled object"):
            library_of(part)._get_compiled_object()
    assert library_of(_kernel)._get_compiled_object()
    assert _part(x) == 7
    assert _called(x) == 14


def test_loops_over_threads_find_what_they_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The body is translated with its kernel, and with nothing before."""
    translated = []
    translate = JITCodeLibrary._finalize_specific

    def note(library: Any) -> None:
        translated.append(library.name)
        translate(library)

    monkeypatch.setattr(JITCodeLibrary, "_finalize_specific", note)
    x, out = np.arange(6.0, dtype=np.float32).reshape(3, 2), np.zeros(3)
    _threaded(x, out)

    assert out.tolist() == [1, 5, 9]
    assert "_threaded" in translated
    assert not any(PARALLEL_LOOP in name or "_part" in name for name in translated)


def test_other_functions_are_compiled_as_they_always_were() -> None:
    """What a user's own program compiles is none of our business."""
    compiled = numba.njit(_twice)

    assert compiled(4) == 8
    assert not isinstance(library_of(compiled), LateLibrary)


def test_what_is_noted_is_not_run_and_can_be_compiled_later() -> None:
    """Each kernel is noted with its types, under a key of its own."""
    with noted() as found:
        went_well = _noted(np.array([np.nan]))
        _noted(np.array([1], np.int8))

    assert went_well is True
    assert _noted.signatures == []
    assert [wanted.name for wanted in found] == ["test_libraries._noted"] * 2
    assert found[0].key != found[1].key
    found[1].compile()
    assert len(_noted.signatures) == 1
    assert _noted(np.array([7], np.int8)) == 7
