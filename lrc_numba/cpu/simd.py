"""Vectors in registers for Numba: the only file that speaks LLVM.

LLVM does not vectorise the two inner loops of spreading and interpolation well: it must assume that the row written and
the weights read overlap, and checks it again at every row. Here a row is one value of type ``Vector``, loaded, added to
and stored as a whole, and a window lives in registers from its first coefficient to its last use.

The length is that of the tuple ``support`` (its length is a type, so known to the compiler), rounded up to
``vector_lanes``. The vectors are LLVM's own, not a machine's: LLVM splits them for narrower units. With
``LRC_NUMBA_VECTORS=0`` in the environment the same functions are made of scalars, for a target on which LLVM's vectors
misbehave; the tests run both.
"""

from __future__ import annotations

import os

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic, models, register_model

from ..grid import vector_lanes

__all__ = ["VECTORS", "add_scaled", "load", "multiply", "scale", "store", "total", "zero"]

VECTORS = os.environ.get("LRC_NUMBA_VECTORS", "1") != "0"
_CONTRACT = ("contract",)  # a·b + c may become one fused instruction; nothing else may be reordered


class Vector(types.Type):
    """A Numba type for ``lanes`` numbers of one dtype held together."""

    def __init__(self, dtype, lanes: int):
        self.dtype, self.lanes = dtype, lanes
        super().__init__(name=f"Vector({dtype} x {lanes}{'' if VECTORS else ', scalars'})")


@register_model(Vector)
class VectorModel(models.PrimitiveModel):
    """The vector as one LLVM value: a vector, or an array of scalars in the fallback."""

    def __init__(self, manager, vector):
        element = manager.lookup(vector.dtype).get_value_type()
        kind = ir.VectorType if VECTORS else ir.ArrayType
        super().__init__(manager, vector, kind(element, vector.lanes))


def _vector_of(array, support) -> Vector:
    return Vector(array.dtype, vector_lanes(len(support)))


def _pointer(context, builder, array_type, array, index):
    return builder.gep(context.make_array(array_type)(context, builder, array).data, [index])


def _lanewise(builder, vector_type, function):
    """Build an LLVM array lane by lane: the fallback of every operation."""
    result = ir.Constant(vector_type, ir.Undefined)
    for lane in range(vector_type.count):
        result = builder.insert_value(result, function(lane), lane)
    return result


def _splat(builder, scalar, vector_type):
    one = builder.insert_element(ir.Constant(vector_type, ir.Undefined), scalar, ir.Constant(ir.IntType(32), 0))
    lanes = ir.Constant(ir.VectorType(ir.IntType(32), vector_type.count), [0] * vector_type.count)
    return builder.shuffle_vector(one, ir.Constant(vector_type, ir.Undefined), lanes)


@intrinsic
def load(typing_context, array, index, support):
    """The vector that begins at ``array[index]``; ``array`` is 1-D and contiguous."""
    vector = _vector_of(array, support)

    def generate(context, builder, signature, arguments):
        start = _pointer(context, builder, signature.args[0], *arguments[:2])
        kind = context.get_value_type(vector)
        if VECTORS:
            return builder.load(builder.bitcast(start, kind.as_pointer()), align=vector.dtype.bitwidth // 8)
        return _lanewise(
            builder, kind, lambda i: builder.load(builder.gep(start, [context.get_constant(types.intp, i)]))
        )

    return vector(array, types.intp, support), generate


@intrinsic
def store(typing_context, array, index, vector):
    """Write ``vector`` to ``array[index:]``."""

    def generate(context, builder, signature, arguments):
        start = _pointer(context, builder, signature.args[0], *arguments[:2])
        value = arguments[2]
        if VECTORS:
            builder.store(value, builder.bitcast(start, value.type.as_pointer()), align=vector.dtype.bitwidth // 8)
        else:
            for i in range(value.type.count):
                builder.store(
                    builder.extract_value(value, i), builder.gep(start, [context.get_constant(types.intp, i)])
                )
        return context.get_dummy_value()

    return types.void(array, types.intp, vector), generate


@intrinsic
def zero(typing_context, array, support):
    """A vector of zeros of the dtype of ``array``."""
    vector = _vector_of(array, support)
    return vector(array, support), lambda context, builder, signature, arguments: context.get_constant_null(vector)


@intrinsic
def scale(typing_context, scalar, vector):
    """scalar · vector."""

    def generate(context, builder, signature, arguments):
        factor, value = arguments
        if VECTORS:
            return builder.fmul(_splat(builder, factor, value.type), value)
        return _lanewise(builder, value.type, lambda i: builder.fmul(factor, builder.extract_value(value, i)))

    return vector(vector.dtype, vector), generate


@intrinsic
def add_scaled(typing_context, scalar, vector, other):
    """scalar · vector + other, fused where the machine can."""

    def generate(context, builder, signature, arguments):
        factor, value, rest = arguments

        def fused(a, b, c):
            return builder.fadd(builder.fmul(a, b, flags=_CONTRACT), c, flags=_CONTRACT)

        if VECTORS:
            return fused(_splat(builder, factor, value.type), value, rest)
        return _lanewise(
            builder,
            value.type,
            lambda i: fused(factor, builder.extract_value(value, i), builder.extract_value(rest, i)),
        )

    return vector(vector.dtype, vector, vector), generate


@intrinsic
def multiply(typing_context, vector, other):
    """Product lane by lane."""

    def generate(context, builder, signature, arguments):
        a, b = arguments
        if VECTORS:
            return builder.fmul(a, b)
        return _lanewise(
            builder, a.type, lambda i: builder.fmul(builder.extract_value(a, i), builder.extract_value(b, i))
        )

    return vector(vector, vector), generate


@intrinsic
def total(typing_context, vector):
    """Sum of the lanes, always in the same order."""

    def generate(context, builder, signature, arguments):
        (value,) = arguments
        kind = context.get_value_type(vector)
        if not VECTORS:
            result = builder.extract_value(value, 0)
            for i in range(1, vector.lanes):
                result = builder.fadd(result, builder.extract_value(value, i))
            return result
        name = f"llvm.vector.reduce.fadd.v{vector.lanes}f{vector.dtype.bitwidth}"
        reduce = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(kind.element, [kind.element, kind]), name
        )
        return builder.call(reduce, [ir.Constant(kind.element, -0.0), value], fastmath=("reassoc",))

    return vector.dtype(vector), generate
