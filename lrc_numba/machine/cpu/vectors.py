"""How Numba's code generator holds a vector and does arithmetic on it: the base of ``simd`` and ``simd_*``.

A vector is LLVM's own, not a machine's: LLVM splits it for narrower units. LLVM handles lengths that are no power of
two badly, so those are held as vectors of eight and one of four. With ``LRC_NUMBA_VECTORS=0`` in the environment a
vector is an array of scalars, for a target on which LLVM's vectors misbehave; the tests run both.

``context`` and ``builder`` are Numba's and LLVM's, as code generators get them.
"""

from __future__ import annotations

import os

from llvmlite import ir
from llvmlite.binding import get_host_cpu_features
from numba.core import cgutils, config, types
from numba.extending import models, register_model

from .lanes import SIDE, vector_lanes

__all__ = [
    "VECTORS",
    "Vector",
    "addresses",
    "advance",
    "build",
    "element",
    "elements",
    "fused",
    "join",
    "lane_sum",
    "lanes_of",
    "load_lanes",
    "repeat_lanes",
    "select_lanes",
    "splat",
    "store_lanes",
    "vector_of",
]

VECTORS = os.environ.get("LRC_NUMBA_VECTORS", "1") != "0"
if config.CPU_FEATURES is not None:  # Numba compiles for another processor than this one
    _HAS_FMA = "+fma" in config.CPU_FEATURES.split(",") or "+neon" in config.CPU_FEATURES.split(",")
else:
    _HAS_FMA = any(get_host_cpu_features().get(name) for name in ("fma", "neon"))
_INDEX = ir.IntType(32)


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
        super().__init__(manager, vector, _held(element, vector.lanes))


def _held(element, lanes: int):
    """The LLVM type for so many lanes."""
    if not VECTORS:
        return ir.ArrayType(element, lanes)
    if lanes & (lanes - 1) == 0:
        return ir.VectorType(element, lanes)
    return ir.LiteralStructType([ir.VectorType(element, n) for n in [8] * (lanes // 8) + [4] * (lanes % 8 // 4)])


def elements(builder, value) -> list:
    """The pieces on which LLVM does arithmetic: one vector, several, or scalars.

    Parameters
    ----------
    builder : IRBuilder
        Where instructions go.
    value : LLVM value
        A whole vector.
    """
    if isinstance(value.type, ir.VectorType):
        return [value]
    return [builder.extract_value(value, i) for i in range(len(value.type.elements))]


def join(builder, pieces: list, kind):
    """The inverse of ``elements``.

    Parameters
    ----------
    builder : IRBuilder
        Where instructions go.
    pieces : list of LLVM values
        What ``elements`` returned, or as many of the same kinds.
    kind : LLVM type
        Of the whole vector.
    """
    if isinstance(kind, ir.VectorType):
        return pieces[0]
    result = ir.Constant(kind, ir.Undefined)
    for i, piece in enumerate(pieces):
        result = builder.insert_value(result, piece, i)
    return result


def vector_of(array, support) -> Vector:
    """The type of a vector as long as a window, of the numbers in an array.

    Parameters
    ----------
    array : Numba type of an array
        Real or complex.
    support : Numba type of a tuple
        As long as the window.
    """
    return Vector(getattr(array.dtype, "underlying_float", array.dtype), vector_lanes(len(support)))


def build(builder, kind, function, *operands):
    """Apply a builder's function to whole vectors, or lane by lane in the fallback.

    Parameters
    ----------
    builder, kind
        As for ``join``.
    function : function
        Takes one piece of every operand to a piece of the result.
    *operands : LLVM values
        Whole vectors of one kind.
    """
    groups = zip(*(elements(builder, operand) for operand in operands), strict=True)
    return join(builder, [function(*pieces) for pieces in groups], kind)


def _fused(builder, a, b, c):
    """a·b + c with one rounding where the machine has such an instruction, with two elsewhere."""
    if not _HAS_FMA:
        return builder.fadd(builder.fmul(a, b), c)
    kind = a.type
    lanes, element = (f"v{kind.count}", kind.element) if isinstance(kind, ir.VectorType) else ("", kind)
    name = f"llvm.fma.{lanes}{'f64' if isinstance(element, ir.DoubleType) else 'f32'}"
    function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(kind, [kind] * 3), name)
    return builder.call(function, [a, b, c])


def fused(builder, factor, vector, addend):
    """factor · vector + addend, see ``simd.fma``.

    Parameters
    ----------
    builder : IRBuilder
        Where instructions go.
    factor : LLVM value
        A number or a vector.
    vector, addend : LLVM values
        Vectors of one kind.
    """
    if isinstance(factor.type, ir.FloatType | ir.DoubleType):
        factor = splat(builder, factor, vector.type)
    return build(builder, vector.type, lambda *operands: _fused(builder, *operands), factor, vector, addend)


def splat(builder, scalar, vector_type):
    """A vector with ``scalar`` in every lane.

    Parameters
    ----------
    builder : IRBuilder
        Where instructions go.
    scalar : LLVM value
        A number.
    vector_type : LLVM type
        Of the vector.
    """
    pieces = []
    for kind in [vector_type] if isinstance(vector_type, ir.VectorType) else vector_type.elements:
        if not isinstance(kind, ir.VectorType):
            pieces.append(scalar)
            continue
        first = builder.insert_element(ir.Constant(kind, ir.Undefined), scalar, ir.Constant(_INDEX, 0))
        pieces.append(select_lanes(builder, first, [0] * kind.count))
    return join(builder, pieces, vector_type)


def lanes_of(numbers: list[int]):
    """Numbers of lanes as LLVM wants them for a shuffle."""
    return ir.Constant(ir.VectorType(_INDEX, len(numbers)), numbers)


def select_lanes(builder, vector, numbers: list[int]):
    """The vector of the lanes ``numbers`` of one LLVM vector."""
    return builder.shuffle_vector(vector, ir.Constant(vector.type, ir.Undefined), lanes_of(numbers))


def repeat_lanes(builder, four):
    """The vector of ``SIDE`` lanes and the same lanes again."""
    return select_lanes(builder, four, list(range(SIDE)) * 2)


def lane_sum(builder, vector, start=None):
    """Sum of the lanes of one LLVM vector, always in the same order.

    Parameters
    ----------
    builder : IRBuilder
        Where instructions go.
    vector : LLVM value
        One vector, not several pieces.
    start : LLVM value, optional
        A number to which the lanes are added.
    """
    number = vector.type.element
    bits = 64 if isinstance(number, ir.DoubleType) else 32
    name = f"llvm.vector.reduce.fadd.v{vector.type.count}f{bits}"
    function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(number, [number, vector.type]), name)
    start = ir.Constant(number, -0.0) if start is None else start
    return builder.call(function, [start, vector], fastmath=("reassoc",))


def element(context, builder, array_type, array, index):
    """Address of the first number at ``array[index]``; that of the real part for a complex array.

    Parameters
    ----------
    context, builder
        Of the code generator.
    array_type : Numba type
        1-D and contiguous.
    array, index : LLVM values
        Of that type, and an integer that is not negative.
    """
    address = builder.gep(context.make_array(array_type)(context, builder, array).data, [index])
    if isinstance(array_type.dtype, types.Complex):
        address = builder.bitcast(address, context.get_value_type(array_type.dtype.underlying_float).as_pointer())
    return address


def addresses(context, builder, array_type, array, indices) -> list:
    """Addresses of several elements, see ``element``.

    Parameters
    ----------
    context, builder, array_type, array
        As for ``element``.
    indices : sequence of LLVM values
        Integers that are not negative.
    """
    return [element(context, builder, array_type, array, index) for index in indices]


def advance(context, builder, address, count: int):
    """The address ``count`` numbers behind another one."""
    return builder.gep(address, [context.get_constant(types.intp, count)])


def _pieces(context, builder, kind, start, step: int) -> list:
    """Addresses of the pieces of a vector whose lanes lie ``step`` apart from ``start`` on."""
    pointers, lane = [], 0
    for piece in [kind] if isinstance(kind, ir.VectorType) else kind.elements:
        pointers.append(builder.bitcast(advance(context, builder, start, lane * step), piece.as_pointer()))
        lane += getattr(piece, "count", 1)
    return pointers


def load_lanes(context, builder, vector, start, step: int = 1):
    """A vector of the numbers at start, start + step, …; LLVM's own vectors have a step of 1.

    Parameters
    ----------
    context, builder
        Of the code generator.
    vector : Vector
        The Numba type.
    start : LLVM value
        Address of the first number.
    step : int
        Numbers from one lane to the next.
    """
    kind, align = context.get_value_type(vector), vector.dtype.bitwidth // 8
    pieces = [builder.load(pointer, align=align) for pointer in _pieces(context, builder, kind, start, step)]
    return join(builder, pieces, kind)


def store_lanes(context, builder, vector, value, start, step: int = 1):
    """The inverse of ``load_lanes``.

    Parameters
    ----------
    context, builder, vector, start, step
        As for ``load_lanes``.
    value : LLVM value
        A whole vector.
    """
    pointers = _pieces(context, builder, value.type, start, step)
    for piece, pointer in zip(elements(builder, value), pointers, strict=True):
        builder.store(piece, pointer, align=vector.dtype.bitwidth // 8)
