"""Which lanes of a vector of eight pass a test, written down as a list without gaps: for searching.

Where the machine has an instruction for that (AVX-512), it is one store; elsewhere every number is written, and the
place for the next one moves on only past those that stay, so that no branch has to be guessed.
"""

from __future__ import annotations

from llvmlite import ir
from llvmlite.binding import get_host_cpu_features
from numba.core import cgutils, config, types
from numba.extending import intrinsic

from .vectors import VECTORS, Vector, element, elements, lanes_of

__all__ = ["LANES", "has_features", "list_near"]

LANES = 8
_FEATURES = get_host_cpu_features() if config.CPU_FEATURES is None else {}
if config.CPU_FEATURES is not None:  # Numba compiles for another processor than this one
    _FEATURES = {name[1:]: name[0] == "+" for name in config.CPU_FEATURES.split(",") if name}


def has_features(*names: str) -> bool:
    """Whether the processor that Numba compiles for has all of them, by LLVM's names."""
    return all(_FEATURES.get(name) for name in names)


COMPRESSES = VECTORS and has_features("avx512f", "avx512vl")
_INT, _LONG = ir.IntType(32), ir.IntType(64)
_INTS = ir.VectorType(_INT, LANES)


def _equal_lanes(builder, number):
    """A vector of eight equal integers."""
    first = builder.insert_element(ir.Constant(_INTS, ir.Undefined), number, _INT(0))
    return builder.shuffle_vector(first, ir.Constant(_INTS, ir.Undefined), lanes_of([0] * LANES))


def _compressed(builder, squares, limit, ranks, least, first, end, own, pointer):
    """The list by one store; how many lanes stay."""
    numbers = builder.add(_equal_lanes(builder, first), ir.Constant(_INTS, list(range(LANES))))
    wide = builder.insert_element(ir.Constant(squares.type, ir.Undefined), limit, _INT(0))
    wide = builder.shuffle_vector(wide, ir.Constant(squares.type, ir.Undefined), lanes_of([0] * LANES))
    mask = builder.fcmp_ordered("<", squares, wide)
    loaded = builder.load(builder.bitcast(ranks, _INTS.as_pointer()), align=4)
    mask = builder.and_(mask, builder.icmp_signed(">", loaded, _equal_lanes(builder, least)))
    mask = builder.and_(mask, builder.icmp_signed("<", numbers, _equal_lanes(builder, end)))
    mask = builder.and_(mask, builder.icmp_signed("!=", numbers, _equal_lanes(builder, own)))
    # In a register, and then all of it: storing some lanes of a vector takes the processor many times as long.
    kind = ir.FunctionType(_INTS, [_INTS, _INTS, ir.VectorType(ir.IntType(1), LANES)])
    compress = cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.avx512.mask.compress.v8i32")
    listed = builder.call(compress, [numbers, numbers, mask])
    builder.store(listed, builder.bitcast(pointer, _INTS.as_pointer()), align=4)
    byte = ir.IntType(8)
    count = cgutils.get_or_insert_function(builder.module, ir.FunctionType(byte, [byte]), "llvm.ctpop.i8")
    return builder.zext(builder.call(count, [builder.bitcast(mask, byte)]), _LONG)


def _one_by_one(builder, squares, limit, ranks, least, first, end, own, pointer):
    """The list number by number; how many lanes stay."""
    pieces, kept = elements(builder, squares), _LONG(0)
    for lane in range(LANES):
        square = pieces[lane] if len(pieces) == LANES else builder.extract_element(pieces[0], _INT(lane))
        number = builder.add(first, _INT(lane))
        builder.store(number, builder.gep(pointer, [kept]))
        stays = builder.fcmp_ordered("<", square, limit)
        stays = builder.and_(stays, builder.icmp_signed(">", builder.load(builder.gep(ranks, [_LONG(lane)])), least))
        stays = builder.and_(stays, builder.icmp_signed("<", number, end))
        stays = builder.and_(stays, builder.icmp_signed("!=", number, own))
        kept = builder.add(kept, builder.zext(stays, _LONG))
    return kept


@intrinsic
def list_near(typing_context, squares, limit, ranks, least, first, end, own, out, at):
    """Write the numbers k = first … first + 7 that are near to ``out[at:]``, in order; how many there are.

    Near are those with ``squares`` < limit, ``ranks[k]`` > least, k < end and k ≠ own. Eight places of ``out`` and
    eight ranks have to be there.

    Parameters
    ----------
    squares : Vector of eight float64
        One for each k.
    limit : float64
        Of the squares.
    ranks : (…,) int32
        Read.
    least, first, end, own : int
        See above.
    out : (…,) int32
        Written.
    at : int
        Where.
    """
    if not (isinstance(squares, Vector) and squares.lanes == LANES and squares.dtype == types.float64):
        return None

    def _generate(context, builder, signature, arguments):
        near, bound, ranks_of, lowest, begin, stop, skipped, target, where = arguments
        kinds = signature.args
        # Where k lies in ``ranks``, as an index; the others are compared as 32 bits.
        rank_at = element(context, builder, kinds[2], ranks_of, begin)
        pointer = element(context, builder, kinds[7], target, where)
        narrow = [builder.trunc(value, _INT) for value in (lowest, begin, stop, skipped)]
        write = _compressed if COMPRESSES else _one_by_one
        return write(builder, near, bound, rank_at, narrow[0], narrow[1], narrow[2], narrow[3], pointer)

    integer = types.intp
    return (
        integer(squares, types.float64, ranks, integer, integer, integer, integer, out, integer),
        _generate,
    )
