"""Activations of one number and their derivatives, and the logarithm.

Each function has two bodies, chosen by the type of its argument when a kernel
is compiled. In float64, where gradients are checked, they are NumPy's own. In
float32 they are short polynomials without branches or calls, so that LLVM
turns the loops around them into vector code; NumPy's would be a call of the
C library for every number.

============ ============================================== ==============
float32      method                                         largest error
============ ============================================== ==============
``exp``      2^n e^r, e^r a polynomial of degree 6          2 ulp
``exp64``    the same in float64, a series of degree 13     2 ulp
``log``      n ln 2 + ln m, a polynomial of (m-1)/(m+1)     3 ulp
``sigmoid``  1 / (1 + exp(-x))                              4 ulp
``tanh``     x P(x^2) / Q(x^2), degrees 4 and 4, |x| <= 9   8 ulp
============ ============================================== ==============

The coefficients are minimax fits (Lawson's iterated least squares in extended
precision), made for this project, but for those of ``log`` and ``exp64``, series that
are cut off; ``tests/kernels/test_activations.py`` holds the errors to the table. NaN
comes out as NaN everywhere.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload

from charrnn.kernels.jit import OPTIONS, jit

ZERO = np.float32(0)
ONE = np.float32(1)

#: Slope of leaky relu below zero (Maas et al. 2013).
LEAK = np.float32(0.01)

#: Codes of the vanilla cell's activations, as kernels are told them.
TANH, SIGMOID, RELU, LEAKY_RELU = range(4)

#: The same by the names that a network's configuration has for them.
CODES = {"tanh": TANH, "sigmoid": SIGMOID, "relu": RELU, "leaky-relu": LEAKY_RELU}

_LOG2_E = 1.4426950408889634
_LN2_HIGH = 0.693359375  # few bits, so that n * _LN2_HIGH is exact
_LN2_LOW = -2.12194440054690583e-4
_EXP = (
    1.0,
    1.0,
    0.49999991059303284,
    0.16666419804096222,
    0.041668228805065155,
    0.00837485771626234,
    0.0013836794532835484,
)

#: ln((1 + s) / (1 - s)) = 2 s (1 + s^2 / 3 + s^4 / 5 + ...)
_LOG = (2 / 3, 2 / 5, 2 / 7, 2 / 9)
_SMALLEST_NORMAL = 2.0**-126
_ROOT_OF_HALF = 0x3F3504F3  # the bits of the float32 sqrt(1 / 2)

_TANH_LIMIT = np.float32(9)
_P0 = np.float32(1.0)
_P1 = np.float32(0.13381026685237885)
_P2 = np.float32(0.0034955888986587524)
_P3 = np.float32(2.060909173451364e-05)
_P4 = np.float32(1.3354665817644218e-08)
_Q1 = np.float32(0.4671434164047241)
_Q2 = np.float32(0.025876985862851143)
_Q3 = np.float32(0.00032856359030120075)
_Q4 = np.float32(7.776561687933281e-07)


class _Exponential(NamedTuple):
    """What e^x is made of in one type of numbers: x = n ln 2 + r, e^x = 2^n e^r."""

    real: Any
    integer: Any
    suffix: str  # of the names of LLVM's functions
    limit: float  # either way from 0, where e^x is still a normal number
    ln2_high: float  # few bits, so that n times it is exact
    ln2_low: float
    shift: float  # an integer added to it stands in the low bits
    fraction: int  # bits of the mantissa
    bias: int  # of the exponent
    powers: tuple[float, ...]  # of r


_EXP32 = _Exponential(
    real=ir.FloatType(),
    integer=ir.IntType(32),
    suffix="f32",
    limit=87.0,
    ln2_high=_LN2_HIGH,
    ln2_low=_LN2_LOW,
    shift=1.5 * 2**23,
    fraction=23,
    bias=127,
    powers=_EXP,
)
_EXP64 = _Exponential(
    real=ir.DoubleType(),
    integer=ir.IntType(64),
    suffix="f64",
    limit=708.0,
    ln2_high=_LN2_HIGH,
    ln2_low=_LN2_LOW,
    shift=1.5 * 2**52,
    fraction=52,
    bias=1023,
    powers=tuple(1 / math.factorial(k) for k in range(14)),
)


def _emit_exp(builder: Any, value: Any, of: _Exponential) -> Any:
    """Emit e^x, x clamped, by calls that no fast-math flag can fold away."""
    real, integer = of.real, of.integer
    fma, rint = (
        cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(real, [real] * count), f"{name}.{of.suffix}"
        )
        for name, count in (("llvm.fma", 3), ("llvm.rint", 1))
    )
    # A comparison with NaN is false, so NaN passes through both clamps.
    for limit, order in ((of.limit, ">"), (-of.limit, "<")):
        outside = builder.fcmp_ordered(order, value, real(limit))
        value = builder.select(outside, real(limit), value)
    n = builder.call(rint, [builder.fmul(value, real(_LOG2_E))])
    minus_n = builder.fneg(n)
    r = builder.call(fma, [minus_n, real(of.ln2_high), value])
    r = builder.call(fma, [minus_n, real(of.ln2_low), r])
    power = real(of.powers[-1])
    for coefficient in of.powers[-2::-1]:
        power = builder.call(fma, [power, r, real(coefficient)])
    # Adding the shift puts the integer n into the low bits; 2^n is built there.
    # (A conversion of n to an integer would be undefined for NaN.)
    shifted = builder.fadd(n, real(of.shift))
    bits = builder.add(builder.bitcast(shifted, integer), integer(of.bias))
    scale = builder.bitcast(builder.shl(bits, integer(of.fraction)), real)
    return builder.fmul(power, scale)


@intrinsic  # type: ignore[untyped-decorator]
def _exp32(typing_context: Any, x: Any) -> Any:
    """Emit e^x for one float32."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _emit_exp(builder, args[0], _EXP32)

    return types.float32(types.float32), codegen


@intrinsic  # type: ignore[untyped-decorator]
def _exp64(typing_context: Any, x: Any) -> Any:
    """Emit e^x for one float64; 0 where it is less than a normal number."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        found = _emit_exp(builder, args[0], _EXP64)
        below = builder.fcmp_ordered("<", args[0], _EXP64.real(-_EXP64.limit))
        return builder.select(below, _EXP64.real(0), found)

    return types.float64(types.float64), codegen


@intrinsic  # type: ignore[untyped-decorator]
def _log32(typing_context: Any, x: Any) -> Any:
    """Emit ln x for one float32, by calls that no fast-math flag can fold away."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        real, integer = ir.FloatType(), ir.IntType(32)
        fma = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(real, [real] * 3), "llvm.fma.f32"
        )
        (given,) = args
        tiny = builder.fcmp_ordered("<", given, real(_SMALLEST_NORMAL))
        value = builder.select(tiny, real(_SMALLEST_NORMAL), given)
        # x = 2^n m, with m from sqrt(1/2) to sqrt(2).
        bits = builder.bitcast(value, integer)
        n = builder.ashr(builder.sub(bits, integer(_ROOT_OF_HALF)), integer(23))
        m = builder.bitcast(builder.sub(bits, builder.shl(n, integer(23))), real)
        n = builder.sitofp(n, real)
        s = builder.fdiv(builder.fsub(m, real(1)), builder.fadd(m, real(1)))
        u = builder.fmul(s, s)
        series = real(_LOG[-1])
        for coefficient in _LOG[-2::-1]:
            series = builder.call(fma, [series, u, real(coefficient)])
        low = builder.call(fma, [n, real(_LN2_LOW), builder.fadd(s, s)])
        low = builder.call(fma, [builder.fmul(s, u), series, low])
        found = builder.call(fma, [n, real(_LN2_HIGH), low])
        unknown = builder.fcmp_unordered("uno", given, given)
        return builder.select(unknown, given, found)

    return types.float32(types.float32), codegen


def log(x: Any) -> Any:
    """Natural logarithm; in float32 of a finite x, at least 2^-126."""
    return np.log(x)


@overload(log, jit_options=OPTIONS)  # type: ignore[untyped-decorator]
def _log(x: Any) -> Any:
    def emitted(x: Any) -> Any:
        return _log32(x)

    def library(x: Any) -> Any:
        return np.log(x)

    return emitted if x == types.float32 else library


def exp(x: Any) -> Any:
    """e^x; in float32 for x clamped to [-87, 87]."""
    return np.exp(x)


@overload(exp, jit_options=OPTIONS)  # type: ignore[untyped-decorator]
def _exp(x: Any) -> Any:
    def emitted(x: Any) -> Any:
        return _exp32(x)

    def library(x: Any) -> Any:
        return np.exp(x)

    return emitted if x == types.float32 else library


def exp64(x: float) -> float:
    """e^x in float64, which loops over all characters have in vector code.

    Compiled, it is 0 below -708, so that what is impossible stays so, and e^708 above
    708.
    """
    return float(np.exp(x))


@overload(exp64, jit_options=OPTIONS)  # type: ignore[untyped-decorator]
def _exp64_of(x: Any) -> Any:
    def emitted(x: Any) -> Any:
        return _exp64(np.float64(x))

    return emitted


def tanh(x: Any) -> Any:
    """Hyperbolic tangent."""
    return np.tanh(x)


@overload(tanh, jit_options=OPTIONS)  # type: ignore[untyped-decorator]
def _tanh(x: Any) -> Any:
    def library(x: Any) -> Any:
        return np.tanh(x)

    def rational(x: Any) -> Any:
        # Written so that NaN, for which comparisons are false, passes through.
        x = _TANH_LIMIT if x > _TANH_LIMIT else x
        x = -_TANH_LIMIT if x < -_TANH_LIMIT else x
        u = x * x
        p = _P0 + u * (_P1 + u * (_P2 + u * (_P3 + u * _P4)))
        q = ONE + u * (_Q1 + u * (_Q2 + u * (_Q3 + u * _Q4)))
        y = x * p / q
        y = ONE if y > ONE else y
        return -ONE if y < -ONE else y

    return rational if x == types.float32 else library


@jit
def sigmoid(x: Any) -> Any:
    """Logistic function 1 / (1 + e^-x)."""
    return ONE / (ONE + exp(-x))


@jit
def activate(code: int, x: Any) -> Any:
    """Activation of the vanilla cell, chosen by its code."""
    if code == TANH:
        return tanh(x)
    if code == SIGMOID:
        return sigmoid(x)
    if code == RELU:
        return x if not x < 0 else x * ZERO
    return x if not x < 0 else x * LEAK


@jit
def slope(code: int, y: Any) -> Any:
    """Differentiate `activate` where its value is `y`.

    All four are functions of the value alone, so the pre-activation need not
    be kept. At zero relu takes the slope of the left-hand side, leaky relu that
    of the right-hand side.
    """
    if code == TANH:
        return ONE - y * y
    if code == SIGMOID:
        return y * (ONE - y)
    if code == RELU:
        return y * ZERO if y <= 0 else y * ZERO + ONE
    return y * ZERO + LEAK if y < 0 else y * ZERO + ONE


@jit
def activate_row(code: int, x: Any) -> None:
    """Apply `activate` to every number of x (n,), in place.

    A loop per activation: with the choice inside it LLVM does not vectorize.
    """
    if code == TANH:
        for j in range(x.size):
            x[j] = activate(TANH, x[j])
    elif code == SIGMOID:
        for j in range(x.size):
            x[j] = activate(SIGMOID, x[j])
    elif code == RELU:
        for j in range(x.size):
            x[j] = activate(RELU, x[j])
    else:
        for j in range(x.size):
            x[j] = activate(LEAKY_RELU, x[j])
