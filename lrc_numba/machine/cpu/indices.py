"""Eight indices at a time, as the tuples that ``simd.copy_transposed`` takes."""

from __future__ import annotations

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from .vectors import element

__all__ = ["evenly_spaced", "row_indices"]

_EIGHT = types.containers.UniTuple(types.intp, 8)


@intrinsic
def evenly_spaced(typing_context, begin, step):
    """Eight indices: begin, begin + step, …

    Parameters
    ----------
    begin, step : int
        The first, and the distance from one to the next.
    """

    def _generate(context, builder, signature, arguments):
        begin, step = arguments
        steps = [builder.mul(step, ir.Constant(step.type, q)) for q in range(8)]
        return context.make_tuple(builder, _EIGHT, [builder.add(begin, distance) for distance in steps])

    return _EIGHT(types.intp, types.intp), _generate


@intrinsic
def row_indices(typing_context, starts, row, offset):
    """``starts[row + q] + offset`` for q < 8; beyond the last row that of the last one, which does no harm.

    Parameters
    ----------
    starts : (rows,) int64
        Index where each row begins.
    row : int
        The first of the eight rows, not negative.
    offset : int
        Added to all.
    """

    def _generate(context, builder, signature, arguments):
        starts, row, offset = arguments
        count = context.make_array(signature.args[0])(context, builder, starts).nitems
        last, indices = builder.sub(count, ir.Constant(count.type, 1)), []
        for q in range(8):
            index = builder.add(row, ir.Constant(row.type, q))
            index = builder.select(builder.icmp_signed("<", index, last), index, last)
            start = builder.load(element(context, builder, signature.args[0], starts, index))
            indices.append(builder.add(start, offset))
        return context.make_tuple(builder, _EIGHT, indices)

    return _EIGHT(starts, types.intp, types.intp), _generate
