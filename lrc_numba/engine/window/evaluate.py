"""The window at a point, shared by every back end: plain functions, compiled by each for itself.

Each puts its own ``load`` and ``fma`` into a copy of them (``bind``): on the CPU a window is a vector in registers, on
a device a thread evaluates one weight.
"""

from __future__ import annotations

from functools import update_wrapper
from types import FunctionType

__all__ = ["bind", "fma", "load", "offset", "weight_and_slope_at", "weight_at", "windows", "windows_and_slopes"]

ONE_AXIS = ((0,), (0,), (0,))  # supports for a window along one axis alone


def load(table, index, support):
    """Consecutive numbers that are treated as one.

    Parameters
    ----------
    table : 1-D array
        Read.
    index : int
        Of the first number.
    support : tuple
        Has as many, where the back end does not say otherwise.
    """
    return table[index : index + len(support)]


def fma(a, b, c):
    """a · b + c.

    Parameters
    ----------
    a, b, c : float, or what ``load`` returns
        Of one dtype.
    """
    return a * b + c


def bind(function, **operations):
    """A copy of a function in which some global names mean something else, for a compiler.

    Parameters
    ----------
    function : function
        One of this module or of ``indexing``.
    **operations
        What its ``load``, ``fma`` or ``floor`` are.
    """
    copy = FunctionType(function.__code__, function.__globals__ | operations, function.__name__)
    return update_wrapper(copy, function)


def offset(coordinate, table):
    """τ ∈ [−1, 1], the place of a grid coordinate in its cell, in the precision of the polynomials.

    Parameters
    ----------
    coordinate : float
        Not negative.
    table : (rows · lanes,)
        Has the precision.
    """
    return table.dtype.type(2.0 * (coordinate - int(coordinate)) - 1.0)


def windows(one, two, three, table, lane, lanes, rows, supports):
    """ψ along three axes by Horner's rule: first, second, last.

    Coefficients are loaded once for all axes, and the chains of multiply-adds, each waiting for the one before it,
    overlap. An axis that is not there costs nothing, and gets the weights of the last one.

    Parameters
    ----------
    one, two, three : float
        τ along the axes.
    table : (rows · lanes,)
        Polynomials, highest power first; as many of each row as ``load`` takes at once are evaluated.
    lane : int
        The first of them, a node under the window.
    lanes, rows : int
        Numbers per row, and rows.
    supports
        As for ``spreading.cpu.spread``.
    """
    along = load(table, lane, supports[2])
    first, second = along, along
    for row in range(1, rows):
        coefficients = load(table, row * lanes + lane, supports[2])
        along = fma(three, along, coefficients)
        if len(supports[1]) > 1:
            second = fma(two, second, coefficients)
        if len(supports[0]) > 1:
            first = fma(one, first, coefficients)
    return first, second, along


def windows_and_slopes(one, two, three, table, lane, lanes, rows, supports):
    """``windows``, and dψ/dg for the *point's* coordinate g: Horner's rule for a polynomial and its derivative at once.

    The derivative of p ← pτ + c is p' ← p'τ + p, and τ grows by 2 from one grid cell to the next.

    Parameters
    ----------
    one, two, three, table, lane, lanes, rows, supports
        As for ``windows``; at least two rows.
    """
    top, coefficients = load(table, lane, supports[2]), load(table, lanes + lane, supports[2])
    along, tilt = fma(three, top, coefficients), top
    first, second, tilt_first, tilt_second = along, along, tilt, tilt
    if len(supports[1]) > 1:
        second = fma(two, top, coefficients)
    if len(supports[0]) > 1:
        first = fma(one, top, coefficients)
    for row in range(2, rows):
        coefficients = load(table, row * lanes + lane, supports[2])
        along, tilt = fma(three, along, coefficients), fma(three, tilt, along)
        if len(supports[1]) > 1:
            second, tilt_second = fma(two, second, coefficients), fma(two, tilt_second, second)
        if len(supports[0]) > 1:
            first, tilt_first = fma(one, first, coefficients), fma(one, tilt_first, first)
    per_cell = table.dtype.type(2.0)
    return (first, second, along), (per_cell * tilt_first, per_cell * tilt_second, per_cell * tilt)


def weight_at(tau, node, table, lanes, rows):
    """What ``windows`` gives for one axis alone: where ``load`` takes one number, the weight of one node.

    Parameters
    ----------
    tau : float
        τ along the axis.
    node : int
        Under the window.
    table, lanes, rows
        As for ``windows``.
    """
    return windows(tau, tau, tau, table, node, lanes, rows, ONE_AXIS)[2]


def weight_and_slope_at(tau, node, table, lanes, rows):
    """What ``windows_and_slopes`` gives for one axis alone, see ``weight_at``.

    Parameters
    ----------
    tau, node, table, lanes, rows
        As there.
    """
    weights, slopes = windows_and_slopes(tau, tau, tau, table, node, lanes, rows, ONE_AXIS)
    return weights[2], slopes[2]
