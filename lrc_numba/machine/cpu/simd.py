"""Vectors in registers for Numba. Only ``vectors``, the ``simd`` modules on top of it and ``spin_wait`` generate LLVM.

LLVM does not vectorise the inner loops of spreading and interpolation well: it must assume that the row written and the
weights read overlap, and checks it again at every row. Here a row is one value of type ``Vector``, loaded, added to and
stored as a whole, and a window stays in registers from its first coefficient to its last use. Vectors have +, −, / and
* (with each other, and with a scalar on the left), and ``fma``. Only ``fma`` is fused, so that equal work gives equal
bits wherever it is compiled.

The length is that of the tuple ``support`` (the length of a tuple is a type, so known to the compiler), rounded up to
``vector_lanes``.
"""

from __future__ import annotations

import operator

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin

from .lanes import vector_lanes
from .vectors import (
    VECTORS,
    Vector,
    addresses,
    advance,
    build,
    element,
    elements,
    fused,
    join,
    lane_sum,
    lanes_of,
    load_lanes,
    select_lanes,
    splat,
    store_lanes,
    vector_of,
)

__all__ = [
    "clear",
    "copy_transposed",
    "fill",
    "fma",
    "load",
    "load_complex",
    "prefetch",
    "store",
    "store_complex",
    "total",
    "zero",
]


class _Same(AbstractTemplate):
    """Vector ∘ Vector, and for * also scalar · Vector."""

    def generic(self, arguments, keywords):
        """The signature for arguments of these types; None where there is none."""
        if len(arguments) != 2 or keywords or not isinstance(arguments[1], Vector):
            return None
        left, right = arguments
        if left == right:
            return signature(right, right, right)
        if self.key is operator.mul and isinstance(left, types.Number):
            return signature(right, right.dtype, right)
        return None


_METHODS = ((operator.add, "fadd"), (operator.sub, "fsub"), (operator.mul, "fmul"), (operator.truediv, "fdiv"))
for _operator, _method in _METHODS:
    infer_global(_operator)(type(f"_Vector_{_method}", (_Same,), {}))

    @lower_builtin(_operator, Vector, Vector)
    def _both(context, builder, signature, arguments, method=_method):
        return build(builder, arguments[0].type, getattr(builder, method), *arguments)


@lower_builtin(operator.mul, types.Float, Vector)
def _scaled(context, builder, signature, arguments):
    factor, value = arguments
    return build(builder, value.type, builder.fmul, splat(builder, factor, value.type), value)


@intrinsic
def fma(typing_context, factor, vector, addend):
    """factor · vector + addend; the factor is a scalar or a vector.

    Parameters
    ----------
    factor : float or Vector
        Multiplied with every lane, or lane by lane.
    vector, addend : Vector
        Of one dtype and length.
    """
    scalar = not isinstance(factor, Vector)

    def _generate(context, builder, signature, arguments):
        return fused(builder, *arguments)

    return vector(vector.dtype if scalar else vector, vector, vector), _generate


@intrinsic
def load(typing_context, array, index, support):
    """The vector that begins at ``array[index]``; ``array`` is 1-D and contiguous.

    Parameters
    ----------
    array : 1-D contiguous array, real
        Read.
    index : int
        Where the vector begins.
    support : tuple
        As long as the window.
    """
    vector = vector_of(array, support)

    def _generate(context, builder, signature, arguments):
        start = element(context, builder, signature.args[0], *arguments[:2])
        return load_lanes(context, builder, vector, start)

    return vector(array, types.intp, support), _generate


@intrinsic
def fill(typing_context, number, support):
    """The vector with ``number`` in every lane.

    Parameters
    ----------
    number : float
        Of its dtype.
    support : tuple
        As long as the window.
    """
    vector = Vector(number, vector_lanes(len(support)))

    def _generate(context, builder, signature, arguments):
        return splat(builder, arguments[0], context.get_value_type(vector))

    return vector(number, support), _generate


@intrinsic
def store(typing_context, array, index, vector):
    """Write ``vector`` to ``array[index:]``.

    Parameters
    ----------
    array : 1-D contiguous array, real
        Written.
    index : int
        Where the vector begins.
    vector : Vector
        What is written.
    """

    def _generate(context, builder, signature, arguments):
        start = element(context, builder, signature.args[0], *arguments[:2])
        store_lanes(context, builder, vector, arguments[2], start)
        return context.get_dummy_value()

    return types.void(array, types.intp, vector), _generate


@intrinsic
def prefetch(typing_context, array, index):
    """Load the cache line with ``array[index]``: a hint, which changes no value.

    Parameters
    ----------
    array : 1-D contiguous array
        Neither read nor written.
    index : int
        Not negative; may lie beyond the end.
    """

    def _generate(context, builder, signature, arguments):
        address = element(context, builder, signature.args[0], *arguments)
        address = builder.bitcast(address, ir.IntType(8).as_pointer())  # one function for all dtypes
        flag = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [address.type, flag, flag, flag])
        prefetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(prefetch, [address, *(ir.Constant(flag, value) for value in (0, 3, 1))])  # to read, near, data
        return context.get_dummy_value()

    return types.void(array, types.intp), _generate


@intrinsic
def clear(typing_context, array, start, stop):
    """Write zeros to ``array[start:stop]`` past the caches (non-temporal), so that old values are not read first.

    Parameters
    ----------
    array : 1-D contiguous array, real
        Written.
    start, stop : int
        Multiples of 8; the address of ``array[start]`` is one of 8 numbers.
    """

    def _generate(context, builder, signature, arguments):
        eight = Vector(signature.args[0].dtype, 8)
        zeros, align = context.get_constant_null(eight), eight.dtype.bitwidth
        step = context.get_constant(types.intp, 8)
        with cgutils.for_range_slice(builder, arguments[1], arguments[2], step, inc=True) as (index, _):
            address = element(context, builder, signature.args[0], arguments[0], index)
            address = builder.bitcast(address, zeros.type.as_pointer())
            stored = builder.store(zeros, address, align=align if VECTORS else align // 8)
            if VECTORS:
                stored.set_metadata("nontemporal", builder.module.add_metadata([ir.IntType(32)(1)]))
        builder.fence("seq_cst")  # non-temporal stores are ordered before what other threads read
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp), _generate


@intrinsic(prefer_literal=True)
def copy_transposed(typing_context, source, rows, gap, target, columns, gap_out):
    """Read eight vectors of eight, at ``source[rows[j]]``, and write the transposed eight to ``target[columns[j]]``.

    Parameters
    ----------
    source, target : 1-D contiguous arrays of one real dtype
        Read and written.
    rows, columns : eight ints each
        Where vectors begin.
    gap, gap_out : int
        Numbers between the first four of a vector and the last four, in ``source`` and in ``target``; a literal 0 where
        they are adjacent.
    """
    vector = Vector(source.dtype, 8)
    adjacent = [isinstance(g, types.IntegerLiteral) and g.literal_value == 0 for g in (gap, gap_out)]
    eight = types.containers.UniTuple(types.intp, 8)

    def _generate(context, builder, signature, arguments):
        source, rows, gap, target, columns, gap_out = arguments
        values = []
        for index in cgutils.unpack_tuple(builder, rows):
            starts = _halves(context, builder, signature.args[0], source, index, None if adjacent[0] else gap)
            values.append(_load_halves(context, builder, vector, starts))
        for value, index in zip(_transposed(builder, values), cgutils.unpack_tuple(builder, columns), strict=True):
            starts = _halves(context, builder, signature.args[3], target, index, None if adjacent[1] else gap_out)
            _store_halves(context, builder, vector, value, starts)
        return context.get_dummy_value()

    return types.void(source, eight, gap, target, eight, gap_out), _generate


def _halves(context, builder, array_type, array, index, gap) -> list:
    """The address of a vector of eight; those of its two halves where there is a gap between them."""
    indices = [index]
    if gap is not None:
        indices.append(builder.add(index, builder.add(gap, context.get_constant(types.intp, 4))))
    return addresses(context, builder, array_type, array, indices)


def _load_halves(context, builder, vector, starts: list):
    """A vector of eight from one address, or from those of its halves."""
    if len(starts) == 1:
        return load_lanes(context, builder, vector, starts[0])
    low, high = (load_lanes(context, builder, Vector(vector.dtype, 4), start) for start in starts)
    if not VECTORS:
        return join(builder, elements(builder, low) + elements(builder, high), context.get_value_type(vector))
    return builder.shuffle_vector(low, high, lanes_of(list(range(8))))


def _store_halves(context, builder, vector, value, starts: list) -> None:
    """The inverse of ``_load_halves``."""
    if len(starts) == 1:
        store_lanes(context, builder, vector, value, starts[0])
        return
    four = Vector(vector.dtype, 4)
    if VECTORS:
        halves = [select_lanes(builder, value, list(range(first, first + 4))) for first in (0, 4)]
    else:
        lanes = elements(builder, value)
        halves = [join(builder, part, context.get_value_type(four)) for part in (lanes[:4], lanes[4:])]
    for half, start in zip(halves, starts, strict=True):
        store_lanes(context, builder, four, half, start)


def _transposed(builder, rows: list) -> list:
    """Columns of an 8 × 8 matrix from its rows, swapping blocks of 4, 2 and 1 across the diagonal."""
    if not VECTORS:
        columns = []
        for lane in range(8):
            column = ir.Constant(rows[0].type, ir.Undefined)
            for j, row in enumerate(rows):
                column = builder.insert_value(column, builder.extract_value(row, lane), j)
            columns.append(column)
        return columns
    for size in (4, 2, 1):
        low = [lane if not lane & size else lane - size + 8 for lane in range(8)]
        high = [lane + size if not lane & size else lane + 8 for lane in range(8)]
        swapped = list(rows)
        for i in range(8):
            if not i & size:
                swapped[i] = builder.shuffle_vector(rows[i], rows[i + size], lanes_of(low))
                swapped[i + size] = builder.shuffle_vector(rows[i], rows[i + size], lanes_of(high))
        rows = swapped
    return rows


@intrinsic
def load_complex(typing_context, array, index, support):
    """Real and imaginary parts, two vectors, of the numbers that begin at ``array[index]``; zeros for real ones.

    Parameters
    ----------
    array : 1-D contiguous array, complex or real
        Read.
    index : int
        Of the first number.
    support : tuple
        As long as the vectors.
    """
    vector = vector_of(array, support)

    def _generate(context, builder, signature, arguments):
        start = element(context, builder, signature.args[0], *arguments[:2])
        if not isinstance(array.dtype, types.Complex):
            parts = [load_lanes(context, builder, vector, start), context.get_constant_null(vector)]
            return context.make_tuple(builder, signature.return_type, parts)
        if not VECTORS:
            starts = (start, advance(context, builder, start, 1))
            parts = [load_lanes(context, builder, vector, begin, 2) for begin in starts]
            return context.make_tuple(builder, signature.return_type, parts)
        whole = load_lanes(context, builder, Vector(vector.dtype, 2 * vector.lanes), start)
        parts = [select_lanes(builder, whole, list(range(part, 2 * vector.lanes, 2))) for part in (0, 1)]
        return context.make_tuple(builder, signature.return_type, parts)

    return types.containers.UniTuple(vector, 2)(array, types.intp, support), _generate


@intrinsic
def store_complex(typing_context, array, index, real, imaginary):
    """The inverse of ``load_complex``.

    Parameters
    ----------
    array : 1-D contiguous array, complex
        Written.
    index : int
        Of the first number.
    real, imaginary : Vector
        The parts.
    """

    def _generate(context, builder, signature, arguments):
        start = element(context, builder, signature.args[0], *arguments[:2])
        if not VECTORS:
            starts = (start, advance(context, builder, start, 1))
            for part, begin in zip(arguments[2:], starts, strict=True):
                store_lanes(context, builder, real, part, begin, 2)
            return context.get_dummy_value()
        order = [lane + part * real.lanes for lane in range(real.lanes) for part in (0, 1)]
        whole = builder.shuffle_vector(arguments[2], arguments[3], lanes_of(order))
        store_lanes(context, builder, Vector(real.dtype, 2 * real.lanes), whole, start)
        return context.get_dummy_value()

    return types.void(array, types.intp, real, imaginary), _generate


@intrinsic
def zero(typing_context, array, support):
    """A vector of zeros of the dtype of ``array``.

    Parameters
    ----------
    array : array
        Has the dtype.
    support : tuple
        As long as the window.
    """
    vector = vector_of(array, support)
    return vector(array, support), lambda context, builder, signature, arguments: context.get_constant_null(vector)


@intrinsic
def total(typing_context, vector):
    """Sum of the lanes, always in the same order."""

    def _generate(context, builder, signature, arguments):
        result = None
        for piece in elements(builder, arguments[0]):
            if isinstance(piece.type, ir.VectorType):
                result = lane_sum(builder, piece, result)
            else:
                result = piece if result is None else builder.fadd(result, piece)
        return result

    return vector.dtype(vector), _generate
