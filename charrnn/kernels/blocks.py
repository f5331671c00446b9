"""A few rows by a few vectors of a matrix product, as LLVM vector code.

    c[r, :] (+)= sum over k of a[r, k] * b[k, :]

This is the one place that goes below Numba. LLVM does not vectorize a loop
that stores into c inside the sum, because it cannot know that c does not
overlap a or b; so the block is emitted through `numba.extending.intrinsic`
with its sums in vector registers. Each step along k loads two vectors of b,
broadcasts one number of a per row, and does one fused multiply-add per row and
vector. ``<16 x float>`` and the like are LLVM's own types: it splits them where
the machine's registers are narrower.

Emitted code checks no bounds and does not exist when the JIT is off. Its users are
Emitted code checks no bounds and does not exist when the JIT is off. Its users are
`matmul` and, for pairs of bfloat16, `bfloat16_blocks`, and for the narrow weights of
sampling `narrow`; their tests put guard cells around every array.
"""

from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic


def _block_shape() -> tuple[int, int]:
    """Choose the bytes of a vector, and the rows whose sums fit the registers.

    Two sums per row, two vectors of b and one broadcast must fit the machine's
    vector registers: 32 with AVX-512 and on ARM, 16 with AVX2 and below.
    """
    features = llvm.get_host_cpu_features()
    if features.get("avx512f"):
        return 64, 8
    if features.get("avx2"):
        return 32, 4
    return 16, 8 if features.get("neon") else 4


VECTOR_BYTES, ROWS = _block_shape()

#: Vectors side by side in a full block, and in a panel of b.
VECTORS = 2

_I32, _I64 = ir.IntType(32), ir.IntType(64)


class Emitter:
    """Writes the code of one block; see `make_block` for the operands.

    Parameters
    ----------
    builder : llvmlite.ir.IRBuilder
    real : llvmlite.ir.Type
        float or double.
    bits : int
        Of a number.
    """

    def __init__(self, builder: Any, real: Any, bits: int) -> None:
        self.builder = builder
        self.align = bits // 8
        self.lanes = VECTOR_BYTES // self.align
        self.vector = ir.VectorType(real, self.lanes)
        self.pointer = self.vector.as_pointer()
        self.zero = ir.Constant(self.vector, [0.0] * self.lanes)
        flags = ir.VectorType(ir.IntType(1), self.lanes)
        self._fma = self._declare("llvm.fma", "", self.vector, [self.vector] * 3)
        self._load = self._declare(
            "llvm.masked.load",
            ".p0",
            self.vector,
            [self.pointer, _I32, flags, self.vector],
        )
        self._store = self._declare(
            "llvm.masked.store",
            ".p0",
            ir.VoidType(),
            [self.vector, self.pointer, _I32, flags],
        )

    def _declare(self, name: str, suffix: str, result: Any, operands: Any) -> Any:
        """Declare one of LLVM's intrinsic functions for our vector type."""
        full = f"{name}.v{self.lanes}f{self.align * 8}{suffix}"
        kind = ir.FunctionType(result, operands)
        return cgutils.get_or_insert_function(self.builder.module, kind, full)

    def at(self, base: Any, *offsets: Any) -> Any:
        """Point some numbers behind a pointer."""
        for offset in offsets:
            base = self.builder.gep(base, [offset])
        return base

    def vector_at(self, base: Any, *offsets: Any) -> Any:
        """Point to a vector some numbers behind a pointer."""
        return self.builder.bitcast(self.at(base, *offsets), self.pointer)

    def splat(self, number: Any, kind: Any) -> Any:
        """Fill a vector with one number."""
        undefined = ir.Constant(kind, ir.Undefined)
        first = self.builder.insert_element(undefined, number, _I32(0))
        zeros = ir.Constant(ir.VectorType(_I32, self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(first, undefined, zeros)

    def mask(self, v: int, columns: Any) -> Any:
        """Flag the lanes of vector v that stand left of the last column."""
        kind = ir.VectorType(_I64, self.lanes)
        first = v * self.lanes
        places = ir.Constant(kind, list(range(first, first + self.lanes)))
        return self.builder.icmp_signed("<", places, self.splat(columns, kind))

    def load(self, pointer: Any, mask: Any) -> Any:
        """Load the flagged lanes, zeros for the others."""
        operands = [pointer, _I32(self.align), mask, self.zero]
        return self.builder.call(self._load, operands)

    def store(self, value: Any, pointer: Any, mask: Any) -> None:
        """Store the flagged lanes."""
        self.builder.call(self._store, [value, pointer, _I32(self.align), mask])

    def load_whole(self, pointer: Any) -> Any:
        """Load a vector from anywhere."""
        value = self.builder.load(pointer)
        value.align = self.align
        return value

    def multiply_add(self, a: Any, b: Any, c: Any) -> Any:
        """Form a * b + c, rounded once."""
        return self.builder.call(self._fma, [a, b, c])


def _emit(emitter: Emitter, rows: int, vectors: int, operands: Any) -> None:
    """Emit the block: begin from zeros or from c, walk along k, store."""
    a, a_row, a_step, b, b_panel, c, c_row, depth, columns, accumulate = operands
    e, builder = emitter, emitter.builder
    grid = [(r, v) for r in range(rows) for v in range(vectors)]
    masks = [e.mask(v, columns) for v in range(vectors)]
    a_rows = [e.at(a, builder.mul(a_row, _I64(r))) for r in range(rows)]
    c_at = {
        (r, v): e.vector_at(c, builder.mul(c_row, _I64(r)), _I64(v * e.lanes))
        for r, v in grid
    }
    entry = builder.block
    begin, loop, end = (
        builder.append_basic_block(name) for name in ("begin", "along_k", "end")
    )
    builder.cbranch(accumulate, begin, loop)

    builder.position_at_end(begin)
    start = {(r, v): e.load(c_at[r, v], masks[v]) for r, v in grid}
    builder.branch(loop)

    builder.position_at_end(loop)
    k = builder.phi(_I64)
    sums = {place: builder.phi(e.vector) for place in grid}
    row = builder.mul(k, _I64(VECTORS * e.lanes))
    b_k = []
    for v in range(vectors):
        panel = builder.mul(b_panel, _I64(v // VECTORS))
        place = _I64(v % VECTORS * e.lanes)
        b_k.append(e.load_whole(e.vector_at(b, panel, row, place)))
    step = builder.mul(k, a_step)
    a_k = [e.splat(builder.load(e.at(a_rows[r], step)), e.vector) for r in range(rows)]
    totals = {(r, v): e.multiply_add(a_k[r], b_k[v], sums[r, v]) for r, v in grid}
    following = builder.add(k, _I64(1))
    builder.cbranch(builder.icmp_signed("<", following, depth), loop, end)
    for origin, value in ((entry, _I64(0)), (begin, _I64(0)), (loop, following)):
        k.add_incoming(value, origin)
    for place in grid:
        sums[place].add_incoming(e.zero, entry)
        sums[place].add_incoming(start[place], begin)
        sums[place].add_incoming(totals[place], loop)

    builder.position_at_end(end)
    for r, v in grid:
        e.store(totals[r, v], c_at[r, v], masks[v])


def make_block(rows: int, vectors: int, kind: type[Emitter] = Emitter) -> Any:
    """Make the intrinsic of one block shape, for kernels to call.

    `kind` writes it.

    Its operands, in order:

    a, a_row, a_step
        1-d array from the first number on; numbers from one row to the next,
        and from one k to the next.
    b, b_panel
        1-d array: a panel, VECTORS vectors for every k; and numbers from one
        panel to the next, for blocks of more vectors than a panel has.
    c, c_row
        1-d array from the first result on; numbers from one row to the next.
    depth
        How many k, at least 1.
    columns
        Columns of c that may be touched, from the first result on; those
        beyond the block's width do not matter.
    accumulate
        Whether to begin from c.
    """

    @intrinsic  # type: ignore[untyped-decorator]
    def block(
        typing_context: Any,
        a: Any,
        a_row: Any,
        a_step: Any,
        b: Any,
        b_panel: Any,
        c: Any,
        c_row: Any,
        depth: Any,
        columns: Any,
        accumulate: Any,
    ) -> Any:
        size = types.intp
        operands = (a, size, size, b, size, c, size, size, size, types.boolean)

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            values = list(args)
            for place in (0, 3, 5):
                array = context.make_array(signature.args[place])
                values[place] = array(context, builder, args[place]).data
            dtype = signature.args[0].dtype
            emitter = kind(builder, context.get_value_type(dtype), dtype.bitwidth)
            _emit(emitter, rows, vectors, values)
            return context.get_dummy_value()

        return types.void(*operands), codegen

    return block
