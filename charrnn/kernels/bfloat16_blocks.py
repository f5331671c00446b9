"""A few rows by a few columns of a product in bfloat16, as emitted code.

    c[r, x] (+)= sum over k of a[r, k] * b[k, x]        a, b bfloat16; c float32

Beside `blocks`, this is the one place that goes below Numba. Numbers of bfloat16 stand
in *pairs* along k, the one with the even k in the lower half of 32 bits: processors
multiply two pairs and add both products to one sum.

*Vectors* (AVX-512 BF16): the block of `blocks`, with pairs in place of numbers.

*Tiles* (AMX): a tile has 16 rows of 64 bytes. One instruction multiplies 16 rows of
16 pairs, a tile of a, by 16 pairs of 16 columns, a tile of b, and adds the results to
16 x 16 sums, a third tile. A block has two by two of these. There are eight tiles in
all, and a thread says how it divides them (`configure_tiles`) before it uses any.

Emitted code checks no bounds and does not exist when the JIT is off.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from charrnn.kernels.blocks import LINE_BYTES, Emitter, make_block

#: Rows of a tile; pairs in each, or columns of float32.
TILE = 16

#: Pairs of a tile.
TILE_PAIRS = TILE * TILE

_I1, _I8, _I32, _I64 = (ir.IntType(bits) for bits in (1, 8, 32, 64))
_BYTES = _I8.as_pointer()
_REALS = ir.VectorType(ir.FloatType(), TILE)
_HALVES = ir.VectorType(ir.IntType(16), 2 * TILE)


class _BFloat(ir.types.Type):  # type: ignore[misc]
    """LLVM's type of a bfloat16, which llvmlite has no name for."""

    def _to_string(self) -> str:
        return "bfloat"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, type(self))

    def __hash__(self) -> int:
        return hash(type(self))


class _PairEmitter(Emitter):
    """Writes blocks of pairs: a float32 stands for the 32 bits of a pair."""

    def multiply_add(self, a: Any, b: Any, c: Any) -> Any:
        """Add the two products of two pairs to c."""
        narrow = ir.VectorType(_BFloat(), 2 * self.lanes)
        kind = ir.FunctionType(self.vector, [self.vector, narrow, narrow])
        name = "llvm.x86.avx512bf16.dpbf16ps.512"
        product = cgutils.get_or_insert_function(self.builder.module, kind, name)
        operands = (self.builder.bitcast(each, narrow) for each in (a, b))
        return self.builder.call(product, [c, *operands])


def make_pair_block(rows: int, vectors: int) -> Any:
    """Make a block of vectors: `blocks.make_block`, for pairs of bfloat16.

    Its a and b are float32 arrays, each number of which has the bits of a pair; what it
    calls k is a pair.
    """
    return make_block(rows, vectors, _PairEmitter)


def _call(builder: Any, name: str, *operands: Any) -> None:
    """Call one of LLVM's intrinsic functions that return nothing."""
    kind = ir.FunctionType(ir.VoidType(), [each.type for each in operands])
    function = cgutils.get_or_insert_function(builder.module, kind, name)
    builder.call(function, operands)


def _pointer(context: Any, builder: Any, kind: Any, array: Any) -> Any:
    """Point to an array's first byte."""
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(data, _BYTES)


@intrinsic  # type: ignore[untyped-decorator]
def configure_tiles(typing_context: Any) -> Any:
    """Divide this thread's tiles into eight of 16 rows of 64 bytes, of palette 1."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        # Palette; 15 bytes; bytes a row, two bytes for each of 16 tiles; rows of each.
        plan = [1, *[0] * 15, *[4 * TILE, 0] * 8, *[0] * 16, *[TILE] * 8, *[0] * 8]
        kind = ir.ArrayType(_I8, len(plan))
        place = cgutils.global_constant(
            builder.module, "charrnn.tiles", ir.Constant(kind, bytearray(plan))
        )
        _call(builder, "llvm.x86.ldtilecfg", builder.bitcast(place, _BYTES))
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic  # type: ignore[untyped-decorator]
def release_tiles(typing_context: Any) -> Any:
    """Give the tiles back: a thread without any is quicker to be interrupted."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        _call(builder, "llvm.x86.tilerelease")
        return context.get_dummy_value()

    return types.void(), codegen


def _emit_tiles(builder: Any, height: int, operands: Any) -> None:
    """Emit a block of `height` by two tiles of sums, in tiles 0 to 3."""
    a, a_next, b, c, c_row, c_ahead, depth, accumulate = operands
    row = builder.mul(c_row, _I64(4))
    corners = [c, builder.gep(c, [_I64(4 * TILE)])]
    if height == 2:
        below = builder.mul(row, _I64(TILE))
        corners += [builder.gep(corner, [below]) for corner in corners]
    with builder.if_then(builder.icmp_signed("!=", c_ahead, _I64(0))):
        following = builder.gep(c, [builder.mul(c_ahead, _I64(4))])
        for r in range(height * TILE):
            first = builder.gep(following, [builder.mul(row, _I64(r))])
            for line in (first, builder.gep(first, [_I64(LINE_BYTES)])):
                # To be read, and kept in the second-level cache.
                _call(builder, "llvm.prefetch.p0", line, _I32(0), _I32(2), _I32(1))
    begin, zeros, loop, end = (
        builder.append_basic_block(n) for n in ("begin", "zeros", "along_k", "end")
    )
    builder.cbranch(accumulate, begin, zeros)

    builder.position_at_end(begin)
    for q, corner in enumerate(corners):
        _call(builder, "llvm.x86.tileloadd64", _I8(q), corner, row)
    builder.branch(loop)

    builder.position_at_end(zeros)
    for q in range(len(corners)):
        _call(builder, "llvm.x86.tilezero", _I8(q))
    builder.branch(loop)

    builder.position_at_end(loop)
    k = builder.phi(_I64)
    a_tile = builder.gep(a, [builder.mul(k, _I64(4 * TILE_PAIRS))])
    b_tile = builder.gep(b, [builder.mul(k, _I64(8 * TILE_PAIRS))])
    # A tile of a is whole; of b there are two side by side, in rows of 32 pairs.
    _call(builder, "llvm.x86.tileloadd64", _I8(4), a_tile, _I64(4 * TILE))
    _call(builder, "llvm.x86.tileloadd64", _I8(6), b_tile, _I64(8 * TILE))
    if height == 2:
        lower = builder.gep(a_tile, [builder.mul(a_next, _I64(4))])
        _call(builder, "llvm.x86.tileloadd64", _I8(5), lower, _I64(4 * TILE))
    right = builder.gep(b_tile, [_I64(4 * TILE)])
    _call(builder, "llvm.x86.tileloadd64", _I8(7), right, _I64(8 * TILE))
    for q in range(len(corners)):
        _call(builder, "llvm.x86.tdpbf16ps", _I8(q), _I8(4 + q // 2), _I8(6 + q % 2))
    following = builder.add(k, _I64(1))
    builder.cbranch(builder.icmp_signed("<", following, depth), loop, end)
    for origin, value in ((begin, _I64(0)), (zeros, _I64(0)), (loop, following)):
        k.add_incoming(value, origin)

    builder.position_at_end(end)
    for q, corner in enumerate(corners):
        _call(builder, "llvm.x86.tilestored64", _I8(q), corner, row)


def make_tile_block(height: int) -> Any:
    """Make the intrinsic of a block of `height` (1 or 2) by two tiles of sums.

    Its operands, in order:

    a, a_next
        1-d array of pairs, in tiles one behind another along k; and pairs from these
        tiles to those of the next 16 rows.
    b
        1-d array of pairs: a panel, 32 columns for every pair along k.
    c, c_row, c_ahead
        1-d float32 array from the first result on; numbers from one row to the next;
        and numbers from c to the results that this block fetches, or 0.
    depth
        How many tiles along k, at least 1.
    accumulate
        Whether to begin from c.
    """

    @intrinsic  # type: ignore[untyped-decorator]
    def block(
        typing_context: Any, a: Any, a_next: Any, b: Any, c: Any, c_row: Any,
        c_ahead: Any, depth: Any, accumulate: Any,
    ) -> Any:  # fmt: skip
        size = types.intp
        operands = (a, size, b, c, size, size, size, types.boolean)

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            values = list(args)
            for place in (0, 2, 3):
                kind = signature.args[place]
                values[place] = _pointer(context, builder, kind, args[place])
            _emit_tiles(builder, height, values)
            return context.get_dummy_value()

        return types.void(*operands), codegen

    return block


def _narrow(builder: Any, low: Any, high: Any) -> Any:
    """Round two vectors of float32, as the processor does: 32 numbers of 16 bits."""
    kind = ir.FunctionType(ir.VectorType(_BFloat(), 2 * TILE), [_REALS, _REALS])
    name = "llvm.x86.avx512bf16.cvtne2ps2bf16.512"
    function = cgutils.get_or_insert_function(builder.module, kind, name)
    return builder.bitcast(builder.call(function, [high, low]), _HALVES)


def _vector_at(builder: Any, base: Any, place: Any, size: int, kind: Any) -> Any:
    """Point to a vector behind so many numbers of `size` bytes."""
    at = builder.gep(base, [builder.mul(place, _I64(size))])
    return builder.bitcast(at, kind.as_pointer())


def _reals_at(builder: Any, base: Any, place: Any) -> Any:
    """Load 16 float32 from anywhere."""
    found = builder.load(_vector_at(builder, base, place, 4, _REALS))
    found.align = 4
    return found


def _joined(builder: Any, base: Any, low: Any, high: Any) -> Any:
    """Load 16 and 16 numbers of 16 bits, and join them to one vector."""
    kind = ir.VectorType(ir.IntType(16), TILE)
    places = (_vector_at(builder, base, place, 2, kind) for place in (low, high))
    loaded = [builder.load(place) for place in places]
    for one in loaded:
        one.align = 2
    order = ir.Constant(ir.VectorType(_I32, 2 * TILE), [*range(2 * TILE)])
    return builder.shuffle_vector(*loaded, order)


@intrinsic  # type: ignore[untyped-decorator]
def narrow_32(
    typing_context: Any, source: Any, first: Any, target: Any, at: Any
) -> Any:
    """Round 32 float32 to bfloat16: `bfloat16.narrowed`, by one instruction.

    The bits of a NaN may be others.

    Parameters
    ----------
    source : 1-d float32 array
    first : int
        Where in it they begin.
    target : 1-d uint16 array
    at : int
        Where in it they go.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kinds = signature.args
        begin = _pointer(context, builder, kinds[0], args[0])
        out = _pointer(context, builder, kinds[2], args[2])
        low = _reals_at(builder, begin, args[1])
        high = _reals_at(builder, begin, builder.add(args[1], _I64(TILE)))
        place = _vector_at(builder, out, args[3], 2, _HALVES)
        builder.store(_narrow(builder, low, high), place).align = 2
        return context.get_dummy_value()

    return types.void(source, types.intp, target, types.intp), codegen


@intrinsic  # type: ignore[untyped-decorator]
def pair_16(
    typing_context: Any, source: Any, low: Any, high: Any, target: Any, at: Any
) -> Any:
    """Round 16 and 16 float32 to bfloat16, and pair them: `bfloat16.paired`.

    The bits of a NaN may be others.

    Parameters
    ----------
    source : 1-d float32 array, or uint16 array of bfloat16, of which nothing is rounded
    low, high : int
        Where in it they begin.
    target : 1-d uint32 array
    at : int
        Where in it the pairs go.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kinds = signature.args
        begin = _pointer(context, builder, kinds[0], args[0])
        out = _pointer(context, builder, kinds[3], args[3])
        if kinds[0].dtype == types.uint16:
            halves = _joined(builder, begin, *args[1:3])
        else:
            below, above = (_reals_at(builder, begin, place) for place in args[1:3])
            halves = _narrow(builder, below, above)
        places = [_I32(TILE * half + k) for k in range(TILE) for half in range(2)]
        mask = ir.Constant(ir.VectorType(_I32, 2 * TILE), places)
        pairs = builder.shuffle_vector(halves, ir.Constant(_HALVES, ir.Undefined), mask)
        builder.store(pairs, _vector_at(builder, out, args[4], 4, _HALVES)).align = 4
        return context.get_dummy_value()

    size = types.intp
    return types.void(source, size, size, target, size), codegen
