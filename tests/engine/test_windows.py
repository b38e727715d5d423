"""Windows: smooth, ending in zero, with the transform and the aliasing error that they claim."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from measures import MACHINE
from numpy.polynomial import polynomial

from lrc_numba.engine.window import evaluate as evaluation
from lrc_numba.engine.window.choose import Window, choose_window, paper_window

NAMES = ("kaiser_bessel", "gaussian")
CHOICES = [(name, eps) for name in NAMES for eps in (1e-1, 1e-3, 1e-6, 1e-9, 1e-12)]
RATIO = 0.234  # the highest of 31 modes on 64 nodes


def values(window: Window, tau: np.ndarray, order: int = 0) -> np.ndarray:
    """(w, len(tau)) derivative of ``order`` with respect to τ of every polynomial."""
    ascending = window.coefficients[::-1]
    return polynomial.polyval(tau, polynomial.polyder(ascending, order) if order else ascending)


def at(window: Window, x: np.ndarray) -> np.ndarray:
    """ψ(x), x in grid cells, zero outside |x| < w/2: interval i holds −w/2 + i … −w/2 + i + 1, with τ running down."""
    position = x + window.width / 2
    interval = np.floor(position).astype(int)
    inside = (interval >= 0) & (interval < window.width)
    tau = 1.0 - 2.0 * (position - interval)
    table = np.stack([np.polyval(window.coefficients[:, i], tau) for i in range(window.width)])
    return np.where(inside, np.take_along_axis(table, np.clip(interval, 0, window.width - 1)[None], axis=0)[0], 0.0)


def noise(window: Window) -> float:
    """Rounding of a polynomial: its coefficients' sizes added up, in units of the last place (ψ is 1 at its peak)."""
    return 8 * MACHINE * float(np.abs(window.coefficients).sum(axis=0).max())


@pytest.mark.parametrize(("name", "eps"), CHOICES)
def test_once_differentiable_inside(name, eps):
    """Neighbouring polynomials agree in value and slope where they meet, to rounding."""
    window = choose_window(name, eps, RATIO)
    for order in (0, 1):
        ends = values(window, np.array([-1.0, 1.0]), order)
        jumps = np.abs(ends[:-1, 0] - ends[1:, 1])
        # A derivative of order m multiplies a coefficient by up to degree^m.
        assert jumps.max() <= noise(window) * window.degree**order


@pytest.mark.parametrize(("name", "eps"), CHOICES)
def test_value_and_slope_vanish_at_the_edge(name, eps):
    """ψ = ψ′ = 0 at |x| = w/2, so nothing jumps when a node enters the support."""
    window = choose_window(name, eps, RATIO)
    for order in (0, 1):
        left, right = values(window, np.array([1.0]), order)[0, 0], values(window, np.array([-1.0]), order)[-1, 0]
        assert max(abs(left), abs(right)) <= noise(window) * window.degree**order


@pytest.mark.parametrize(("name", "eps"), CHOICES)
def test_even_positive_and_one_at_the_peak(name, eps):
    """ψ(−x) = ψ(x) ≥ 0, to rounding, and max ψ = 1."""
    window = choose_window(name, eps, RATIO)
    x = np.linspace(-window.width / 2, window.width / 2, 2001)[1:-1]
    psi = at(window, x)
    assert np.abs(psi - psi[::-1]).max() <= noise(window)
    assert psi.min() >= -noise(window)
    assert abs(psi.max() - 1.0) <= noise(window) + 1e-6  # the peak lies between two of the 2001 places for an odd w


@pytest.mark.parametrize(("name", "eps"), CHOICES)
def test_evaluation_that_all_back_ends_share(name, eps):
    """On NumPy's arrays, with a table wider than the window: the polynomials along three axes, and of single nodes."""
    window = choose_window(name, eps, RATIO)
    lanes = window.width + 3
    table = np.zeros((window.degree + 1, lanes))
    table[:, : window.width] = window.coefficients
    places = np.array([17.0, 4.3, 90.999])
    taus = [evaluation.cell_position(place, table) for place in places]
    assert taus == pytest.approx(2 * (places - np.floor(places)) - 1, abs=1e-13)
    supports = ((0,) * window.width,) * 3
    found = evaluation.windows(*taus, table.ravel(), 0, lanes, len(table), supports)
    wanted = values(window, np.array(taus)).T
    assert np.abs(np.array(found) - wanted).max() <= noise(window)
    node = window.width // 2
    one = evaluation.windows(*taus, table.ravel(), node, lanes, len(table), ((0,),) * 3)[2]
    assert abs(one[0] - wanted[2, node]) <= noise(window)


@pytest.mark.parametrize(("name", "eps"), CHOICES)
def test_slopes_that_all_back_ends_share(name, eps):
    """Windows as without slopes, to the last bit; slopes as the polynomials of the derivative; both of single nodes."""
    window = choose_window(name, eps, RATIO)
    lanes = window.width + 2
    table = np.zeros((window.degree + 1, lanes))
    table[:, : window.width] = window.coefficients
    taus, supports = (-0.99, 0.3, 0.77), ((0,) * window.width,) * 3
    found, slopes = evaluation.windows_and_slopes(*taus, table.ravel(), 0, lanes, len(table), supports)
    np.testing.assert_array_equal(found, evaluation.windows(*taus, table.ravel(), 0, lanes, len(table), supports))
    wanted = polynomial.polyval(np.array(taus), window.derivative_coefficients()[::-1]).T
    assert np.abs(np.array(slopes) - wanted).max() <= 10 * noise(window)
    for node in range(window.width):
        one = evaluation.weight_and_slope_at(taus[2], node, table.ravel(), lanes, len(table))
        np.testing.assert_array_equal(np.ravel(one), [found[2][node], slopes[2][node]])


@pytest.mark.parametrize(("name", "eps"), CHOICES)
def test_derivative_coefficients(name, eps):
    """They are the slope of ψ for a moving point, dψ/dt with τ = 2t − 1: against central differences of ψ."""
    window = choose_window(name, eps, RATIO)
    tau, h = np.linspace(-0.9, 0.9, 7), 1e-5
    found = polynomial.polyval(tau, window.derivative_coefficients()[::-1])
    wanted = (values(window, tau + 2 * h) - values(window, tau - 2 * h)) / (2 * h)
    # Truncation h² ψ‴/6 with |ψ‴| of a few units per cell³, and rounding eps_machine / h.
    assert np.abs(found - wanted).max() <= 1e-8 * max(1.0, np.abs(wanted).max())


@pytest.mark.parametrize(("name", "eps"), CHOICES)
def test_transform_agrees_with_quadrature(name, eps):
    """ψ̂(κ) against the trapezoidal rule on 4000 nodes per cell, with the end correction that ψ″ at the knots needs."""
    window = choose_window(name, eps, RATIO)
    per_cell = 4000
    x = (np.arange(window.width * per_cell + 1) / per_cell) - window.width / 2
    psi = at(window, x)
    kappa = np.linspace(0.0, 1.5, 7)
    wanted = np.cos(2 * np.pi * np.outer(kappa, x)) @ psi / per_cell
    # Trapezoidal error: h² over twelve times the jumps of the integrand's slope (none, ψ is C¹ and ends in zero), then
    # h⁴/720 times those of its third derivative, which for ψ cos(2πκx) stay below 10⁴ per cell.
    bound = window.width * 1e4 / 720 / per_cell**4 + window.width * noise(window)
    assert np.abs(window.transform(kappa) - wanted).max() <= max(bound, 1e-13)


@pytest.mark.parametrize("highest", [1e-4, 0.234, 0.5])
@pytest.mark.parametrize(("name", "eps"), CHOICES)
def test_transform_of_many_frequencies(name, eps, highest):
    """As of few at a time, relative to ψ̂(0), and with little memory: no table of frequencies times nodes."""
    window = choose_window(name, eps, RATIO)
    kappa = np.linspace(-highest, highest, 20_001)
    wanted = np.concatenate([window.transform(part) for part in np.array_split(kappa, 10)])
    tracemalloc.start()
    found = window.transform(kappa)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # A series of some 60 terms, each of the rounding of the w · 24 terms of the quadrature, as it adds up at random.
    bound = MACHINE * np.sqrt(60 * 24 * window.width)
    assert np.abs(found - wanted).max() <= bound * window.transform(np.zeros(1))[0]
    # The result and another such array, and blocks: 1 MiB is 256 frequencies of 512 nodes.
    assert peak <= 2 * kappa.nbytes + 2**20
    np.testing.assert_array_equal(window.transform(-kappa), found)  # even to the last bit


@pytest.mark.parametrize(("name", "eps"), CHOICES)
def test_alias_law(name, eps):
    """A wave spread from a point has the relative error that ``alias`` says, and that is within eps.

    Σ_j ψ(j − g) e^{−2πiκ(j − g)} = ψ̂(κ) + Σ_m ψ̂(κ + m) e^{2πimg}: the mean square over g of the sum is the law.
    """
    window = choose_window(name, eps, RATIO)
    g = (np.arange(64) + 0.5) / 64
    nodes = np.arange(-window.width, window.width + 1)
    waves = at(window, nodes - g[:, None]) * np.exp(-2j * np.pi * RATIO * (nodes - g[:, None]))
    found = waves.sum(axis=1)
    mean = window.transform(np.array([RATIO]))[0]
    measured = np.sqrt(np.mean(np.abs(found - mean) ** 2)) / mean
    # The law leaves out aliases beyond the third.
    assert measured <= 1.05 * window.alias(RATIO) + noise(window) / mean
    assert window.alias(RATIO) <= eps / 6
    if eps > 1e-10:
        assert measured >= 0.2 * window.alias(RATIO)


@pytest.mark.parametrize("ratio", [0.19, 0.21, RATIO, 0.25])
@pytest.mark.parametrize("name", NAMES)
def test_alias_is_within_eps_in_the_whole_band(name, ratio):
    """6 · alias ≤ eps for every kept mode, also the low ones, which dominate u when φ̂ decays, all aliases in phase."""
    kappa, failures = np.linspace(0.0, ratio, 200), []
    for exponent in range(1, 13):
        window = choose_window(name, 10.0**-exponent, ratio)
        images = window.transform(kappa[:, None] + np.array([-3, -2, -1, 1, 2, 3]))
        alias = 6 * np.sum(np.abs(images), axis=1) / np.abs(window.transform(kappa))
        # Between two of the places where a window's choice is made the law may be passed by a twentieth.
        if not alias.max() <= 1.05 * 10.0**-exponent:
            failures.append(
                f"asked 1e-{exponent}, {alias.max():.1e} at {kappa[alias.argmax()] / ratio:.2f} of the band"
            )
    assert not failures, failures


@pytest.mark.parametrize(("name", "eps"), CHOICES)
def test_lines_are_spread_to_lines(name, eps):
    """Σ_j ψ(j − g) = ψ̂(0) and Σ_j (j − g) ψ(j − g) = 0, to rounding, wherever the point is: ψ̂ has double zeros."""
    window = choose_window(name, eps, RATIO)
    g = np.linspace(0.0, 1.0, 101)
    nodes = np.arange(-window.width, window.width + 2)
    psi, rounding = at(window, nodes - g[:, None]), window.width * noise(window)
    total, moment = psi.sum(axis=1), (psi * (nodes - g[:, None])).sum(axis=1)
    assert np.abs(total - window.transform(np.zeros(1))[0]).max() <= rounding
    assert np.abs(moment).max() <= window.width * rounding


@pytest.mark.parametrize(("name", "eps"), [choice for choice in CHOICES if choice[1] >= 1e-6])
def test_long_waves_have_small_aliases(name, eps):
    """Σ|ψ̂(κ + m)|/ψ̂(κ) falls as κ² or faster for κ → 0, from about what the law allows the highest mode."""
    window = choose_window(name, eps, RATIO)
    kappa = RATIO / np.array([20.0, 40.0, 80.0])
    images = window.transform(kappa[:, None] + np.array([-3, -2, -1, 1, 2, 3]))
    alias = np.abs(images).sum(axis=1) / window.transform(kappa)
    assert np.all(alias[:-1] / alias[1:] >= 3.8)
    # κ² is the law near 0 only: up to the highest mode, where 6 · alias ≤ eps, its factor may change, here by 4.
    assert np.all(alias <= 4 * eps / 6 * (kappa / RATIO) ** 2)


@pytest.mark.parametrize("name", NAMES)
def test_width_grows_as_eps_falls(name):
    """Never narrower for a smaller eps, a larger band or more dimensions."""
    widths = [choose_window(name, 10.0**-e, RATIO).width for e in range(1, 13)]
    assert widths == sorted(widths)
    assert choose_window(name, 1e-6, 0.15).width <= choose_window(name, 1e-6, 0.25).width


@pytest.mark.parametrize("name", NAMES)
def test_out_of_reach_raises(name):
    """Hardly any oversampling cannot keep 1e-12, and the error says what could."""
    with pytest.raises(ValueError, match=r"eps: 1e-12 is out of reach.*is reachable"):
        choose_window(name, 1e-12, 0.48)


def test_paper_window_is_the_gaussian_of_the_paper():
    """exp(−x²/4τ) with τ = 12 (L/2πL_FFT)² is exp(−π²x²/12) in grid cells, cut off below 1e-18 of its peak."""
    window = paper_window()
    x = np.linspace(-window.width / 2, window.width / 2, 501)[1:-1]
    wanted = np.exp(-(np.pi**2) * x**2 / 12)
    assert np.abs(at(window, x) - wanted).max() <= 1e-15 + noise(window)
    assert np.exp(-(np.pi**2) * (window.width / 2) ** 2 / 12) <= 1e-18
    kappa = np.linspace(0, 0.5, 5)
    # ∫ e^{−ax²} cos(2πκx) dx = √(π/a) e^{−π²κ²/a}
    a = np.pi**2 / 12
    assert np.abs(window.transform(kappa) - np.sqrt(np.pi / a) * np.exp(-((np.pi * kappa) ** 2) / a)).max() <= 1e-14
