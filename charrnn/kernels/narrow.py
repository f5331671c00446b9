"""Some rows by a few vectors of a product with narrow weights, as LLVM vector code.

Generating one text multiplies each weight once a character: what it waits for is
memory, and a narrow weight is less of it. As in `blocks`, LLVM would not vectorize
these loops by itself, and what is emitted checks no bounds; `reduced` is its only
user.

*bfloat16.* Weights stand in pairs, two steps along k in one number of 32 bits. A shift
or a mask makes a float32 of each half, exactly, on any processor; then the block goes
on as that of float32 does, number by number in the same order.

*int8.* Weights stand in fours, and rows in bytes; products are of whole numbers, and
their sums exact in 32 bits, whatever their order: the same on every processor. With
the instructions for it (AVX-512 VNNI) a vector of fours is one multiply-add. Without
them, fours are taken apart into pairs of 16 bits, for a multiply-add that processors
have had for long (``pmaddwd``), whose products of 16 bits do not overflow.
"""

import os
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from charrnn.kernels.blocks import ROWS, VECTOR_BYTES, VECTORS, Emitter, Loop

_I8, _I16, _I32, _I64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))
_REAL = ir.FloatType()

#: 32-bit numbers in a vector.
LANES = VECTOR_BYTES // 4


def _has_dot_products() -> bool:
    """Tell whether code is made for a processor with products of fours of bytes.

    Where Numba's variables name another processor than this one, it is not asked.
    """
    names = ("NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES")
    if VECTOR_BYTES < 64 or any(os.environ.get(name) for name in names):
        return False
    return bool(llvm.get_host_cpu_features().get("avx512vnni"))


#: Whether int8 products are formed by instructions of their own.
DOT_PRODUCTS = _has_dot_products()

#: Rows that one block of int8 takes at a time: their sums of 32 bits fill the
#: registers. Where products of fours have no instruction, they need half of those.
INT8_ROWS = ROWS if DOT_PRODUCTS else max(2, ROWS // 2)


class _Narrow(Emitter):
    """Writes blocks that read narrow weights in vectors of 32-bit numbers."""

    def __init__(self, builder: Any) -> None:
        super().__init__(builder, _REAL, 32)
        self.whole = ir.VectorType(_I32, self.lanes)
        self.halves = ir.VectorType(_I16, 2 * self.lanes)

    def constant(self, number: int) -> Any:
        """Fill a vector of 32-bit numbers with a constant."""
        return ir.Constant(self.whole, [number] * self.lanes)

    def words_at(self, base: Any, *offsets: Any) -> Any:
        """Load a vector of 32-bit numbers some items behind a pointer to any kind."""
        place = self.at(base, *offsets)
        pointer = self.builder.bitcast(place, self.whole.as_pointer())
        return self.builder.load(pointer, align=1)

    def pair(self, words: Any) -> tuple[Any, Any]:
        """Make float32 vectors of the lower and of the upper bfloat16s."""
        builder = self.builder
        lower = builder.shl(words, self.constant(16))
        upper = builder.and_(words, self.constant(-65536))
        return tuple(builder.bitcast(each, self.vector) for each in (lower, upper))

    def splat_at(self, base: Any, place: Any) -> Any:
        """Fill a vector with the float32 some places behind a pointer."""
        return self.splat(self.builder.load(self.at(base, place)), self.vector)

    def four_at(self, base: Any, place: Any) -> Any:
        """Fill a vector with the four bytes some places behind a pointer."""
        four = self.builder.bitcast(self.at(base, place), _I32.as_pointer())
        return self.splat(self.builder.load(four, align=1), self.whole)


class _Int8(_Narrow):
    """Writes blocks of int8.

    Parameters
    ----------
    builder : llvmlite.ir.IRBuilder
    dots : bool
        Whether there are instructions for products of fours.
    """

    def __init__(self, builder: Any, *, dots: bool) -> None:
        super().__init__(builder)
        self._dots = dots
        if dots:
            kind = ir.FunctionType(self.whole, [self.whole] * 3)
            name = f"llvm.x86.avx512.vpdpbusd.{32 * self.lanes}"
            self._dot = cgutils.get_or_insert_function(builder.module, kind, name)

    def prepare_row(self, fours: Any) -> Any:
        """Make of a row's bytes, which have no sign, what `add` wants."""
        if self._dots:
            return fours
        builder, low = self.builder, self.constant(0x00FF00FF)
        even = builder.and_(fours, low)
        odd = builder.and_(builder.lshr(fours, self.constant(8)), low)
        return tuple(builder.bitcast(each, self.halves) for each in (even, odd))

    def prepare_weights(self, fours: Any) -> Any:
        """Make of weights, which have a sign, what `add` wants."""
        if self._dots:
            return fours
        builder = self.builder
        halves = builder.bitcast(fours, self.halves)
        eight = ir.Constant(self.halves, [8] * 2 * self.lanes)
        even = builder.ashr(builder.shl(halves, eight), eight)
        return even, builder.ashr(halves, eight)

    def add(self, total: Any, row: Any, weights: Any) -> Any:
        """Add the products of fours, lane by lane."""
        if self._dots:
            return self.builder.call(self._dot, [total, row, weights])
        for a, b in zip(row, weights, strict=True):
            total = self.builder.add(total, self._sums_of_pairs(a, b))
        return total

    def _sums_of_pairs(self, a: Any, b: Any) -> Any:
        """Multiply numbers of 16 bits and add neighbors: LLVM finds ``pmaddwd``."""
        builder, count = self.builder, self.lanes
        wide = ir.VectorType(_I32, 2 * count)
        product = builder.mul(builder.sext(a, wide), builder.sext(b, wide))
        parts = []
        for first in (0, 1):
            places = [_I32(first + 2 * lane) for lane in range(count)]
            mask = ir.Constant(ir.VectorType(_I32, count), places)
            nothing = ir.Constant(wide, ir.Undefined)
            parts.append(builder.shuffle_vector(product, nothing, mask))
        return builder.add(*parts)


def _panel_place(e: _Narrow, k: Any, panel: Any, v: int) -> tuple[Any, Any]:
    """Find vector v at a turn: 32-bit numbers behind the first panel's beginning."""
    inside = e.builder.mul(k, _I64(VECTORS * e.lanes))
    behind = e.builder.mul(panel, _I64(v // VECTORS))
    return e.builder.add(inside, behind), _I64(v % VECTORS * e.lanes)


def _emit_bfloat16(e: _Narrow, rows: int, vectors: int, operands: Any) -> None:
    """Emit a block of bfloat16; see `make_bfloat16_block`."""
    a, a_row, b, b_panel, c, c_row, depth, columns, accumulate = operands
    builder = e.builder
    grid = [(r, v) for r in range(rows) for v in range(vectors)]
    masks = [e.mask(v, columns) for v in range(vectors)]
    a_rows = [e.at(a, builder.mul(a_row, _I64(r))) for r in range(rows)]
    c_at = {
        (r, v): e.vector_at(c, builder.mul(c_row, _I64(r)), _I64(v * e.lanes))
        for r, v in grid
    }
    starts = e.starts([(c_at[r, v], masks[v]) for r, v in grid], accumulate)
    words = builder.bitcast(b, _I32.as_pointer())

    def turn(loop: Loop, halves: int) -> list[Any]:
        weights = [
            e.pair(e.words_at(words, *_panel_place(e, loop.k, b_panel, v)))
            for v in range(vectors)
        ]
        sums = loop.sums
        for half in range(halves):
            at = builder.add(builder.shl(loop.k, _I64(1)), _I64(half))
            a_k = [e.splat_at(a_rows[r], at) for r in range(rows)]
            sums = [
                e.multiply_add(a_k[r], weights[v][half], total)
                for (r, v), total in zip(grid, sums, strict=True)
            ]
        return loop.close(sums)

    pairs = builder.lshr(depth, _I64(1))
    sums = turn(Loop(builder, starts, _I64(0), pairs), 2)
    # An odd depth has a pair whose second weight is not there.
    all_pairs = builder.lshr(builder.add(depth, _I64(1)), _I64(1))
    sums = turn(Loop(builder, sums, pairs, all_pairs), 1)
    for (r, v), total in zip(grid, sums, strict=True):
        e.store(total, c_at[r, v], masks[v])


def _emit_int8(e: _Int8, rows: int, vectors: int, operands: Any) -> None:
    """Emit a block of int8; see `make_int8_block`."""
    q, q_row, scales, b, b_panel, weights, offsets, c, c_row = operands[:9]
    fours, columns, accumulate = operands[9:]
    builder = e.builder
    grid = [(r, v) for r in range(rows) for v in range(vectors)]
    q_rows = [e.at(q, builder.mul(q_row, _I64(r))) for r in range(rows)]
    begin = [e.words_at(offsets, _I64(v * e.lanes)) for v in range(vectors)]
    loop = Loop(builder, [begin[v] for _, v in grid], _I64(0), fours)
    words = builder.bitcast(b, _I32.as_pointer())
    fours_at = builder.shl(loop.k, _I64(2))
    b_k = [
        e.prepare_weights(e.words_at(words, *_panel_place(e, loop.k, b_panel, v)))
        for v in range(vectors)
    ]
    q_k = [e.prepare_row(e.four_at(q_rows[r], fours_at)) for r in range(rows)]
    totals = [
        e.add(total, q_k[r], b_k[v])
        for (r, v), total in zip(grid, loop.sums, strict=True)
    ]
    totals = loop.close(totals)
    masks = [e.mask(v, columns) for v in range(vectors)]
    c_at = [
        e.vector_at(c, builder.mul(c_row, _I64(r)), _I64(v * e.lanes)) for r, v in grid
    ]
    c_masks = [masks[v] for _, v in grid]
    starts = e.starts([*zip(c_at, c_masks, strict=True)], accumulate)
    for (r, v), total, start, place in zip(grid, totals, starts, c_at, strict=True):
        of_row = e.splat_at(scales, _I64(r))
        of_weights = e.load_whole(e.vector_at(weights, _I64(v * e.lanes)))
        scale = builder.fmul(of_row, of_weights)
        found = builder.sitofp(total, e.vector)
        e.store(e.multiply_add(found, scale, start), place, masks[v])


def _data_of(context: Any, builder: Any, signature: Any, args: Any) -> list[Any]:
    """Take the pointers out of the operands that are arrays."""
    values = list(args)
    for place, kind in enumerate(signature.args):
        if isinstance(kind, types.Array):
            array = context.make_array(kind)
            values[place] = array(context, builder, args[place]).data
    return values


def make_bfloat16_block(rows: int, vectors: int) -> Any:
    """Make the intrinsic of one block with bfloat16 weights, for kernels to call.

    Its operands are those of `blocks.make_block`, but for ``a_step``, which is 1:

    a, a_row
        1-d float32 array from the first number on; numbers from one row to the next.
    b, b_panel
        1-d uint16 array: a panel, VECTORS vectors of pairs for every two k; and
        pairs from one panel to the next.
    c, c_row, depth, columns, accumulate
        Likewise; a depth that is odd has a last pair of one weight.
    """

    @intrinsic  # type: ignore[untyped-decorator]
    def block(
        typing_context: Any,
        a: Any,
        a_row: Any,
        b: Any,
        b_panel: Any,
        c: Any,
        c_row: Any,
        depth: Any,
        columns: Any,
        accumulate: Any,
    ) -> Any:
        size = types.intp
        operands = (a, size, b, size, c, size, size, size, types.boolean)

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            values = _data_of(context, builder, signature, args)
            _emit_bfloat16(_Narrow(builder), rows, vectors, values)
            return context.get_dummy_value()

        return types.void(*operands), codegen

    return block


def make_int8_block(rows: int, vectors: int, *, dots: bool = DOT_PRODUCTS) -> Any:
    """Make the intrinsic of one block with int8 weights, for kernels to call.

    c (+)= scale of the row * scale of the column * (offset + sum of q * b)

    Its operands, in order:

    q, q_row, scales
        1-d uint8 array from the first number on, without a sign; numbers from one row
        to the next, a multiple of 4; and 1-d float32 array, a scale for each row.
    b, b_panel
        1-d int8 array: a panel, VECTORS vectors of fours for every four k; and fours
        from one panel to the next.
    weights, offsets
        1-d float32 and int32 arrays from the first column on, a number for every
        column of the vectors: the scales of weights, and what sums begin at.
    c, c_row
        1-d float32 array from the first result on; numbers from one row to the next.
    fours
        How many fours of k, at least 1.
    columns, accumulate
        As of `blocks.make_block`.
    """

    @intrinsic  # type: ignore[untyped-decorator]
    def block(
        typing_context: Any,
        q: Any,
        q_row: Any,
        scales: Any,
        b: Any,
        b_panel: Any,
        weights: Any,
        offsets: Any,
        c: Any,
        c_row: Any,
        fours: Any,
        columns: Any,
        accumulate: Any,
    ) -> Any:
        size = types.intp
        operands = (
            q, size, scales, b, size, weights, offsets, c, size, size, size,
            types.boolean,
        )  # fmt: skip

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            values = _data_of(context, builder, signature, args)
            _emit_int8(_Int8(builder, dots=dots), rows, vectors, values)
            return context.get_dummy_value()

        return types.void(*operands), codegen

    return block
