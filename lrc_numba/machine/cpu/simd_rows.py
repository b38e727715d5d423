"""Several rows of a grid in registers: as many vectors as a window is long, loaded and stored at once.

Where several points have their windows on the same nodes, the rows of one plane are loaded once, stay in registers
while the terms of all these points are added, and are stored once. Everything is unrolled, as the type contains the
number of rows. Built from ``vectors``, with the same fallback.
"""

from __future__ import annotations

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic, models, register_model

from .vectors import Vector, addresses, fused, load_lanes, store_lanes, vector_of

__all__ = ["add", "load", "store"]


class Rows(types.Type):
    """A Numba type for ``count`` vectors of one kind held together."""

    def __init__(self, vector: Vector, count: int):
        self.vector, self.count = vector, count
        super().__init__(name=f"Rows({vector} x {count})")


@register_model(Rows)
class RowsModel(models.PrimitiveModel):
    """The rows as one LLVM array of vectors, which the compiler takes apart again."""

    def __init__(self, manager, rows):
        vector = manager.lookup(rows.vector).get_value_type()
        super().__init__(manager, rows, ir.ArrayType(vector, rows.count))


def _starts(context, builder, array_type, arguments, count: int) -> list:
    """Addresses of so many rows; the arguments begin with array, index and stride."""
    array, index, stride = arguments[:3]
    indices = [index]
    for _ in range(count - 1):
        indices.append(builder.add(indices[-1], stride))
    return addresses(context, builder, array_type, array, indices)


@intrinsic
def load(typing_context, array, index, stride, second, last):
    """The rows that begin at ``array[index]``, ``array[index + stride]``, …

    Parameters
    ----------
    array : 1-D contiguous array, real
        Read.
    index, stride : int
        Where the first begins, and from one to the next.
    second, last : tuple
        As long as the window across the rows, and along them.
    """
    rows = Rows(vector_of(array, last), len(second))

    def _generate(context, builder, signature, arguments):
        result = ir.Constant(context.get_value_type(rows), ir.Undefined)
        for b, start in enumerate(_starts(context, builder, signature.args[0], arguments, rows.count)):
            row = load_lanes(context, builder, rows.vector, start)
            result = builder.insert_value(result, row, b)
        return result

    return rows(array, types.intp, types.intp, second, last), _generate


@intrinsic
def store(typing_context, array, index, stride, rows):
    """The inverse of ``load``.

    Parameters
    ----------
    array : 1-D contiguous array, real
        Written.
    index, stride : int
        As for ``load``.
    rows : Rows
        What is written.
    """

    def _generate(context, builder, signature, arguments):
        for b, start in enumerate(_starts(context, builder, signature.args[0], arguments, rows.count)):
            store_lanes(context, builder, rows.vector, builder.extract_value(arguments[3], b), start)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, rows), _generate


@intrinsic
def add(typing_context, weights, index, vector, rows):
    """Rows with ``weights[index + b]`` · vector added to row b.

    Parameters
    ----------
    weights : 1-D contiguous array, real
        Read.
    index : int
        Of the weight of the first row.
    vector : Vector
        Of the kind of the rows.
    rows : Rows
        To which is added.
    """

    def _generate(context, builder, signature, arguments):
        weights, index, vector, result = arguments
        indices = [builder.add(index, ir.Constant(index.type, b)) for b in range(rows.count)]
        starts = addresses(context, builder, signature.args[0], weights, indices)
        for b, weight in enumerate([builder.load(start) for start in starts]):
            row = fused(builder, weight, vector, builder.extract_value(result, b))
            result = builder.insert_value(result, row, b)
        return result

    return rows(weights, types.intp, vector, rows), _generate
