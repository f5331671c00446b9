"""What lies on a tape between the ways forward and back, in 16 bits a number.

    gates        q = round(32767 z)      z from -1 to 1, q a whole number
    gradients    bfloat16

A window's gates, and then their gradients, are most of what a tape holds. Where
products round what they multiply to bfloat16 anyway, they are computed in room for one
step, which stays in the first caches, and kept in half of the space. A gate that is
nearly open must not lose its distance to 1, of which its gradient is a multiple:
bfloat16, whose numbers stand 1 / 256 apart there, would round it away, and whole
numbers of 1 / 32767 do not. Gradients of z are rounded as products would round them,
and are the same in them; sums of biases and of characters' rows take rounded ones.

All is rounded to the nearest, ties to even: gates by one multiply-add, with the same
bits on every processor that has one.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core import config as numba_config
from numba.extending import intrinsic
from numpy.typing import NDArray

from charrnn.arrays import Floats
from charrnn.kernels.bfloat16 import narrow_all, narrowed
from charrnn.kernels.jit import jit

#: What a gate is multiplied by to be kept.
SCALE = 2**15 - 1

#: A whole number that is added to this stands in the lowest bits of the sum.
_SHIFT = 1.5 * 2**23

#: What is kept: gates first, and then bfloat16, which alone leave the loops over time.
Kept = NDArray[np.uint16]


@intrinsic  # type: ignore[untyped-decorator]
def _whole(typing_context: Any, z: Any) -> Any:
    """Round a float32 times SCALE to a whole number, and take its lowest 16 bits."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        real = ir.FloatType()
        kind = ir.FunctionType(real, [real] * 3)
        # By a call, which no fast-math flag can fold away. A NaN has bits, too.
        fma = cgutils.get_or_insert_function(builder.module, kind, "llvm.fma.f32")
        shifted = builder.call(fma, [args[0], real(SCALE), real(_SHIFT)])
        return builder.trunc(builder.bitcast(shifted, ir.IntType(32)), ir.IntType(16))

    return types.uint16(types.float32), codegen


@intrinsic  # type: ignore[untyped-decorator]
def _share(typing_context: Any, q: Any) -> Any:
    """Divide a whole number of 16 bits, which has a sign, by SCALE."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        whole = builder.sext(args[0], ir.IntType(32))
        real = builder.sitofp(whole, ir.FloatType())
        return builder.fmul(real, ir.FloatType()(1 / SCALE))

    return types.float32(types.uint16), codegen


@jit
def _keep_gates(z: Floats, kept: Kept) -> None:
    """See `keep_gates`."""
    for n in range(z.shape[0]):
        row, out = z[n], kept[n]
        for j in range(row.size):
            out[j] = _whole(row[j])


@jit
def _recall_gates(kept: Kept, z: Floats) -> None:
    """See `recall_gates`."""
    for n in range(z.shape[0]):
        row, out = kept[n], z[n]
        for j in range(row.size):
            out[j] = _share(row[j])


@jit
def _keep_gradients(dz: Floats, kept: Kept) -> None:
    """See `keep_gradients`."""
    for n in range(dz.shape[0]):
        row, out = dz[n], kept[n]
        for j in range(row.size):
            out[j] = narrowed(row[j])


def _keep_gates_numpy(z: Floats, kept: Kept) -> None:
    """See `keep_gates`; for runs without the JIT, and to compare."""
    whole = np.nan_to_num(np.rint(z.astype(np.float64) * SCALE))
    kept[...] = whole.astype(np.int16).view(np.uint16)


def _recall_gates_numpy(kept: Kept, z: Floats) -> None:
    """See `recall_gates`; for runs without the JIT, and to compare."""
    z[...] = kept.view(np.int16) * np.float32(1 / SCALE)


def _keep_gradients_numpy(dz: Floats, kept: Kept) -> None:
    """See `keep_gradients`; for runs without the JIT."""
    narrow_all(dz, kept)


def keep_gates(z: Floats, kept: Kept) -> None:
    """Keep the gates of a step.

    Parameters
    ----------
    z : (B, GH) float32 array
        From -1 to 1. A NaN is kept as a 0: the loss of its window tells of it.
    kept : (B, GH) uint16 array
        Written.
    """


def recall_gates(kept: Kept, z: Floats) -> None:
    """Bring the gates of a step back.

    Parameters
    ----------
    kept : (B, GH) uint16 array
        As `keep_gates` left it.
    z : (B, GH) float32 array
        Written: off by half of 1 / SCALE at most, and exactly -1, 0 or 1 for these.
    """


def keep_gradients(dz: Floats, kept: Kept) -> None:
    """Keep the gradient of z of a step, rounded to bfloat16.

    Parameters
    ----------
    dz : (B, GH) float32 array
    kept : (B, GH) uint16 array
        Written.
    """


if numba_config.DISABLE_JIT:
    keep_gates, recall_gates = _keep_gates_numpy, _recall_gates_numpy
    keep_gradients = _keep_gradients_numpy
else:
    keep_gates, recall_gates = _keep_gates, _recall_gates
    keep_gradients = _keep_gradients


def gradient_of_z(tape: Any) -> Any:
    """Find the gradient of z on a tape whose way back is done.

    Returns
    -------
    (T, B, GH) array
        Of the network's type; or uint16, the bits of bfloat16.
    """
    narrow = getattr(tape, "z16", None)
    return tape.z if narrow is None else narrow
