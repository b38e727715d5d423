"""Rows of a grid on which two channels are interleaved: four nodes of the first, four of the second, and so on.

What a window covers then begins at a cache line, and 3 lines hold 8 nodes of both channels wherever they begin; two
separate rows take 4 lines in seven cases of eight. A row is one vector, and so are the values of the two channels: four
lanes of the first, four of the second, and so on. The compiler knows whether channels are interleaved: only then is
``row_support`` longer than the support ``last`` of the window. Where they are not, a row is as long as the window and
the value a number, so one code serves both. Built from ``vectors``, with the same fallback.
"""

from __future__ import annotations

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from .lanes import SIDE
from .vectors import (
    Vector,
    advance,
    element,
    elements,
    join,
    lane_sum,
    lanes_of,
    load_lanes,
    repeat_lanes,
    select_lanes,
    splat,
    vector_of,
)

__all__ = ["as_row", "channel_sums", "interleave", "load_repeated"]


def _interleaved(last, row_support) -> bool:
    return len(row_support) > len(last)


def _assembled(builder, eights: list, kind):
    """One vector, as it is held, of vectors of eight; of numbers in the fallback."""
    if not isinstance(kind, ir.VectorType):
        return join(builder, eights, kind)
    while len(eights) > 1:
        both = lanes_of(list(range(2 * eights[0].type.count)))
        eights = [builder.shuffle_vector(a, b, both) for a, b in zip(eights[::2], eights[1::2], strict=True)]
    return eights[0]


@intrinsic
def load_repeated(typing_context, array, index, last, row_support):
    """The vector that begins at ``array[index]``, every four numbers of it twice; as it is without interleaving.

    Parameters
    ----------
    array : 1-D contiguous array, real
        Read.
    index : int
        Where the vector begins.
    last, row_support : tuple
        As long as the window along the last axis, and as the row of the grid that holds it.
    """
    vector, interleaved = vector_of(array, row_support), _interleaved(last, row_support)

    def _generate(context, builder, signature, arguments):
        start, kind = element(context, builder, signature.args[0], *arguments[:2]), context.get_value_type(vector)
        if not interleaved:
            return load_lanes(context, builder, vector, start)
        eights, four = [], Vector(vector.dtype, SIDE)
        for group in range(vector.lanes // (2 * SIDE)):
            loaded = load_lanes(context, builder, four, advance(context, builder, start, group * SIDE))
            if isinstance(loaded.type, ir.VectorType):
                eights.append(repeat_lanes(builder, loaded))
            else:
                eights.extend(2 * elements(builder, loaded))
        return _assembled(builder, eights, kind)

    return vector(array, types.intp, last, row_support), _generate


@intrinsic
def interleave(typing_context, first, second, last, row_support):
    """The factor of a row for the values of its two channels: a vector, four lanes of each in turn.

    Parameters
    ----------
    first, second : float
        Values of the two channels, of one dtype; without interleaving the first is returned.
    last, row_support : tuple
        As for ``load_repeated``.
    """
    if not _interleaved(last, row_support):
        return first(first, first, last, row_support), lambda context, builder, signature, arguments: arguments[0]
    vector = Vector(first, len(row_support))

    def _generate(context, builder, signature, arguments):
        kind, groups = context.get_value_type(vector), vector.lanes // (2 * SIDE)
        if isinstance(kind, ir.ArrayType):
            return join(builder, ([arguments[0]] * SIDE + [arguments[1]] * SIDE) * groups, kind)
        eight = ir.Constant(ir.VectorType(context.get_value_type(first), 2 * SIDE), ir.Undefined)
        for lane, value in enumerate(arguments[:2]):
            eight = builder.insert_element(eight, value, ir.Constant(ir.IntType(32), lane))
        eight = select_lanes(builder, eight, [0] * SIDE + [1] * SIDE)
        return _assembled(builder, [eight] * groups, kind)

    return vector(first, first, last, row_support), _generate


@intrinsic
def channel_sums(typing_context, vector, last, row_support):
    """Sums of the lanes of each channel, always in the same order: a tuple of two, or of one without interleaving.

    Parameters
    ----------
    vector : Vector
        A row.
    last, row_support : tuple
        As for ``load_repeated``.
    """
    count = 2 if _interleaved(last, row_support) else 1

    def _generate(context, builder, signature, arguments):
        lanes = []
        for piece in elements(builder, arguments[0]):
            if isinstance(piece.type, ir.VectorType):
                steps = range(0, piece.type.count, SIDE)
                lanes += [select_lanes(builder, piece, list(range(s, s + SIDE))) for s in steps]
            else:
                lanes.append(piece)
        if not isinstance(lanes[0].type, ir.VectorType):
            sums = [_chain(builder, [v for i, v in enumerate(lanes) if i // SIDE % count == c]) for c in range(count)]
        else:
            sums = [lane_sum(builder, _chain(builder, lanes[c::count])) for c in range(count)]
        return context.make_tuple(builder, signature.return_type, sums)

    return types.containers.UniTuple(vector.dtype, count)(vector, last, row_support), _generate


def _chain(builder, terms: list):
    """The sum of the terms, from the first to the last."""
    result = terms[0]
    for term in terms[1:]:
        result = builder.fadd(result, term)
    return result


@intrinsic
def as_row(typing_context, vector, last, row_support):
    """The weights of a window in one dimension, where no channels are interleaved, as a row.

    Parameters
    ----------
    vector : Vector
        As long as the window.
    last, row_support : tuple
        As for ``load_repeated``; where they differ the result has the type of a row and is never computed.
    """
    if not _interleaved(last, row_support):
        return vector(vector, last, row_support), lambda context, builder, signature, arguments: arguments[0]
    row = Vector(vector.dtype, len(row_support))

    def _generate(context, builder, signature, arguments):
        return splat(builder, context.get_constant(row.dtype, float("nan")), context.get_value_type(row))

    return row(vector, last, row_support), _generate
