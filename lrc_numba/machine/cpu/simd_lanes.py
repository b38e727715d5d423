"""Lanes of vectors that are chosen: how many fit, one number of an array, the larger, the smaller, the positive."""

from __future__ import annotations

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from .vectors import build, element, splat

__all__ = ["lanes", "larger", "number", "positive", "smaller"]


@intrinsic
def number(typing_context, array, index):
    """``array[index]``; there is no look at the sign of the index, which costs as much as a product of vectors.

    Parameters
    ----------
    array : 1-D contiguous array, real
        Read.
    index : int
        Not negative.
    """

    def _generate(context, builder, signature, arguments):
        return builder.load(element(context, builder, signature.args[0], *arguments))

    return array.dtype(array, types.intp), _generate


@intrinsic(prefer_literal=True)
def lanes(typing_context, array, size):
    """A tuple as long as a vector of so many bytes.

    Parameters
    ----------
    array : array
        Has the dtype.
    size : int
        A literal.
    """
    support = types.containers.UniTuple(types.intp, 8 * size.literal_value // array.dtype.bitwidth)
    return support(array, size), lambda context, builder, *_: context.get_constant_null(support)


def _chosen(comparison: str, vector, limit):
    """Lane by lane one of two, where the comparison holds the second; of a lane that is no number that lane."""

    def _generate(context, builder, signature, arguments):
        def choose(value, bound):
            return builder.select(builder.fcmp_ordered(comparison, value, bound), bound, value)

        value, limit = arguments
        return build(builder, value.type, choose, value, splat(builder, limit, value.type))

    return vector(vector, limit), _generate


@intrinsic
def smaller(typing_context, vector, limit):
    """Lanes, and ``limit`` in place of larger ones.

    Parameters
    ----------
    vector : Vector
        Compared lane by lane.
    limit : float
        Of its dtype.
    """
    return _chosen(">", vector, limit)


@intrinsic
def larger(typing_context, vector, limit):
    """Lanes, and ``limit`` in place of smaller ones.

    Parameters
    ----------
    vector, limit
        As for ``smaller``.
    """
    return _chosen("<", vector, limit)


@intrinsic
def positive(typing_context, condition, vector):
    """Lanes where those of another vector are positive, elsewhere zeros.

    Parameters
    ----------
    condition, vector : Vector
        Of one dtype and length.
    """

    def _generate(context, builder, signature, arguments):
        def choose(sign, value):
            zero = ir.Constant(value.type, [0.0] * value.type.count if isinstance(value.type, ir.VectorType) else 0.0)
            return builder.select(builder.fcmp_ordered(">", sign, zero), value, zero)

        return build(builder, arguments[1].type, choose, *arguments)

    return vector(condition, vector), _generate
