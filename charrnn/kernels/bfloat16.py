"""Numbers in bfloat16: the upper half of a float32, rounded to the nearest.

A bfloat16 has float32's sign and exponent, and 8 bits of precision instead of 24. The
product of two is exact in float32, so that where products are of bfloat16 and sums of
float32, only the rounding of what is multiplied costs precision: half of 2^-8 of each
number, at most.

Ties go to the number whose last bit is 0. Numbers below float32's smallest normal
one, 2^-126, become zeros of their sign, as processors that multiply bfloat16 read
them. NaN stays NaN. All of it is whole-number arithmetic on the bits of a float32,
and gives the same bits everywhere.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import config as numba_config
from numba.extending import intrinsic, overload
from numpy.typing import NDArray

from charrnn.arrays import Floats
from charrnn.kernels.jit import OPTIONS, jit

#: Of a float32's bits: the exponent, the sign and the quiet NaN that NaN becomes.
_EXPONENT, _SIGN, _NAN = 0x7F800000, 0x80000000, 0x7FC00000

#: Of a float32's bits, those that a bfloat16 has, too.
_UPPER = 0xFFFF0000


def rounded_bits(builder: Any, value: Any) -> Any:
    """Emit the bits of float32 numbers, rounded to bfloat16: an upper half, and zeros.

    Parameters
    ----------
    builder : llvmlite.ir.IRBuilder
    value : llvmlite.ir.Value
        A float, or a vector of them.
    """
    integer: Any = ir.IntType(32)
    if isinstance(value.type, ir.VectorType):
        integer = ir.VectorType(integer, value.type.count)

    def constant(number: int) -> Any:
        if isinstance(integer, ir.VectorType):
            return ir.Constant(integer, [number] * integer.count)
        return ir.Constant(integer, number)

    bits = builder.bitcast(value, integer)
    # Half of the last place that stays, or a little less if its bit is 0.
    last = builder.and_(builder.lshr(bits, constant(16)), constant(1))
    half = builder.add(last, constant(0x7FFF))
    found = builder.and_(builder.add(bits, half), constant(_UPPER))
    exponent = builder.and_(bits, constant(_EXPONENT))
    tiny = builder.icmp_unsigned("==", exponent, constant(0))
    found = builder.select(tiny, builder.and_(bits, constant(_SIGN)), found)
    unknown = builder.fcmp_unordered("uno", value, value)
    return builder.select(unknown, constant(_NAN), found)


@intrinsic  # type: ignore[untyped-decorator]
def rounded(typing_context: Any, x: Any) -> Any:
    """Round one float32 to bfloat16, and keep it in a float32."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(rounded_bits(builder, args[0]), ir.FloatType())

    return types.float32(types.float32), codegen


@intrinsic  # type: ignore[untyped-decorator]
def narrowed(typing_context: Any, x: Any) -> Any:
    """Round one float32 to the 16 bits of a bfloat16."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        bits = rounded_bits(builder, args[0])
        upper = builder.lshr(bits, ir.Constant(ir.IntType(32), 16))
        return builder.trunc(upper, ir.IntType(16))

    return types.uint16(types.float32), codegen


@intrinsic  # type: ignore[untyped-decorator]
def paired(typing_context: Any, low: Any, high: Any) -> Any:
    """Round two float32 to bfloat16, and put them side by side into 32 bits.

    Two numbers of 16 bits are taken for bfloat16 as they are.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        integer = ir.IntType(32)
        if signature.args[0] == types.uint16:
            below, above = (builder.zext(number, integer) for number in args)
            above = builder.shl(above, integer(16))
        else:
            below, above = (rounded_bits(builder, number) for number in args)
            below = builder.lshr(below, integer(16))
        return builder.or_(below, above)

    kind = types.uint16 if low == types.uint16 else types.float32
    return types.uint32(kind, kind), codegen


@intrinsic  # type: ignore[untyped-decorator]
def _widened(typing_context: Any, bits: Any) -> Any:
    """Make a float32 of the 16 bits of a bfloat16."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        integer = ir.IntType(32)
        upper = builder.shl(builder.zext(args[0], integer), integer(16))
        return builder.bitcast(upper, ir.FloatType())

    return types.float32(types.uint16), codegen


def number_of(x: Any) -> Any:
    """Make a float32 of a number of 16 bits, a bfloat16; a float is what it is."""
    return widen_all(x) if isinstance(x, np.uint16) else x


@overload(number_of, jit_options=OPTIONS)  # type: ignore[untyped-decorator]
def _number_of(x: Any) -> Any:
    def bfloat16(x: Any) -> Any:
        return _widened(x)

    def itself(x: Any) -> Any:
        return x

    return bfloat16 if x == types.uint16 else itself


@jit(parallel=False)
def _round_all(x: Floats, out: Floats) -> None:
    """See `round_all`."""
    source, target = x.reshape(-1), out.reshape(-1)
    for k in range(source.size):
        target[k] = rounded(source[k])


@jit(parallel=False)
def _narrow_all(x: Floats, out: NDArray[np.uint16]) -> None:
    """See `narrow_all`."""
    source, target = x.reshape(-1), out.reshape(-1)
    for k in range(source.size):
        target[k] = narrowed(source[k])


def _bits_numpy(x: Floats) -> NDArray[np.uint32]:
    """Compute what `rounded_bits` emits; for runs without the JIT, and to compare."""
    bits = x.view(np.uint32)
    found = (bits + (bits >> 16 & 1) + np.uint32(0x7FFF)) & np.uint32(_UPPER)
    found = np.where(bits & _EXPONENT == 0, bits & np.uint32(_SIGN), found)
    return np.where(np.isnan(x), np.uint32(_NAN), found).astype(np.uint32)


def _round_numpy(x: Floats, out: Floats) -> None:
    """See `round_all`; for runs without the JIT."""
    out[...] = _bits_numpy(x).view(np.float32)


def _narrow_numpy(x: Floats, out: NDArray[np.uint16]) -> None:
    """See `narrow_all`; for runs without the JIT."""
    out[...] = _bits_numpy(x) >> 16


def round_all(x: Floats, out: Floats) -> None:
    """Round numbers to bfloat16, and keep them in float32.

    Parameters
    ----------
    x, out : float32 arrays of one shape, contiguous
        Read and written; may be the same.
    """


def narrow_all(x: Floats, out: NDArray[np.uint16]) -> None:
    """Round numbers to bfloat16, and keep their 16 bits.

    Parameters
    ----------
    x : float32 array, contiguous
    out : uint16 array of that shape, contiguous
        Written.
    """


def widen_all(bits: Any) -> Any:
    """Make float32 numbers of the 16 bits of bfloat16 ones."""
    return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)


if numba_config.DISABLE_JIT:
    round_all, narrow_all = _round_numpy, _narrow_numpy
else:
    round_all, narrow_all = _round_all, _narrow_all
