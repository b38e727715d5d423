"""The window at a point, shared by every back end: plain functions, compiled by each for itself.

Each puts its own ``load`` and ``fma`` into a copy of them (``bind``): on the CPU a window is a vector in registers, on
a device a thread evaluates one weight.
"""

from __future__ import annotations

from functools import update_wrapper
from types import FunctionType

from .indexing import FIRST, LAST, SECOND

__all__ = [
    "bind",
    "cell_position",
    "fma",
    "load",
    "weight_and_slope_at",
    "weight_at",
    "windows",
    "windows_and_slopes",
]

ONE_AXIS = ((0,), (0,), (0,))  # supports for a window along one axis alone


def load(table, index, support):
    """As many consecutive numbers of ``table`` as ``support`` has, where the back end does not say otherwise."""
    return table[index : index + len(support)]


def fma(a, b, c):
    """a · b + c."""
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


def cell_position(coordinate, table):
    """τ ∈ [−1, 1], the position of a grid coordinate in its cell, in the precision of the polynomials."""
    return table.dtype.type(2.0 * (coordinate - int(coordinate)) - 1.0)


def windows(tau_first, tau_second, tau_last, table, lane, lanes, n_coefficients, supports):
    """ψ along three axes by Horner's rule: weights along the first, the second and the last axis.

    Coefficients are loaded once for all axes, and the chains of multiply-adds, each waiting for the one before it,
    overlap. An axis that does not exist costs nothing and gets the weights of the last one.

    Parameters
    ----------
    tau_first, tau_second, tau_last : float
        τ along the axes.
    lane : int
        The first node under the window that is evaluated; as many are as ``load`` takes at once.
    n_coefficients : int
        Coefficients of each polynomial: rows of the table.
    """
    last = load(table, lane, supports[LAST])
    first, second = last, last
    for row in range(1, n_coefficients):
        coefficients = load(table, row * lanes + lane, supports[LAST])
        last = fma(tau_last, last, coefficients)
        if len(supports[SECOND]) > 1:
            second = fma(tau_second, second, coefficients)
        if len(supports[FIRST]) > 1:
            first = fma(tau_first, first, coefficients)
    return first, second, last


def windows_and_slopes(tau_first, tau_second, tau_last, table, lane, lanes, n_coefficients, supports):
    """``windows``, and dψ/dg for the *point's* coordinate g: Horner's rule for a polynomial and its derivative at once.

    The derivative of p ← pτ + c is p' ← p'τ + p, and τ grows by 2 from one grid cell to the next. The polynomials have
    at least two coefficients.

    Parameters
    ----------
    tau_first, tau_second, tau_last, lane, n_coefficients
        As for ``windows``.
    """
    top, coefficients = load(table, lane, supports[LAST]), load(table, lanes + lane, supports[LAST])
    last, slope = fma(tau_last, top, coefficients), top
    first, second, slope_first, slope_second = last, last, slope, slope
    if len(supports[SECOND]) > 1:
        second = fma(tau_second, top, coefficients)
    if len(supports[FIRST]) > 1:
        first = fma(tau_first, top, coefficients)
    for row in range(2, n_coefficients):
        coefficients = load(table, row * lanes + lane, supports[LAST])
        last, slope = fma(tau_last, last, coefficients), fma(tau_last, slope, last)
        if len(supports[SECOND]) > 1:
            second, slope_second = fma(tau_second, second, coefficients), fma(tau_second, slope_second, second)
        if len(supports[FIRST]) > 1:
            first, slope_first = fma(tau_first, first, coefficients), fma(tau_first, slope_first, first)
    per_cell = table.dtype.type(2.0)
    return (first, second, last), (per_cell * slope_first, per_cell * slope_second, per_cell * slope)


def weight_at(tau, node, table, lanes, n_coefficients):
    """``windows`` along one axis, at one ``tau``: where ``load`` takes one number, the weight of one ``node``."""
    return windows(tau, tau, tau, table, node, lanes, n_coefficients, ONE_AXIS)[2]


def weight_and_slope_at(tau, node, table, lanes, n_coefficients):
    """``windows_and_slopes`` along one axis, at one ``tau``, see ``weight_at``."""
    weights, slopes = windows_and_slopes(tau, tau, tau, table, node, lanes, n_coefficients, ONE_AXIS)
    return weights[2], slopes[2]
