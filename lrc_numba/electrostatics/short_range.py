"""The part of short range as a form for loops over pairs: powers less a polynomial in r²."""

from __future__ import annotations

import numpy as np
from numpy.polynomial import chebyshev

from ..geometry.neighbours import NeighbourList
from .pair_function import PairFunction, pair_function_jvp, pair_function_sum
from .pair_sum import PairSum, PairTangent, pair_sum, pair_sum_jvp
from .potentials import Potential
from .radial_form import RadialForm
from .series import chebyshev_series

__all__ = ["derived_forms", "near_jvp", "near_sum", "pair_form", "radial_form"]

POINTS = 80  # of the series in r² that is cut down
EXACT = 1e-15  # of the largest v_LR
NOTHING = 1e-17  # of v: what is below it adds nothing


def radial_form(potential: Potential, cutoff: float, tolerance: float = EXACT) -> RadialForm:
    """v_SR within a cutoff, with the lowest degree that keeps a tolerance.

    A cutoff beyond the smearing's reach is brought back to it: v_SR is nothing there, and a polynomial that has to
    follow v_LR so far has a degree at which the powers of its argument cancel beyond rounding.

    Parameters
    ----------
    potential : Potential
        With a smearing.
    cutoff : float
        r_c, units of length.
    tolerance : float
        Of v_LR, over its largest value, which is that at r = 0 but for sums of potentials and derivatives.
    """
    cutoff = min(cutoff, potential.reach(NOTHING))
    series = chebyshev_series(lambda u: potential.long_range(np.sqrt(u)), 0.0, cutoff**2, POINTS).coef
    tails = np.cumsum(np.abs(series[::-1]))[::-1]  # what is lost without the coefficients from there on
    largest = np.abs(potential.long_range(np.linspace(0.0, cutoff, POINTS))).max()
    # Half of the points are enough for the series: in sums of potentials that cancel, more is rounding of the terms.
    rounding = 2.0 * tails[POINTS // 2] if len(tails) > POINTS // 2 else 0.0
    needed = np.flatnonzero(tails > max(tolerance * max(largest, abs(potential.value_at_r0)), rounding))
    series = series[: int(needed[-1]) + 1 if len(needed) else 1]
    # Powers of t grow with the degree and cancel: the conversion needs more digits than the result has.
    powers = chebyshev.cheb2poly(series.astype(np.longdouble)).astype(np.float64)
    terms = potential.powers()
    return RadialForm(tuple(p for p, _ in terms), tuple(a for _, a in terms), tuple(powers.tolist()), cutoff)


def pair_form(potential: Potential, cutoff: float, tolerance: float = EXACT) -> RadialForm | PairFunction:
    """What pairs add to the modes, as the sums over them take it: a ``RadialForm`` where that is exact.

    Parameters
    ----------
    potential : Potential
        With a smearing.
    cutoff : float
        Of v_SR, units of length.
    tolerance : float
        As for ``radial_form``.
    """
    if potential.exclusion is None and potential.has_radial_form:
        return radial_form(potential, cutoff, tolerance)
    return PairFunction(potential, cutoff)


def near_sum(neighbours: NeighbourList, form: RadialForm | PairFunction, charges: np.ndarray, **settings) -> PairSum:
    """The sum over pairs of a form of either kind.

    Parameters
    ----------
    neighbours : NeighbourList
        Built, with a cutoff not below that of ``form``.
    form : RadialForm or PairFunction
        v.
    charges : (N, C)
        q.
    **settings
        ``positions``, ``cell`` and ``virial``, as for ``pair_sum``.
    """
    if isinstance(form, RadialForm):
        return pair_sum(neighbours, form, charges, **settings)
    return pair_function_sum(neighbours, form, charges, **settings)


def near_jvp(
    neighbours: NeighbourList, form: RadialForm | PairFunction, charges: np.ndarray, tangent: PairTangent, **where
) -> np.ndarray:
    """Tangent of the potential of ``near_sum`` along positions, charges and cell, (N, C).

    Parameters
    ----------
    neighbours, form, charges
        As for ``near_sum``.
    tangent : PairTangent
        The direction.
    **where
        ``positions`` and ``cell``, as for ``pair_sum``.
    """
    if isinstance(form, RadialForm):
        return pair_sum_jvp(neighbours, form, charges, tangent, **where).potential
    return pair_function_jvp(neighbours, form, charges, tangent, **where)


def derived_forms(potential: Potential, name: str, cutoff: float) -> list[tuple[Potential, RadialForm | PairFunction]]:
    """Potentials that are the derivatives by a parameter, each with its part of short range.

    Parameters
    ----------
    potential : Potential
        With a smearing.
    name : str
        Of one of its parameters.
    cutoff : float
        Of the pairs, units of length.
    """
    return [(each, pair_form(each, cutoff)) for each in potential.derivatives(name)]
