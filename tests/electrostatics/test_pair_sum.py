"""Pair sums are those over all images, in any lattice; derivatives are those of the sums; threads change nothing."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from lattices import Ragged, neighbours_of, ragged

from lrc_numba.electrostatics.pair_sum import PairSum, PairTangent, RadialForm, pair_sum, pair_sum_jvp
from lrc_numba.geometry.neighbours import NeighbourList

CELL = np.array([[1.0, 0.0, 0.0], [0.4, 0.9, 0.0], [-0.3, 0.35, 1.1]])
GENERATOR = np.random.default_rng(5)
CROWD = GENERATOR.random((2000, 3)) @ CELL
POWERS = {"none": ((), ()), "Coulomb": ((1,), (1.0,)), "whole": ((1, 6), (1.0, 0.02)), "real": ((0.5, 3.7), (2.0, 0.1))}


def smooth_form(kind: str, cutoff: float, degree: int = 4) -> RadialForm:
    """Powers less their Taylor polynomial in r² around the cutoff, so v and its first derivatives vanish there."""
    exponents, strengths = POWERS[kind]
    polynomial = np.polynomial.Polynomial([0.0] * degree + [-0.01] if kind == "none" else [0.0])
    for exponent, strength in zip(exponents, strengths, strict=True):
        # r^−p = r_c^−p ((1 + t)/2)^(−p/2), by powers of t − 1
        taylor = [strength * cutoff**-exponent]
        for k in range(degree):
            taylor.append(taylor[-1] * (-0.5 * exponent - k) / (k + 1) / 2)
        polynomial += np.polynomial.Polynomial(taylor)(np.polynomial.Polynomial([-1.0, 1.0]))
    return RadialForm(exponents, strengths, tuple(polynomial.coef), cutoff)


def over_all_images(points: Ragged, form: RadialForm, charges: np.ndarray) -> tuple[PairSum, np.ndarray]:
    """The sums over the images that trying all of them finds, and the size of what is added up for each point."""
    q = charges[:, None] if charges.ndim == 1 else charges
    pairs, undecided = neighbours_of(points, full=True)
    assume(not undecided)
    potential, gradient = np.zeros(q.shape), np.zeros(points.positions.shape)
    strain, size = np.zeros((len(points.offsets) - 1, points.dim, points.dim)), np.zeros(len(q))
    structure_of = np.repeat(np.arange(len(strain)), np.diff(points.offsets))
    for (i, j, *_), apart in pairs.items():
        square = np.dot(apart, apart)
        value, slope, bend = (float(a) for a in form.derivatives(square))
        product = q[i] @ q[j]
        potential[i] += q[j] * value
        gradient[i] += 2 * product * slope * apart
        strain[structure_of[i]] += product * slope * np.outer(apart, apart)
        # Powers are in proportion to what is added up, and change by their derivatives where distances are rounded.
        off = points.rounding() / np.sqrt(square)
        scale = abs(value) + square * abs(slope) + square**2 * abs(bend) + sum(map(abs, form.coefficients))
        size[i] += (1e-15 + off) * scale * (1 + 1 / np.sqrt(square)) * (1 + np.abs(q).max()) ** 2 * q.shape[1]
    return PairSum(potential.reshape(charges.shape), gradient, strain), size


def assert_near(sums: PairSum, expected: PairSum, bound: np.ndarray | float) -> None:
    """Potential and gradient within the bound of each point, strains within that of all."""
    each = np.reshape(bound, (-1,) + (1,) * (expected.potential.ndim - 1)) if np.ndim(bound) else bound
    assert (np.abs(sums.potential - expected.potential) <= each).all()
    assert (np.abs(sums.gradient - expected.gradient) <= np.reshape(bound, (-1, 1))).all()
    assert (np.abs(sums.strain - expected.strain) <= np.sum(bound)).all()


# ---------------------------------------------------------------------- values
@settings(max_examples=120)
@given(
    points=ragged(dtypes=(np.float64,)),
    kind=st.sampled_from(("Coulomb", "whole", "none", "real")),
    channels=st.sampled_from((None, 1, 3)),
    full=st.booleans(),
    skin=st.sampled_from((0.0, 0.4)),
    seed=st.integers(0, 2**16),
)
def test_sums_are_those_over_all_images(points, kind, channels, full, skin, seed):
    """In boxes and skewed cells, partly periodic and open, with cutoffs of several cells, for batches of any sizes."""
    channels = None if kind == "real" else channels
    shape = (len(points.positions),) if channels is None else (len(points.positions), channels)
    charges = np.random.default_rng(seed).standard_normal(shape)
    form, kept = smooth_form(kind, points.cutoff), NeighbourList(points.cutoff, skin * points.cutoff, full=full)
    kept.search(points.positions, **points.arguments())
    pairs, _ = neighbours_of(points, full=True)
    nearest = min((np.linalg.norm(apart) for apart in pairs.values()), default=np.inf)
    if nearest < 1e-9 * points.cutoff and form.exponents:
        with pytest.raises(ValueError, match="positions: expected no two of them in one place"):
            pair_sum(kept, form, charges, virial=True)
        return
    assume(nearest > 1e-6 * points.cutoff)  # below that powers say nothing about the loops
    expected, bound = over_all_images(points, form, charges)
    sums = pair_sum(kept, form, charges, virial=True)
    assert sums.potential.shape == shape
    assert sums.gradient.shape == points.positions.shape
    assert_near(sums, expected, 8 * bound)  # some roundings of each term
    np.testing.assert_array_equal(sums.strain, sums.strain.transpose(0, 2, 1))


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("channels", [None, 2, 9])
def test_threads_change_no_bit(full, channels):
    """Of potentials, gradients and strains, for one structure and for a batch."""
    charges = GENERATOR.standard_normal((len(CROWD),) if channels is None else (len(CROWD), channels))
    form, offsets = smooth_form("Coulomb", 0.2), [0, 700, 700, 2000]
    results = []
    for threads in (1, 2, 3):
        kept = NeighbourList(0.2, 0.05, full=full, threads=threads)
        kept.search(CROWD, CELL, offsets=offsets)
        results.append(pair_sum(kept, form, charges, virial=True))
    assert np.abs(results[0].strain[0]).max() > 0
    for sums in results[1:]:
        for name in ("potential", "gradient", "strain"):
            np.testing.assert_array_equal(getattr(sums, name), getattr(results[0], name), strict=True)


@pytest.mark.parametrize("full", [False, True])
def test_moved_points_in_a_changed_cell(full):
    """Give what a new list gives, without a new search."""
    form, charges = smooth_form("Coulomb", 0.5), GENERATOR.standard_normal(60)
    kept, new = (NeighbourList(0.5, skin, full=full) for skin in (0.2, 0.0))
    kept.search(CROWD[:60], CELL)
    strain = np.eye(3) + 0.02 * GENERATOR.standard_normal((3, 3))
    positions, cell = CROWD[:60] @ strain + 0.01 * GENERATOR.standard_normal((60, 3)), CELL @ strain
    assert not kept.is_outdated(positions, cell)
    sums = pair_sum(kept, form, charges, positions=positions, cell=cell, virial=True)
    new.search(positions, cell)
    expected = pair_sum(new, form, charges, virial=True)
    bound = 1e-12 * np.abs(expected.gradient).max()  # some hundred terms of 10² each, in another order
    assert_near(sums, expected, bound)
    without = pair_sum(kept, form, charges, positions=positions, cell=cell)
    assert without.strain is None
    np.testing.assert_allclose(without.gradient, sums.gradient, rtol=0, atol=bound)


def test_single_precision_is_rounded_at_the_end():
    """Charges and positions that are given so; sums are computed as of doubles."""
    points, charges = CROWD[:80].astype(np.float32), GENERATOR.standard_normal(80).astype(np.float32)
    form, (single, double) = smooth_form("Coulomb", 0.4), (NeighbourList(0.4, full=True) for _ in range(2))
    single.search(points, CELL)
    double.search(points.astype(np.float64), CELL)
    sums = pair_sum(single, form, charges, positions=points, virial=True)
    expected = pair_sum(double, form, charges.astype(np.float64), virial=True)
    for name in ("potential", "gradient", "strain"):
        assert getattr(sums, name).dtype == np.float32
        np.testing.assert_array_equal(getattr(sums, name), getattr(expected, name).astype(np.float32))


@pytest.mark.parametrize("degree", [0, pytest.param(5, marks=pytest.mark.slow), 40])
def test_polynomials_of_any_degree(degree):
    """Of degrees between those that are compiled, and high ones, which overflow where nothing is asked for."""
    coefficients = GENERATOR.standard_normal(degree + 1)
    form = RadialForm((1.0,), (-2.0,), tuple(coefficients), 0.5)
    kept = NeighbourList(0.5, 0.5, full=True)
    kept.search(CROWD[:3])
    pairs = NeighbourList(0.5, full=True).build(CROWD[:3])
    values = -2.0 / pairs.distance - np.polynomial.Polynomial(coefficients)(8 * pairs.distance**2 - 1)
    sums = pair_sum(kept, form, np.ones(3))
    expected = np.bincount(pairs.first, values, 3)
    assert len(pairs)
    np.testing.assert_allclose(
        sums.potential, expected, rtol=0, atol=1e-14 * np.abs(coefficients).sum() * degree + 1e-13
    )


CODE = """
import numpy as np
from lrc_numba.electrostatics.pair_sum import RadialForm, pair_sum
from lrc_numba.geometry.neighbours import NeighbourList
points, charges = np.random.default_rng(0).random((60, 3)), np.cos(np.arange(60.0))
for exponents in ((1.0,), (2.0, 1.5)):
    form = RadialForm(exponents, (1.0,) * len(exponents), (0.3, 0.2, -0.1), 0.4)
    for full in (True, False):
        kept = NeighbourList(0.4, full=full)
        kept.search(points, 1.0)
        sums = pair_sum(kept, form, charges, virial=True)
        print(*sums.potential, *sums.gradient.ravel(), *sums.strain.ravel())
"""
SIMPLER = {"scalars": {"LRC_NUMBA_VECTORS": "0"}, "generic": {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}}


@pytest.mark.slow
def test_on_simpler_processors(tmp_path):
    """Scalars instead of vectors, or no instruction beyond the oldest ones: the same numbers but for rounding."""

    def numbers(**environment: str) -> np.ndarray:
        variables = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)} | environment
        done = subprocess.run([sys.executable, "-c", CODE], env=variables, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return np.array(done.stdout.split(), dtype=float)

    usual = numbers()
    for way in SIMPLER.values():
        np.testing.assert_allclose(numbers(**way), usual, rtol=0, atol=1e-14 * np.abs(usual).max())


# ---------------------------------------------------------------------- derivatives
CASES = [("Coulomb", True, None), ("Coulomb", False, None), ("whole", False, 3), ("real", True, None)]


class _Line:
    """Structures and charges along a line through two of them in a skewed cell, and sums there."""

    def __init__(self, kind: str, full: bool, channels: int | None):
        self.form, generator = smooth_form(kind, 1.3, degree=8), np.random.default_rng(11)
        self.x, self.offsets = np.concatenate([grid(6, generator), grid(3, generator)]), [0, 6, 9]
        self.cells = np.stack([CELL, CELL @ (np.eye(3) + 0.1 * generator.standard_normal((3, 3)))])
        self.q = generator.standard_normal((9,) if channels is None else (9, channels))
        self.kept = NeighbourList(1.3, 0.3, full=full)
        self.kept.search(self.x, self.cells, offsets=self.offsets)
        self.dx, self.dq = generator.standard_normal(self.x.shape), generator.standard_normal(self.q.shape)
        self.da = generator.standard_normal(self.cells.shape)

    def at(self, step: float, tangent: PairTangent) -> PairSum:
        """The sums so far along the line."""
        x = self.x if tangent.positions is None else self.x + step * tangent.positions
        q = self.q if tangent.charges is None else self.q + step * tangent.charges
        cells = None if tangent.cell is None else self.cells + step * tangent.cell
        return pair_sum(self.kept, self.form, q, positions=x, cell=cells, virial=True)

    def energy(self, step: float, tangent: PairTangent) -> np.ndarray:
        """½ Σ q u of each structure."""
        q = self.q if tangent.charges is None else self.q + step * tangent.charges
        each = 0.5 * (q * self.at(step, tangent).potential).reshape(9, -1).sum(axis=1)
        return np.add.reduceat(each, self.offsets[:-1])


def grid(count: int, generator: np.random.Generator) -> np.ndarray:
    """Points that are well apart."""
    corners = np.stack(np.meshgrid(*[[0.0, 0.5]] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    return (corners[:count] + 0.08 * generator.uniform(-1, 1, (count, 3))) @ CELL


def difference(function, step: float = 1e-3):
    """The derivative at 0 by seven points: an error of step⁶."""
    weights = {1: 45, 2: -9, 3: 1}
    return sum(w * (function(n * step) - function(-n * step)) for n, w in weights.items()) / (60 * step)


# Sums of some hundred terms of up to 10², of which 16 digits are kept, over steps of 1e-3; cubes of these in 'whole'.
STEPS = 1e-8


@pytest.mark.parametrize(("kind", "full", "channels"), CASES)
def test_gradient_and_strain_are_derivatives_of_the_energy(kind, full, channels):
    line = _Line(kind, full, channels)
    sums = line.at(0.0, PairTangent())
    slope = difference(lambda step: line.energy(step, PairTangent(line.dx)).sum())
    scale = np.abs(sums.gradient).sum()
    assert slope == pytest.approx((sums.gradient * line.dx).sum(), abs=STEPS * scale)
    strain = np.random.default_rng(3).standard_normal((3, 3))
    slopes = difference(lambda step: line.energy(step, PairTangent(line.x @ strain, None, line.cells @ strain)))
    np.testing.assert_allclose(slopes, np.einsum("bij,ij->b", sums.strain, strain), rtol=0, atol=STEPS * scale)


@pytest.mark.parametrize("moves", ["positions", "charges", "cell", "all"])
@pytest.mark.parametrize(("kind", "full", "channels"), CASES)
def test_tangents_are_derivatives_of_the_sums(kind, full, channels, moves):
    line = _Line(kind, full, channels)
    everything = {"positions": line.dx, "charges": line.dq, "cell": line.da}
    tangent = PairTangent(**{k: v for k, v in everything.items() if moves in (k, "all")})
    moved = pair_sum_jvp(line.kept, line.form, line.q, tangent)
    for name in ("potential", "gradient"):
        expected = difference(lambda step, name=name: getattr(line.at(step, tangent), name))
        assert np.abs(expected).max() > 1e-3
        atol = STEPS * max(np.abs(expected).max(), 1.0)
        np.testing.assert_allclose(getattr(moved, name), expected, rtol=0, atol=atol)


def test_own_images_have_no_gradient():
    """A charge in its own lattice has a potential and a strain; in a cube that is a pressure."""
    kept, form = NeighbourList(2.2, full=False), smooth_form("Coulomb", 2.2)
    kept.search(np.full((1, 3), 0.3), 1.0)
    sums = pair_sum(kept, form, [2.0], virial=True)
    np.testing.assert_allclose(sums.gradient, 0.0, atol=1e-14)  # terms of order one, which cancel
    np.testing.assert_allclose(sums.strain[0], np.eye(3) * sums.strain[0, 0, 0], atol=1e-13)
    squares = (np.mgrid[-2:3, -2:3, -2:3] ** 2).sum(axis=0)
    expected = 2.0 * form.derivatives(squares[squares > 0].astype(float))[0].sum()
    assert sums.potential[0] == pytest.approx(expected, rel=1e-13)  # 32 terms


# ---------------------------------------------------------------------- bad input
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("channels", [None, 2])
@pytest.mark.parametrize("apart", [0.0, 1e-13])
def test_charges_in_one_place_are_named(full, channels, apart):
    """Also where one of them is zero, or a lattice vector lies between them; not where there is no pole."""
    points = np.array([[0.1, 0.2, 0.3], [0.8, 0.8, 0.8], [0.4, 0.5, 0.6], [1.1 + apart, 0.2, 0.3]])
    charges = np.zeros((4,) if channels is None else (4, channels))
    kept = NeighbourList(0.7, full=full)
    kept.search(points, 1.0, offsets=[0, 1, 4])
    pair_sum(kept, smooth_form("Coulomb", 0.7), charges)  # in different structures
    kept.search(points, 1.0)
    with pytest.raises(ValueError, match=r"positions: expected no two of them in one place, got (0 and 3|3 and 0) of"):
        pair_sum(kept, smooth_form("Coulomb", 0.7), charges)
    with pytest.raises(ValueError, match=r"positions: expected no two of them in one place, got (0 and 3|3 and 0) of"):
        pair_sum_jvp(kept, smooth_form("Coulomb", 0.7), charges, PairTangent())
    assert np.isfinite(pair_sum(kept, smooth_form("none", 0.7), charges + 1.0).potential).all()


def _with(**changes):
    """A call of ``pair_sum`` with two points, and something else in it."""
    kept = NeighbourList(0.7)
    kept.search(CROWD[:2], CELL)
    usual = {"neighbours": kept, "form": smooth_form("Coulomb", 0.7), "charges": np.ones(2)}
    return pair_sum(**(usual | changes))


WRONG = {
    "not built": (ValueError, "build first", lambda: _with(neighbours=NeighbourList(1.0))),
    "pairs": (TypeError, "neighbours: expected a NeighbourList", lambda: _with(neighbours=3)),
    "no form": (TypeError, "form: expected a RadialForm", lambda: _with(form=3)),
    "short list": (ValueError, "form: expected a cutoff up to", lambda: _with(form=smooth_form("Coulomb", 0.8))),
    "charges": (ValueError, r"charges: expected shape \(2,\)", lambda: _with(charges=np.ones(3))),
    "cube": (ValueError, r"charges: expected shape \(2,\)", lambda: _with(charges=np.ones((2, 1, 1)))),
    "NaN": (ValueError, "charges: expected finite", lambda: _with(charges=[1.0, np.nan])),
    "points": (ValueError, "positions: expected the 2 points", lambda: _with(positions=CROWD[:3])),
    "flat": (ValueError, "positions: expected the 2 points", lambda: _with(positions=CROWD[:2, :2])),
    "powers": (ValueError, "strengths: expected 1", lambda: RadialForm((1,), (), (), 1.0)),
    "no power": (ValueError, "exponents: expected numbers above 0", lambda: RadialForm((0,), (1,), (), 1.0)),
    "cutoff": (ValueError, "cutoff: expected a number above 0", lambda: RadialForm((1,), (1,), (), 0.0)),
    "table": (ValueError, "coefficients: expected numbers one after", lambda: RadialForm((), (), [[1.0]], 1.0)),
}


@pytest.mark.parametrize("name", WRONG)
def test_bad_input_is_named(name):
    error, message, call = WRONG[name]
    with pytest.raises(error, match=message):
        call()


def test_wrong_tangents_are_named():
    kept, form = NeighbourList(0.7), smooth_form("Coulomb", 0.7)
    kept.search(CROWD[:2], CELL)
    for tangent in (PairTangent(CROWD[:3]), PairTangent(charges=np.ones(1)), PairTangent(cell=np.eye(2))):
        name = next(name for name in ("positions", "charges", "cell") if getattr(tangent, name) is not None)
        with pytest.raises(ValueError, match=f"tangent.{name}: expected shape"):
            pair_sum_jvp(kept, form, np.ones(2), tangent)
