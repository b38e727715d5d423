"""Rows of a grid on which two channels lie side by side, four nodes of one and four of the other in turn.

What a window covers then begins at a line of the cache, and 3 lines hold 8 nodes of both channels wherever they begin;
rows of their own take 4 but for one in eight. A row is one vector, and so is a pair of values: four lanes of the first,
four of the second, and so on. Whether channels come in pairs is known to the compiler: a row, ``across``, is longer
than a window, ``third``, only then. Where they do not, a pair is a number and a row a window, so there is one code for
both. Built from ``vectors``, with the same fallback.
"""

from __future__ import annotations

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from .lanes import SIDE
from .vectors import Vector, element, elements, join, lanes_of, load_lanes, splat, vector_of

__all__ = ["fit", "load_twice", "side_by_side", "totals"]


def _paired(third, across) -> bool:
    return len(across) > len(third)


def _assembled(builder, eights: list, kind):
    """One vector, as it is held, of vectors of eight; of numbers in the fallback."""
    if not isinstance(kind, ir.VectorType):
        return join(builder, eights, kind)
    while len(eights) > 1:
        both = lanes_of(list(range(2 * eights[0].type.count)))
        eights = [builder.shuffle_vector(a, b, both) for a, b in zip(eights[::2], eights[1::2], strict=True)]
    return eights[0]


def _twice(builder, four):
    """Four lanes, and again."""
    return builder.shuffle_vector(four, ir.Constant(four.type, ir.Undefined), lanes_of(list(range(SIDE)) * 2))


@intrinsic
def load_twice(typing_context, array, index, third, across):
    """The vector that begins at ``array[index]``, every four numbers of it twice; once where there are no pairs.

    Parameters
    ----------
    array : 1-D contiguous array, real
        Read.
    index : int
        Where the vector begins.
    third, across : tuple
        As long as the window, and as a row under it.
    """
    vector, paired = vector_of(array, across), _paired(third, across)

    def _generate(context, builder, signature, arguments):
        start, kind = element(context, builder, signature.args[0], *arguments[:2]), context.get_value_type(vector)
        if not paired:
            return load_lanes(context, builder, vector, start)
        eights, four = [], Vector(vector.dtype, SIDE)
        for group in range(vector.lanes // (2 * SIDE)):
            begin = builder.gep(start, [context.get_constant(types.intp, group * SIDE)])
            loaded = load_lanes(context, builder, four, begin)
            if isinstance(loaded.type, ir.VectorType):
                eights.append(_twice(builder, loaded))
            else:
                eights.extend(2 * elements(builder, loaded))
        return _assembled(builder, eights, kind)

    return vector(array, types.intp, third, across), _generate


@intrinsic
def side_by_side(typing_context, one, other, third, across):
    """What a row is multiplied with, for the values of two channels: a vector, four lanes of each in turn.

    Parameters
    ----------
    one, other : float
        Of one dtype; where there are no pairs the first is returned.
    third, across : tuple
        As for ``load_twice``.
    """
    if not _paired(third, across):
        return one(one, one, third, across), lambda context, builder, signature, arguments: arguments[0]
    vector = Vector(one, len(across))

    def _generate(context, builder, signature, arguments):
        kind, groups = context.get_value_type(vector), vector.lanes // (2 * SIDE)
        if isinstance(kind, ir.ArrayType):
            return join(builder, ([arguments[0]] * SIDE + [arguments[1]] * SIDE) * groups, kind)
        eight = ir.Constant(ir.VectorType(context.get_value_type(one), 2 * SIDE), ir.Undefined)
        for lane, value in enumerate(arguments[:2]):
            eight = builder.insert_element(eight, value, ir.Constant(ir.IntType(32), lane))
        eight = builder.shuffle_vector(eight, ir.Constant(eight.type, ir.Undefined), lanes_of([0] * SIDE + [1] * SIDE))
        return _assembled(builder, [eight] * groups, kind)

    return vector(one, one, third, across), _generate


@intrinsic
def totals(typing_context, vector, third, across):
    """Sums of the lanes of each channel, always in the same order: a tuple of two, or of one.

    Parameters
    ----------
    vector : Vector
        A row.
    third, across : tuple
        As for ``load_twice``.
    """
    count = 2 if _paired(third, across) else 1

    def _generate(context, builder, signature, arguments):
        lanes = []
        for piece in elements(builder, arguments[0]):
            if isinstance(piece.type, ir.VectorType):
                whole = ir.Constant(piece.type, ir.Undefined)
                steps = range(0, piece.type.count, SIDE)
                lanes += [builder.shuffle_vector(piece, whole, lanes_of(list(range(s, s + SIDE)))) for s in steps]
            else:
                lanes.append(piece)
        if not isinstance(lanes[0].type, ir.VectorType):
            sums = [_chain(builder, [v for i, v in enumerate(lanes) if i // SIDE % count == c]) for c in range(count)]
        else:
            sums = [_reduced(builder, _chain(builder, lanes[c::count])) for c in range(count)]
        return context.make_tuple(builder, signature.return_type, sums)

    return types.containers.UniTuple(vector.dtype, count)(vector, third, across), _generate


def _chain(builder, terms: list):
    """Their sum, one after the other."""
    result = terms[0]
    for term in terms[1:]:
        result = builder.fadd(result, term)
    return result


def _reduced(builder, four):
    """The sum of four lanes."""
    number = four.type.element
    name = f"llvm.vector.reduce.fadd.v{SIDE}f{64 if isinstance(number, ir.DoubleType) else 32}"
    function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(number, [number, four.type]), name)
    return builder.call(function, [ir.Constant(number, -0.0), four], fastmath=("reassoc",))


@intrinsic
def fit(typing_context, vector, third, across):
    """A window as a row in one dimension, where there are no pairs; NaN where the compiler only looks at types.

    Parameters
    ----------
    vector : Vector
        As long as the window.
    third, across : tuple
        As for ``load_twice``.
    """
    if not _paired(third, across):
        return vector(vector, third, across), lambda context, builder, signature, arguments: arguments[0]
    row = Vector(vector.dtype, len(across))

    def _generate(context, builder, signature, arguments):
        return splat(builder, context.get_constant(row.dtype, float("nan")), context.get_value_type(row))

    return row(vector, third, across), _generate
