"""Vectors of eight for sums over pairs: rows gathered by numbers, inverse roots, powers and polynomials of distances.

Rows of four float64 lie side by side in a flat array that begins at a multiple of 32 bytes: coordinates and charge of
a point are one load. Eight of them become four vectors by shuffles, quicker than the machine's own gathers. Built from
``vectors``, with the same fallback.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from .simd_compress import LANES, has_features
from .vectors import VECTORS, Vector, build, element, elements, fused, join, lanes_of, splat

__all__ = [
    "QUAD",
    "add_quads",
    "aligned",
    "inverse_root",
    "keep_below",
    "least",
    "load_quads",
    "lower",
    "polynomials",
    "power",
    "reload",
    "sums_of",
]

QUAD = 4  # numbers in a row
ALIGNED = 32  # bytes
ESTIMATES = VECTORS and has_features("avx512f")
EIGHT = Vector(types.float64, LANES)
_INT, _LONG, _DOUBLE = ir.IntType(32), ir.IntType(64), ir.DoubleType()
_FOUR = ir.VectorType(_DOUBLE, QUAD)
# Lanes of two vectors that make one: pairs of rows, then pairs of these; see ``_columns``.
_EVEN, _ODD = [0, 8, 2, 10, 4, 12, 6, 14], [1, 9, 3, 11, 5, 13, 7, 15]
_FRONT, _BACK = [0, 1, 8, 9, 4, 5, 12, 13], [2, 3, 10, 11, 6, 7, 14, 15]


def aligned(count: int, columns: int) -> np.ndarray:
    """An array (count, columns or some more) of float64, not set, of which every row begins with a line of the cache.

    Parameters
    ----------
    count, columns : int
        How many rows, and numbers in each that are wanted.
    """
    line = 64 // 8
    width = -(-columns // line) * line
    memory = np.empty(count * width + line)
    begin = -(memory.ctypes.data // 8) % line
    return memory[begin : begin + count * width].reshape(count, width)


def _constant(kind, number: float):
    """The LLVM vector, or scalar, with this number in every lane."""
    return ir.Constant(kind, [number] * kind.count if isinstance(kind, ir.VectorType) else number)


def _call(builder, name: str, kind, *operands):
    """An LLVM intrinsic of float64 with operands and a result of one kind."""
    suffix = f"v{kind.count}f64" if isinstance(kind, ir.VectorType) else "f64"
    function = ir.FunctionType(kind, [kind] * len(operands))
    return builder.call(cgutils.get_or_insert_function(builder.module, function, f"{name}.{suffix}"), operands)


def _rows(context, builder, kinds, rows, index, at, owner=None) -> list:
    """Addresses of the first numbers of the eight rows index[at:at + 8], or owner[index[at:at + 8]] (type, value)."""
    first, addresses = element(context, builder, kinds[1], index, at), []
    for lane in range(LANES):
        number = builder.sext(builder.load(builder.gep(first, [_LONG(lane)])), _LONG)
        if owner is not None:
            number = builder.sext(builder.load(element(context, builder, owner[0], owner[1], number)), _LONG)
        addresses.append(element(context, builder, kinds[0], rows, builder.shl(number, _LONG(2))))
    return addresses


def _columns(builder, rows: list) -> list:
    """The four vectors of eight that are the columns of eight rows of four."""
    both = [builder.shuffle_vector(rows[i], rows[i + 4], lanes_of(list(range(8)))) for i in range(4)]
    even, odd = ([builder.shuffle_vector(both[i], both[i + 1], lanes_of(k)) for i in (0, 2)] for k in (_EVEN, _ODD))
    return [builder.shuffle_vector(*half, lanes_of(k)) for k in (_FRONT, _BACK) for half in (even, odd)]


@intrinsic
def load_quads(typing_context, rows, index, at):
    """The columns, four vectors, of the eight rows ``index[at:at + 8]``.

    Parameters
    ----------
    rows : (4 n,) float64
        Rows of four, from a multiple of 32 bytes on.
    index : (…,) int32
        Numbers of rows.
    at : int
        Where in ``index``.
    """

    def _generate(context, builder, signature, arguments):
        starts, kind = _rows(context, builder, signature.args, *arguments), context.get_value_type(EIGHT)
        if VECTORS:
            pointers = [builder.bitcast(start, _FOUR.as_pointer()) for start in starts]
            columns = _columns(builder, [builder.load(pointer, align=ALIGNED) for pointer in pointers])
        else:
            columns = [
                join(builder, [builder.load(builder.gep(start, [_LONG(c)])) for start in starts], kind)
                for c in range(QUAD)
            ]
        return context.make_tuple(builder, signature.return_type, columns)

    return types.containers.UniTuple(EIGHT, QUAD)(rows, index, types.intp), _generate


@intrinsic
def add_quads(typing_context, rows, owner, index, at, first, second, third, fourth):
    """Add four columns to the eight rows ``owner[index[at:at + 8]]``, one after the other: they may be the same.

    Parameters
    ----------
    rows, index, at
        As for ``load_quads``; added to.
    owner : (…,) int32
        The row that belongs to each number of ``index``.
    first, second, third, fourth : Vector of eight float64
        The columns.
    """

    def _generate(context, builder, signature, arguments):
        (rows, owner, index, at), columns = arguments[:4], arguments[4:]
        starts = _rows(
            context, builder, (signature.args[0], signature.args[2]), rows, index, at, (signature.args[1], owner)
        )
        if not VECTORS:
            for lane, start in enumerate(starts):
                for c, column in enumerate(columns):
                    pointer = builder.gep(start, [_LONG(c)])
                    builder.store(builder.fadd(builder.load(pointer), builder.extract_value(column, lane)), pointer)
            return context.get_dummy_value()
        pairs = [[builder.shuffle_vector(*columns[c : c + 2], lanes_of(k)) for c in (0, 2)] for k in (_EVEN, _ODD)]
        for lane, start in enumerate(starts):
            k = lane // 2 * 2
            row = builder.shuffle_vector(*pairs[lane % 2], lanes_of([k, k + 1, 8 + k, 9 + k]))
            pointer = builder.bitcast(start, _FOUR.as_pointer())
            builder.store(builder.fadd(builder.load(pointer, align=ALIGNED), row), pointer, align=ALIGNED)
        return context.get_dummy_value()

    return types.void(rows, owner, index, types.intp, EIGHT, EIGHT, EIGHT, EIGHT), _generate


def _estimated(builder, x):
    """1/√x from the machine's 14 bits and one step of third order, which leaves an error of 2^−53."""
    kind = x.type
    function = ir.FunctionType(kind, [kind, kind, ir.IntType(8)])
    estimate = cgutils.get_or_insert_function(builder.module, function, "llvm.x86.avx512.rsqrt14.pd.512")
    y = builder.call(estimate, [x, _constant(kind, 0.0), ir.IntType(8)(255)])
    e = fused(builder, builder.fneg(builder.fmul(x, y)), y, _constant(kind, 1.0))
    series = fused(builder, _constant(kind, 5 / 16), e, _constant(kind, 3 / 8))
    series = fused(builder, series, e, _constant(kind, 1 / 2))
    return fused(builder, builder.fmul(y, e), series, y)


def _divided(builder, x):
    return builder.fdiv(_constant(x.type, 1.0), _call(builder, "llvm.sqrt", x.type, x))


@intrinsic
def inverse_root(typing_context, squares):
    """1/√x, to one or two units in the last place; not finite where x is 0.

    Parameters
    ----------
    squares : Vector of eight float64
        x.
    """

    def _generate(context, builder, signature, arguments):
        return build(
            builder, arguments[0].type, lambda x: (_estimated if ESTIMATES else _divided)(builder, x), *arguments
        )

    return EIGHT(squares), _generate


@intrinsic
def power(typing_context, squares, exponent):
    """x^exponent for any real exponent, lane by lane: slow.

    Parameters
    ----------
    squares : Vector of eight float64
        x, not negative.
    exponent : float64
        The same for all lanes.
    """

    def _generate(context, builder, signature, arguments):
        value, exponent = arguments
        kind = value.type

        def of_piece(piece):
            if not isinstance(piece.type, ir.VectorType):
                return _call(builder, "llvm.pow", _DOUBLE, piece, exponent)
            result = ir.Constant(piece.type, ir.Undefined)
            for lane in range(piece.type.count):
                raised = _call(builder, "llvm.pow", _DOUBLE, builder.extract_element(piece, _INT(lane)), exponent)
                result = builder.insert_element(result, raised, _INT(lane))
            return result

        return build(builder, kind, of_piece, value)

    return EIGHT(squares, types.float64), _generate


@intrinsic
def keep_below(typing_context, squares, limit, values):
    """The values where the square is below the limit, whatever they are elsewhere; there zero.

    Parameters
    ----------
    squares, values : Vector of eight float64
        What is compared, and what is kept.
    limit : float64
        The limit.
    """

    def _generate(context, builder, signature, arguments):
        limits = splat(builder, arguments[1], arguments[0].type)

        def of_pieces(square, bound, value):
            return builder.select(builder.fcmp_ordered("<", square, bound), value, _constant(value.type, 0.0))

        return build(builder, arguments[0].type, of_pieces, arguments[0], limits, arguments[2])

    return EIGHT(squares, types.float64, values), _generate


def _smaller(builder, left, right):
    return builder.select(builder.fcmp_ordered("<", left, right), left, right)


@intrinsic
def lower(typing_context, left, right):
    """The smaller one, lane by lane.

    Parameters
    ----------
    left, right : Vector of eight float64
        Compared.
    """

    def _generate(context, builder, signature, arguments):
        return build(builder, arguments[0].type, lambda a, b: _smaller(builder, a, b), *arguments)

    return EIGHT(left, right), _generate


@intrinsic
def least(typing_context, vector):
    """The smallest lane.

    Parameters
    ----------
    vector : Vector of eight float64
        Compared.
    """

    def _generate(context, builder, signature, arguments):
        lanes = elements(builder, arguments[0])
        if VECTORS:
            lanes = [builder.extract_element(lanes[0], _INT(lane)) for lane in range(LANES)]
        while len(lanes) > 1:
            lanes = [_smaller(builder, *lanes[i : i + 2]) for i in range(0, len(lanes), 2)]
        return lanes[0]

    return types.float64(vector), _generate


@intrinsic
def polynomials(typing_context, coefficients, t, size):
    """Σ_k c_k t^k of degree n and Σ_k s_k t^k of degree n − 1, two vectors.

    Even and odd powers apart, by Horner's rule in t²: the four sums do not wait for each other.

    Parameters
    ----------
    coefficients : (…,) float64
        c and then s, lowest power first.
    t : Vector of eight float64
        Where.
    size : tuple
        Of length n + 1 > 2: known to the compiler, so all is unrolled.
    """
    count = len(size)

    def _generate(context, builder, signature, arguments):
        table, t = arguments[:2]
        square, results = build(builder, t.type, builder.fmul, t, t), []
        for first, last in ((0, count), (count, 2 * count - 1)):
            halves = []
            for begin in (first, first + 1):
                value = None
                for k in reversed(range(begin, last, 2)):
                    number = builder.load(element(context, builder, signature.args[0], table, _LONG(k)))
                    number = splat(builder, number, t.type)
                    value = number if value is None else fused(builder, value, square, number)
                halves.append(value)
            results.append(fused(builder, halves[1], t, halves[0]))
        return context.make_tuple(builder, signature.return_type, results)

    return types.containers.UniTuple(EIGHT, 2)(coefficients, t, size), _generate


@intrinsic
def reload(typing_context):
    """Nothing at run time; the compiler may keep no number of an array in a register across this place.

    In a loop that is short of registers it would move loads of constants out of the loop and then spill them as whole
    vectors, where a machine multiplies by a number in memory at no cost.
    """

    def _generate(context, builder, signature, arguments):
        builder.asm(ir.FunctionType(ir.VoidType(), []), "", "~{memory}", [], side_effect=True)
        return context.get_dummy_value()

    return types.void(), _generate


@intrinsic
def sums_of(typing_context, first, second, third, fourth):
    """The sums of the lanes of four vectors, always in the same order.

    Parameters
    ----------
    first, second, third, fourth : Vector of eight float64
        Added up.
    """

    def _generate(context, builder, signature, arguments):
        if not VECTORS:
            sums = []
            for vector in arguments:
                lanes = elements(builder, vector)
                while len(lanes) > 1:
                    lanes = [builder.fadd(lanes[i], lanes[i + 1]) for i in range(0, len(lanes), 2)]
                sums.extend(lanes)
            return context.make_tuple(builder, signature.return_type, sums)

        def added(left, right, lanes: tuple):
            return builder.fadd(*(builder.shuffle_vector(left, right, lanes_of(chosen)) for chosen in lanes))

        a, b, c, d = arguments
        rows = added(added(a, b, (_EVEN, _ODD)), added(c, d, (_EVEN, _ODD)), (_FRONT, _BACK))
        rows = added(rows, rows, ([0, 1, 2, 3], [4, 5, 6, 7]))
        sums = [builder.extract_element(rows, _INT(lane)) for lane in range(QUAD)]
        return context.make_tuple(builder, signature.return_type, sums)

    return types.containers.UniTuple(types.float64, QUAD)(first, second, third, fourth), _generate
