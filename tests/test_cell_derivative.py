"""The derivative by the cell, against new plans whose cell and points are strained."""

from __future__ import annotations

import numpy as np
import pytest
from measures import relative
from strategies import random_numbers

from lrc_numba import (
    ChannelMatrix,
    ExponentialKernel,
    Gaussian,
    InversePower,
    LRCPlan,
    Multiplier,
    Product,
    RadialSpline,
    SumOfGaussians,
    Table,
    Yukawa,
)
from lrc_numba.geometry.cell import Cell
from lrc_numba.geometry.modes import ModeSet

# The plans are the computed operator's on both sides, so eps itself is no error of the derivative. Central differences
# with one extrapolation have truncation h⁴ and rounding 1e-16 / h, about 1e-12 at the best of the steps below; the
# promise is 1e-8, of what the terms of the derivative add up to.
BOUND, STEPS = 1e-8, (4e-3, 1e-3, 2.5e-4)
MODES = {1: (7,), 2: (5, 8), 3: (5, 4, 7)}
CELLS = {
    (1, "scalar"): 1.3,
    (1, "reversed"): [[-1.3]],
    (2, "lengths"): [1.0, 1.4],
    (2, "lattice"): [[1.0, 0.2], [-0.3, 1.4]],
    (3, "lengths"): [1.0, 1.4, 0.8],
    (3, "lattice"): [[1.0, 0.2, 0.1], [-0.3, 1.4, 0.0], [0.2, 0.1, -0.9]],  # left-handed
}
NUMBERS = np.random.default_rng(0)


class Shifted(Multiplier):
    """A kernel that is not radial: e^{−ik·s} of a Gaussian."""

    shift = np.array([0.1, -0.2, 0.15])

    def values(self, modes):
        """φ̂."""
        return np.exp(-1j * modes.k @ self.shift[: modes.dim] - 0.01 * modes.k2)

    def cell_vjp(self, modes, cotangent):
        """dφ̂ = φ̂ (iε k·s + 0.02 k·εk), as dk = −εk."""
        weights = cotangent * self.values(modes)
        slope = 1j * self.shift[: modes.dim] + 0.02 * modes.k  # (n_modes, d): −dlog φ̂/dk
        return np.einsum("m,ma,mb->ab", weights, slope, modes.k).real


def multipliers(dim: int) -> dict[str, Multiplier]:
    """One of every kind, with and without channels."""
    size = ModeSet(Cell(1.0, dim), MODES[dim]).shape
    return {
        "Yukawa": Yukawa(1.5, -3.0),
        "Yukawa matrix": Yukawa([[1.5, -2.0]], [[3.0], [5.0], [2.0]]),
        "ExponentialKernel": ExponentialKernel(2.0, [[0.5, -1.0]]),
        "Gaussian": Gaussian([[0.1, 0.2], [0.3, 0.15]], -2.0),
        "SumOfGaussians": SumOfGaussians([1.0, -0.5], [0.1, 0.2]),
        "InversePower": InversePower(0.5, 0.2, 2.0),
        "InversePower matrix": InversePower(0.7, [[0.2, 0.3]], 2.0),
        # No mode comes to the end of the spline, where it may jump.
        "RadialSpline": RadialSpline(NUMBERS.standard_normal((2, 2, 8)), 90.0),
        "Table": Table(NUMBERS.standard_normal(size), dim),
        "Table complex": Table(NUMBERS.standard_normal((2, 2, *size)) * (1 + 0.5j), dim),
        "ChannelMatrix": ChannelMatrix(NUMBERS.standard_normal((3, 2)), Yukawa(1.0, 2.0)),
        "Sum": 2 * Yukawa([[1.0, 2.0]], 3.0) - Gaussian([[0.2], [0.1]]) / 3,
        "Product": Product(ChannelMatrix([[1.0, 2.0]], Gaussian(0.1)), Yukawa([[1.0], [2.0]], 3.0)),
        "Product with a table": Product(Table(NUMBERS.standard_normal(size), dim), Gaussian(0.2)),
        "Shifted": Shifted(),
        "Shifted product": ChannelMatrix([[1.0, -0.4]], Shifted() * Yukawa() + Gaussian(0.2)),
    }


def differences(total, dim: int) -> np.ndarray:
    """d total/dε_ab by central differences, extrapolated; the best agreement of neighbouring steps."""
    results = []
    for h in STEPS:
        gradient = np.empty((dim, dim))
        for a in range(dim):
            for b in range(dim):
                strain = np.zeros((dim, dim))
                strain[a, b] = 1.0
                near, far = (
                    (total(t * strain) - total(-t * strain)) / (2 * t) for t in (h, 2 * h)
                )  # a step and its double
                gradient[a, b] = (4 * near - far) / 3
        results.append(gradient)
    return results


def check(case, name, backend="cpu", exclude_self=False, targets=False, batch=None, **options):
    """The derivative of Σ g u by the strain, within the bound."""
    dim = case[0]
    multiplier, matrix = multipliers(dim)[name], Cell(CELLS[case], dim).matrix
    shape = multiplier.values(ModeSet(Cell(matrix, dim), MODES[dim])).shape[:-1]
    channels = shape[1] if len(shape) == 2 else 1 if len(shape) == 1 else 2
    lead = (6,) if batch is None else (batch, 6)
    fractions, read = NUMBERS.random((*lead, dim)) * 3 - 1, NUMBERS.random((*lead[:-1], 4, dim))
    f = random_numbers(1, *lead, channels)

    def plan(strain):
        cell = matrix @ (np.eye(dim) + strain)
        new = LRCPlan(cell, MODES[dim], eps=1e-9, backend=backend, threads=1, **options)
        return new.set_points(fractions @ cell, read @ cell if targets else None)

    still = plan(np.zeros((dim, dim)))
    g = random_numbers(2, *still.convolve(f, multiplier).shape)
    found = still.vjp(f, multiplier, g, wrt=("cell",), exclude_self=exclude_self)
    assert found.points is found.values is found.parameters is None
    assert found.cell.dtype == np.float64
    assert found.cell.shape == (dim, dim)

    def total(strain):
        return float(np.sum(g * plan(strain).convolve(f, multiplier, exclude_self=exclude_self)))

    # The scale of the terms: a derivative may vanish by itself, as a table's off the diagonal does.
    scale = abs(total(np.zeros((dim, dim))))
    errors = [relative(found.cell, wanted, scale) for wanted in differences(total, dim)]
    assert min(errors) <= BOUND
    everything = still.vjp(f, multiplier, g, wrt=("cell", "points", "values"), exclude_self=exclude_self)
    np.testing.assert_array_equal(everything.cell, found.cell)
    return found


@pytest.mark.parametrize(
    "case", [pytest.param(each, marks=[pytest.mark.slow] * (each[0] > 2)) for each in CELLS], ids=str
)
def test_every_cell(case):
    """1–3 dimensions, boxes and skewed lattices; φ(0) taken off."""
    check(case, "Yukawa", exclude_self=True)


@pytest.mark.parametrize("name", multipliers(1))
def test_every_multiplier(name):
    """Every kind, on a line."""
    check((1, "scalar"), name)


@pytest.mark.parametrize("name", ["Yukawa matrix", "RadialSpline", "Product", "Shifted product", "Table"])
def test_multipliers_on_a_lattice(name):
    """Channels, products, and a kernel that is not radial, where directions matter."""
    check((2, "lattice"), name)


def test_targets_move_too():
    """Targets keep their fractional coordinates as well."""
    check((1, "scalar"), "Yukawa matrix", targets=True)


def test_snapshots_add_up():
    """One cell for all snapshots of a batch, φ(0) taken off a matrix of channels."""
    check((1, "scalar"), "Gaussian", batch=3, exclude_self=True)


def test_spectral_plans():
    """The gradient's kind is without effect: there is no window in it."""
    check((1, "scalar"), "Yukawa", gradient="spectral")


@pytest.mark.slow
@pytest.mark.long
def test_every_back_end(backend):
    """The sums over modes are taken on the host."""
    check((2, "lattice"), "Yukawa matrix", backend)


@pytest.mark.slow
def test_pressure_of_a_gaussian():
    """For points that do not feel each other's images L = Σ_ij φ(x_i − x_j) depends on distances alone: the virial.

    −Σ_ij (x_ij)_a φ'(x_ij)_b is known without a cell. Images are at least 1.3 = 16 σ away, e^{−132}; modes end
    at k = 88, e^{−(σk)²/2} = e^{−25}; eps is 1e-12.
    """
    sigma, x = 0.08, 0.2 * NUMBERS.random((5, 2))
    plan = LRCPlan([1.5, 1.5], 43, eps=1e-12, threads=1).set_points(x)
    ones = np.ones(5)
    found = plan.vjp(None, Gaussian(sigma), ones, wrt="cell").cell
    pairs = x[:, None] - x
    weights = np.exp(-(pairs**2).sum(-1) / (2 * sigma**2)) / (2 * np.pi * sigma**2)
    wanted = -np.einsum("ij,ija,ijb->ab", weights, pairs, pairs) / sigma**2
    assert relative(found, wanted) <= 1e-9


def test_float32():
    """In single precision as well; its rounding, not eps, is what is left."""
    x, f = NUMBERS.random((6, 1)), random_numbers(3, 6)
    double = LRCPlan(1.0, 7, eps=1e-5, dim=1, threads=1).set_points(x)
    single = LRCPlan(1.0, 7, eps=1e-5, dim=1, threads=1, dtype=np.float32).set_points(x.astype(np.float32))
    wanted = double.vjp(f, Yukawa(), f, wrt="cell").cell
    found = single.vjp(f.astype(np.float32), Yukawa(), f.astype(np.float32), wrt="cell").cell
    assert found.dtype == np.float64
    assert relative(found, wanted) <= 1e-4


def test_not_wanted_is_none():
    """By default there is no derivative by the cell, and nothing is asked of the multiplier."""
    plan = LRCPlan(1.0, 7, eps=1e-5, dim=1, threads=1).set_points(np.array([[0.1], [0.4]]))
    assert plan.vjp(None, Yukawa(), np.ones(2)).cell is None


class Bare(Multiplier):
    """No derivative by the cell."""

    def values(self, modes):
        """φ̂; never to be asked for here."""
        raise AssertionError("work was done")


class Changed(Yukawa):
    """Other values than the derivative that it inherits belongs to."""

    def values(self, modes):
        """φ̂."""
        raise AssertionError("work was done")


@pytest.mark.parametrize(
    ("kernel", "name"),
    [(Bare(), "Bare"), (Gaussian() + 2 * Bare(), "Bare"), (ChannelMatrix([[1.0]], Changed()), "Changed")],
)
def test_missing_derivatives_raise_before_any_work(kernel, name):
    """NotImplementedError with the class and what to define; also where an ancestor's would be wrong."""
    plan = LRCPlan(1.0, 7, eps=1e-5, dim=1, threads=1).set_points(np.array([[0.1], [0.4]]))
    with pytest.raises(NotImplementedError, match=rf"{name} must define k2_derivative\(modes\)"):
        plan.vjp(None, kernel, np.ones(2), wrt=("points", "cell"))


def test_a_wrong_shape_is_refused():
    """Of a user's ``cell_vjp``."""

    class Flat(Gaussian):
        def cell_vjp(self, modes, cotangent):
            return np.zeros(modes.dim)

    plan = LRCPlan(1.0, 7, eps=1e-5, dim=1, threads=1).set_points(np.array([[0.1], [0.4]]))
    with pytest.raises(ValueError, match=r"multiplier: Flat.cell_vjp must return shape \(1, 1\), got \(1,\)"):
        plan.vjp(None, Flat(), np.ones(2), wrt="cell")


@pytest.mark.parametrize("wrt", [5, 1.5, ["points", 3], [["points"]], np.ones(2), object()])
def test_wrt_of_a_wrong_type(wrt):
    """A TypeError that names ``wrt`` and what came."""
    plan = LRCPlan(1.0, 7, eps=1e-5, dim=1, threads=1).set_points(np.array([[0.1], [0.4]]))
    with pytest.raises(TypeError, match="wrt: expected a collection of names, got"):
        plan.vjp(None, Gaussian(), np.ones(2), wrt=wrt)


@pytest.mark.parametrize("wrt", ["box", ("points", "box"), {"Cell"}])
def test_wrt_of_an_unknown_name(wrt):
    """A ValueError that lists the names there are."""
    plan = LRCPlan(1.0, 7, eps=1e-5, dim=1, threads=1).set_points(np.array([[0.1], [0.4]]))
    with pytest.raises(ValueError, match="wrt: expected some of 'points', 'values', 'parameters', 'cell', got"):
        plan.vjp(None, Gaussian(), np.ones(2), wrt=wrt)
