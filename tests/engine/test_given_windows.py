"""Windows of the classical meshes, as polynomials per cell: against their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from measures import MACHINE
from numpy.polynomial import polynomial
from scipy.interpolate import BSpline

from lrc_numba.engine.window.choose import MAX_DEGREE, Window
from lrc_numba.engine.window.given import FAMILIES, bspline, given_window, lagrange

ORDERS = range(FAMILIES["bspline"][0], FAMILIES["bspline"][1] + 1)
WIDTHS = range(FAMILIES["lagrange"][0], FAMILIES["lagrange"][1] + 1)
CLASSICAL = [*map(bspline, ORDERS), *map(lagrange, WIDTHS)]
NAMES = [f"{window.name}-{window.width}" for window in CLASSICAL]
TAU = np.linspace(-1.0, 1.0, 41)  # of a point in its cell, t = (τ + 1)/2


def weights(window: Window, tau: np.ndarray, order: int = 0) -> np.ndarray:
    """(w, len(tau)): the weights of the nodes under the window, or their derivatives by τ."""
    ascending = window.coefficients[::-1]
    return polynomial.polyval(tau, polynomial.polyder(ascending, order) if order else ascending)


def nodes(window: Window, tau: np.ndarray) -> np.ndarray:
    """(w, len(tau)): where these nodes are, seen from the point, in cells."""
    return np.arange(window.width)[:, None] + 1.0 - (tau + 1.0) / 2 - window.width / 2


def noise(window: Window) -> float:
    """Rounding of a polynomial: its coefficients' sizes added up, in units of the last place."""
    return 8 * MACHINE * max(1.0, float(np.abs(window.coefficients).sum(axis=0).max()))


@pytest.mark.parametrize("order", ORDERS)
def test_bsplines_are_those_of_scipy(order):
    """M_m on its m + 1 knots around 0."""
    window, knots = bspline(order), np.arange(order + 1) - order / 2
    wanted = BSpline.basis_element(knots, extrapolate=False)(nodes(window, TAU[1:-1]))
    assert np.abs(weights(window, TAU[1:-1]) - wanted).max() <= noise(window)
    assert window.degree == order - 1


@pytest.mark.parametrize("order", ORDERS)
def test_bsplines_are_smooth(order):
    """C^{m−2}: neighbouring polynomials agree, and vanish at the edge, up to that derivative."""
    window = bspline(order)
    for derivative in range(order - 1):
        ends = np.pad(weights(window, np.array([-1.0, 1.0]), derivative), ((1, 1), (0, 0)))
        # A derivative multiplies a coefficient by at most the degree each time.
        assert np.abs(ends[:-1, 0] - ends[1:, 1]).max() <= noise(window) * max(window.degree, 1) ** derivative


@pytest.mark.parametrize("width", WIDTHS)
def test_lagrange_weights_reproduce_polynomials(width):
    """Σ_i w_i x_i^p at the point is that of the point itself, 0^p, for p < w; and not for p = w."""
    window = lagrange(width)
    for power in range(width):
        total = (weights(window, TAU) * nodes(window, TAU) ** power).sum(axis=0)
        assert np.abs(total - 0.0**power).max() <= width * noise(window) * (width / 2) ** power
    assert np.abs((weights(window, TAU) * nodes(window, TAU) ** width).sum(axis=0)).max() > 0.1
    assert window.degree == width - 1


@pytest.mark.parametrize("width", WIDTHS)
def test_lagrange_weights_against_their_definition(width):
    """1 at their own node, 0 at the others, by explicit products."""
    window, x = lagrange(width), nodes(lagrange(width), TAU)
    for i in range(width):
        others = np.delete(x, i, axis=0)
        wanted = np.prod(-others / (x[i] - others), axis=0)
        assert np.abs(weights(window, TAU)[i] - wanted).max() <= noise(window)
    # An even number of nodes: continuous, as every weight is 0 or 1 where a node enters. An odd one jumps there.
    ends = np.pad(weights(window, np.array([-1.0, 1.0])), ((1, 1), (0, 0)))
    jump = np.abs(ends[:-1, 0] - ends[1:, 1]).max()
    assert jump <= noise(window) if width % 2 == 0 else jump > 0.01


@pytest.mark.parametrize("window", CLASSICAL, ids=NAMES)
def test_weights_add_up_to_one(window):
    """At every point, so that ψ̂(0) = 1."""
    assert np.abs(weights(window, TAU).sum(axis=0) - 1.0).max() <= window.width * noise(window)
    assert abs(window.transform(np.zeros(1))[0] - 1.0) <= window.width * noise(window)


@pytest.mark.parametrize("order", ORDERS)
def test_transform_of_bsplines(order):
    """sinc^m, also many cycles away, where the quadrature needs more nodes."""
    window, kappa = bspline(order), np.linspace(-12.0, 12.0, 301)
    # Rounding of the weights, and of phases of up to 2π · 12 · m/2.
    bound = order * noise(window) + MACHINE * np.pi * 12 * order
    assert np.abs(window.transform(kappa) - np.sinc(kappa) ** order).max() <= bound


@pytest.mark.parametrize("width", WIDTHS)
def test_transform_of_lagrange_polynomials(width):
    """Against Simpson's rule cell by cell, as ψ is smooth in each."""
    window, kappa = lagrange(width), np.linspace(0.0, 2.5, 26)
    steps = 400
    tau = np.linspace(-1.0, 1.0, steps + 1)
    rule = np.tile([2.0, 4.0], steps // 2 + 1)[: steps + 1]
    rule[[0, -1]] = 1.0
    phase = 2 * np.pi * kappa[:, None, None] * nodes(window, tau)
    wanted = (np.cos(phase) * weights(window, tau) * rule).sum(axis=(1, 2)) / (3 * steps)
    # h⁴/180 times the fourth derivative, (2π · 2.5)⁴ = 6e4 and ψ's own, over w cells with weights of 1.5 at most.
    assert np.abs(window.transform(kappa) - wanted).max() <= 2e5 / 180 / steps**4 * window.width


@pytest.mark.parametrize("window", CLASSICAL, ids=NAMES)
def test_aliases_of_long_waves_fall_with_the_order(window):
    """Σ|ψ̂(κ + m)|/ψ̂(κ) ~ κ^w: what makes a mesh of that order."""
    small, large = 0.06, 0.12
    ratio = window.alias(large) / window.alias(small) if window.alias(small) > 1e-13 else 2.0**window.width
    # Of the next order there is a few times κ, by which the exponent is off.
    assert window.width - 0.3 <= np.log2(ratio) <= window.width + 1.0


@pytest.mark.parametrize("name", ["kaiser_bessel", "gaussian"])
@pytest.mark.parametrize("width", [3, 8, 15])
def test_fitted_families(name, width):
    """By default a shape as good as its neighbours, and a degree that costs little of the alias."""
    window = given_window(name, width, None, None, 0.25)
    assert (window.name, window.width) == (name, width)
    highest = given_window(name, width, window.shape, MAX_DEGREE, 0.25)
    assert window.alias(0.25) <= 1.1 * highest.alias(0.25)
    for factor in (0.9, 1.1):
        shape = (factor * window.shape[0], window.shape[1])
        assert given_window(name, width, shape, MAX_DEGREE, 0.25).alias(0.25) >= 0.95 * highest.alias(0.25)
