"""A few rows by a few vectors of a matrix product, as LLVM vector code.

    c[r, :] (+)= sum over k of a[r, k] * b[k, :]

LLVM does not vectorize a loop
that stores into c inside the sum, because it cannot know that c does not
overlap a or b; so the block is emitted through `numba.extending.intrinsic`
with its sums in vector registers. Each step along k loads two vectors of b,
broadcasts one number of a per row, and does one fused multiply-add per row and
vector. ``<16 x float>`` and the like are LLVM's own types: it splits them where
the machine's registers are narrower.

Weights of large layers come from the third-level cache, which processors fetch too
late by themselves: a block that reads a panel therefore fetches some of the next ones,
too (`rows.KEPT_BYTES` says from which size on). By three matrices of 1024 x 4096 in
turn, 32 rows ran at 305 to 327 GFLOP/s instead of 181 to 210 on an Intel Xeon, and at
408 to 446 instead of 350 on a Zen 5 (`benchmarks/products.py`). So are sums that are
added to again and again, those of gradients.

Emitted code checks no bounds and does not exist when the JIT is off. Its users are
`rows`, for pairs of bfloat16 `bfloat16_blocks`, and for the narrow weights of sampling
`narrow`; their tests put guard cells around every array.
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

#: Of memory, what a cache takes up at once.
LINE_BYTES = 64

#: Bytes of the next panel that a block fetches for every k: half of what it reads
#: itself with AVX-512, so that two blocks of rows have fetched a panel.
FETCHED_BYTES = LINE_BYTES

#: How many k a turn of the loop takes.
STEPS = 4

_I32, _I64 = ir.IntType(32), ir.IntType(64)
_BYTES = ir.IntType(8).as_pointer()


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

    def starts(self, places: list[tuple[Any, Any]], accumulate: Any) -> list[Any]:
        """Load what sums begin from, or begin from zeros.

        Where nothing is accumulated, nothing is loaded, since it may be in no cache:
        loads without a lane that counts waited for it on a Zen 5, and a GRU 2 x 256
        took 14.3 ms instead of 12.0 for its way forward (`benchmarks/breakdown.py`).

        Parameters
        ----------
        places : list of (pointer, mask)
            See `load`.
        accumulate : value
            Whether anything is loaded.

        Returns
        -------
        list of values
            A vector for each place.
        """
        builder, before = self.builder, self.builder.block
        begin, then = (builder.append_basic_block(name) for name in ("begin", "then"))
        builder.cbranch(accumulate, begin, then)
        builder.position_at_end(begin)
        loaded = [self.load(pointer, mask) for pointer, mask in places]
        builder.branch(then)
        builder.position_at_end(then)
        phis = [builder.phi(self.vector) for _ in places]
        for phi, value in zip(phis, loaded, strict=True):
            phi.add_incoming(self.zero, before)
            phi.add_incoming(value, begin)
        return phis

    def fetch(self, base: Any, *offsets: Any) -> None:
        """Have a line of memory brought into the second-level cache, if it exists."""
        place = self.builder.bitcast(self.at(base, *offsets), _BYTES)
        kind = ir.FunctionType(ir.VoidType(), [_BYTES, _I32, _I32, _I32])
        function = cgutils.get_or_insert_function(
            self.builder.module, kind, "llvm.prefetch.p0"
        )
        # To be read; wanted again, but not at once; data.
        self.builder.call(function, [place, _I32(0), _I32(2), _I32(1)])


class Loop:
    """Sums that a loop along k carries from turn to turn.

    Parameters
    ----------
    builder : llvmlite.ir.IRBuilder
    starts : list of values
        The sums before the first turn, as the current block has them.
    first, last : value
        Where k begins, and what it stays below.
    steps : int
        How many k a turn takes: turns go on as long as there are so many left, and
        `k` is then the first that is left over.
    """

    def __init__(
        self, builder: Any, starts: list[Any], first: Any, last: Any, steps: int = 1
    ) -> None:
        self._builder = builder
        before = builder.block
        self._head, body, self._end = (
            builder.append_basic_block(name) for name in ("head", "along_k", "end")
        )
        builder.branch(self._head)
        builder.position_at_end(self._head)
        self.k = builder.phi(_I64)
        self.k.add_incoming(first, before)
        self.sums = [builder.phi(start.type) for start in starts]
        for phi, start in zip(self.sums, starts, strict=True):
            phi.add_incoming(start, before)
        self._following = builder.add(self.k, _I64(steps))
        builder.cbranch(
            builder.icmp_signed("<=", self._following, last), body, self._end
        )
        builder.position_at_end(body)

    def close(self, totals: list[Any]) -> list[Any]:
        """End a turn with these sums; what is emitted next comes after the loop.

        Returns
        -------
        list of values
            The sums after the last turn.
        """
        builder = self._builder
        self.k.add_incoming(self._following, builder.block)
        for phi, total in zip(self.sums, totals, strict=True):
            phi.add_incoming(total, builder.block)
        builder.branch(self._head)
        builder.position_at_end(self._end)
        return self.sums


def _emit(e: Emitter, rows: int, vectors: int, operands: Any) -> None:
    """Emit the block: begin from zeros or from c, walk along k, store."""
    a, a_row, a_step, b, b_panel, b_ahead, c, c_row, c_ahead = operands[:9]
    depth, columns, accumulate = operands[9:]
    builder = e.builder
    grid = [(r, v) for r in range(rows) for v in range(vectors)]
    masks = [e.mask(v, columns) for v in range(vectors)]
    a_rows = [e.at(a, builder.mul(a_row, _I64(r))) for r in range(rows)]
    c_rows = [e.at(c, builder.mul(c_row, _I64(r))) for r in range(rows)]
    c_at = {(r, v): e.vector_at(c_rows[r], _I64(v * e.lanes)) for r, v in grid}
    starts = e.starts([(c_at[r, v], masks[v]) for r, v in grid], accumulate)

    def turn(loop: Loop, steps: int) -> list[Any]:
        sums = dict(zip(grid, loop.sums, strict=True))
        for q in range(steps):
            k = builder.add(loop.k, _I64(q))
            row = builder.mul(k, _I64(VECTORS * e.lanes))
            b_k = []
            for v in range(vectors):
                panel = builder.mul(b_panel, _I64(v // VECTORS))
                place = _I64(v % VECTORS * e.lanes)
                b_k.append(e.load_whole(e.vector_at(b, panel, row, place)))
            # With `b_ahead` 0 this meets what the block reads itself, which costs less
            # than a branch; where vectors have 16 bytes, also what lies behind it.
            if steps == STEPS and rows >= ROWS:
                e.fetch(b, b_ahead, builder.mul(k, _I64(FETCHED_BYTES // e.align)))
            step = builder.mul(k, a_step)
            for r in range(rows):
                a_k = e.splat(builder.load(e.at(a_rows[r], step)), e.vector)
                for v in range(vectors):
                    sums[r, v] = e.multiply_add(a_k, b_k[v], sums[r, v])
        return loop.close([sums[place] for place in grid])

    sums, first = starts, _I64(0)
    if rows >= ROWS:
        with builder.if_then(builder.icmp_signed("!=", c_ahead, _I64(0))):
            for r in range(rows):
                for line in range(0, vectors * VECTOR_BYTES, LINE_BYTES):
                    e.fetch(c_rows[r], c_ahead, _I64(line // e.align))
    # Counting and branching at every step cost a tenth where a single row takes several
    # panels.
    if rows >= ROWS or vectors > VECTORS:
        fours = Loop(builder, sums, first, depth, steps=STEPS)
        sums, first = turn(fours, STEPS), fours.k
    sums = turn(Loop(builder, sums, first, depth), 1)
    for (r, v), total in zip(grid, sums, strict=True):
        e.store(total, c_at[r, v], masks[v])


def make_block(rows: int, vectors: int, kind: type[Emitter] = Emitter) -> Any:
    """Make the intrinsic of one block shape, for kernels to call.

    `kind` writes it.

    Its operands, in order:

    a, a_row, a_step
        1-d array from the first number on; numbers from one row to the next,
        and from one k to the next.
    b, b_panel, b_ahead
        1-d array: a panel, VECTORS vectors for every k; numbers from one
        panel to the next, for blocks of more vectors than a panel has; and
        numbers from b to what is read after it, FETCHED_BYTES of which a block
        of ROWS rows fetches for every k; 0 for nothing.
    c, c_row, c_ahead
        1-d array from the first result on; numbers from one row to the next; and
        numbers from c to the block that is mostly formed next, which a block of
        ROWS rows fetches; 0 for nothing.
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
        b_ahead: Any,
        c: Any,
        c_row: Any,
        c_ahead: Any,
        depth: Any,
        columns: Any,
        accumulate: Any,
    ) -> Any:
        size = types.intp
        operands = (
            a, size, size, b, size, size, c, size, size, size, size, types.boolean
        )  # fmt: skip

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            values = list(args)
            for place in (0, 3, 6):
                array = context.make_array(signature.args[place])
                values[place] = array(context, builder, args[place]).data
            dtype = signature.args[0].dtype
            emitter = kind(builder, context.get_value_type(dtype), dtype.bitwidth)
            _emit(emitter, rows, vectors, values)
            return context.get_dummy_value()

        return types.void(*operands), codegen

    return block
