"""Residuals, products with their Jacobian, and Levenberg–Marquardt."""

from __future__ import annotations

import numpy as np
import pytest
from runs import molecules, network

from lrc_numba.geometry.structures import Structures
from lrc_numba.networks import FullRangeNetwork, LossWeights
from lrc_numba.networks.residuals import Residuals
from lrc_numba.training import curvature, levenberg, levenberg_marquardt, polish
from lrc_numba.training.curvature import Curvature

WEIGHTS = [
    LossWeights(energy=0.7, forces=0.0),
    LossWeights(energy=0.0, forces=0.3),
    LossWeights(energy=0.5, forces=0.2, stress=2.0, per_point=True),
]


def crystal(count: int = 2) -> Structures:
    """Molecules in cells, with stresses."""
    data, rng = molecules(count), np.random.default_rng(1)
    cell = np.tile(9 * np.eye(3), (count, 1, 1))
    stress = rng.standard_normal((count, 3, 3))
    return Structures(
        data.positions,
        data.offsets,
        cell,
        np.ones((count, 3), dtype=bool),
        species=data.species,
        energies=data.energies,
        forces=data.forces,
        stress=stress + stress.transpose(0, 2, 1),
    )


def screened(count: int = 20) -> tuple[FullRangeNetwork, Structures]:
    """A network of two scales in one dimension, and forces that a longer screening made."""
    rng = np.random.default_rng(3)
    points = (np.arange(8) + rng.uniform(0.2, 0.8, (count, 8)))[..., None]
    made = FullRangeNetwork(8.0, 1.5, 41, dim=1, lam=(0.4, 3.0), seed=1)
    made.set_scales(points)
    apart = points - points[:, None, :, 0]
    apart -= 8.0 * np.round(apart / 8.0)
    forces = (np.sign(apart) * np.exp(-np.abs(apart))).sum(axis=2)[..., None]
    return made, Structures.from_arrays(points, 8.0, forces=forces)


def jacobian(residuals: Residuals, step: float = 1e-6) -> np.ndarray:
    """J by central differences."""
    flat, columns = residuals.network.parameters.flat, []
    for i in range(flat.size):
        kept, ends = flat[i], []
        for moved in (kept + step, kept - step):
            flat[i] = moved
            ends.append(residuals.values())
        flat[i] = kept
        columns.append((ends[0] - ends[1]) / (2 * step))
    return np.stack(columns, axis=1)


@pytest.mark.parametrize("weights", WEIGHTS)
def test_products_with_the_jacobian(weights):
    """Jᵀr̄, the gradient, and rows that are exact where a structure has more of them than residuals."""
    residuals = Residuals(network(), crystal(), weights)
    values, wanted = residuals.values(), jacobian(residuals)
    assert len(values) == len(wanted)
    bars = np.random.default_rng(0).standard_normal(len(values))
    scale = np.abs(wanted).max()
    np.testing.assert_allclose(residuals.pull_back(bars), bars @ wanted, atol=1e-6 * scale)
    loss, gradient = residuals.loss()
    assert loss == pytest.approx(values @ values)
    np.testing.assert_allclose(gradient, 2 * values @ wanted, atol=1e-6 * scale)
    rows = residuals.combinations(100 * len(values), np.random.default_rng(1)).astype(np.float64)
    np.testing.assert_allclose(rows.T @ rows, wanted.T @ wanted, atol=1e-5 * scale**2 * len(values))


def test_combinations_are_right_on_average():
    """RᵀR of few rows, for all structures and for some of them, is JᵀJ in the mean of many draws."""
    residuals = Residuals(network(), molecules(4), LossWeights(energy=1.0, forces=0.5))
    exact = residuals.combinations(10_000, np.random.default_rng(0)).astype(np.float64)
    wanted = np.diag(exact.T @ exact)
    for count in (8, 3):
        generator = np.random.default_rng(count)
        draws = [residuals.combinations(count, generator) for _ in range(200)]
        assert {len(rows) for rows in draws} == {count}
        assert draws[0].dtype == np.float32
        found = np.mean([(rows.astype(np.float64) ** 2).sum(axis=0) for rows in draws], axis=0)
        assert np.linalg.norm(found - wanted) < 0.2 * np.linalg.norm(wanted)


def test_it_goes_further_than_first_order_methods():
    """Than L-BFGS with as many passes through the data; the network has the best parameters."""
    made, data = screened(10)
    other, _ = screened(10)
    weights = LossWeights()
    found = levenberg_marquardt(made, data, weights, iterations=20, progress=False, units={"lam": 100.0})
    assert made.loss_alone(data, weights) == pytest.approx(found.after)
    assert found.after < 0.01 * found.before
    reference = polish(other, data, weights, iterations=found.evaluations, progress=False)
    assert found.after < reference.after


def test_same_numbers_again():
    """Of the same seed."""
    ends = []
    for _ in range(2):
        made, data = screened(5)
        levenberg_marquardt(made, data, LossWeights(), iterations=3, progress=False, seed=4)
        ends.append(made.parameters.flat.copy())
    np.testing.assert_array_equal(*ends)


def test_what_is_frozen_stays():
    """To the bit, and the rest moves."""
    made, data = screened(5)
    before = {name: view.copy() for name, view in made.parameters.items()}
    found = levenberg_marquardt(made, data, LossWeights(), iterations=3, progress=False, frozen=("f1", "lam"))
    assert found.after < found.before
    same = {name for name, view in made.parameters.items() if np.array_equal(view, before[name])}
    assert same == {name for name in before if name.startswith(("f1", "lam"))} | {"fit.bias6"}  # forces do not see that


def test_more_of_everything_than_there_is():
    """More eigenvalues than parameters or rows, and a loss that cannot fall."""
    small, few = network(), molecules(2)
    found = levenberg_marquardt(small, few, LossWeights(0.0, 1.0), iterations=4, rows=5, rank=10**6, progress=False)
    assert found.after < found.before
    made, data = screened(2)
    exact = made.predict(data).forces
    there = Structures.from_arrays(data.positions.reshape(2, 8, 1), 8.0, forces=exact.reshape(2, 8, 1))
    found = levenberg_marquardt(made, there, LossWeights(), iterations=3, progress=False)
    assert found.before < 1e-20
    np.testing.assert_allclose(made.predict(data).forces, exact, atol=1e-9 * np.abs(exact).max())


def test_bad_arguments():
    """Named, before any step."""
    made, data = screened(2)
    for options, message in (
        ({"iterations": 0}, "iterations: expected"),
        ({"rows": 0}, "rows: expected"),
        ({"rank": 0}, "rank: expected"),
        ({"units": {"lambda": 2.0}}, "units: expected names of .*'lambda'"),
        ({"units": {"lam": -2.0}}, "units of lam: expected"),
        ({"units": {"lam": 1e20}}, "units of lam: expected"),
        ({"frozen": ("",)}, "frozen: expected some parameters to be left"),
    ):
        with pytest.raises(ValueError, match=message):
            levenberg_marquardt(made, data, LossWeights(), progress=False, **options)
    with pytest.raises(TypeError, match="units: expected numbers by names"):
        levenberg_marquardt(made, data, LossWeights(), progress=False, units=["lam"])
    nobody = Structures.from_arrays(
        [np.zeros((0, 1)), np.ones((1, 1))], 8.0, forces=[np.zeros((0, 1)), np.ones((1, 1))]
    )
    with pytest.raises(ValueError, match="positions: structure 0 has no points"):
        levenberg_marquardt(made, nobody, LossWeights(), progress=False)
    with pytest.raises(ValueError, match="count: expected"):
        Residuals(made, data, LossWeights()).combinations(0, np.random.default_rng(0))
    with pytest.raises(MemoryError, match=r"rows, rank: 100000000 and 200 of .* parameters needs about"):
        levenberg_marquardt(made, data, LossWeights(), progress=False, rows=10**8)
    with pytest.raises(ValueError, match="energies: expected them"):
        levenberg_marquardt(made, data, LossWeights(energy=1.0), progress=False)
    with pytest.raises(ValueError, match=r"bars: expected shape \(16,\), got \(3,\)"):
        Residuals(made, data, LossWeights()).pull_back(np.ones(3))


def test_parameters_that_are_refused():
    """Along the way a smaller step is tried; to begin with it is an error."""
    made, data = screened(3)
    plain, asked = made._evaluate, []

    def evaluate(*arguments, **options):
        asked.append(1)
        if len(asked) == 2:
            raise ValueError("lam: too small")
        return plain(*arguments, **options)

    made._evaluate = evaluate
    found = levenberg_marquardt(made, data, LossWeights(), iterations=2, progress=False)
    assert found.after < found.before
    assert found.message.endswith("steps were refused, the last one with: lam: too small")
    made.parameters.flat[3] = np.nan
    with pytest.raises(ValueError, match="parameters: expected finite numbers"):
        levenberg_marquardt(made, data, LossWeights(), progress=False)


def test_curvature():
    """Of rows that come again and again it is that of these rows, also for a damping far below the largest of them."""
    generator = np.random.default_rng(0)
    rows = (generator.standard_normal((60, 200)) * 10.0 ** np.linspace(-4, 0, 60)[:, None]).astype(np.float32)
    rows = (generator.standard_normal((60, 60)) @ rows).astype(np.float32)
    made, residuals = Curvature(200, 80, generator), generator.standard_normal(60)
    for _ in range(3):
        made.update(rows.copy())
    exact = rows.astype(np.float64)
    largest = np.linalg.norm(exact, 2) ** 2
    for damping in (1e-11 * largest, 1e-5 * largest):
        wanted = np.linalg.solve(exact.T @ exact + damping * np.eye(200), exact.T @ residuals)
        left = [np.linalg.norm(residuals - exact @ step) for step in (made.solve(exact.T @ residuals, damping), wanted)]
        np.testing.assert_allclose(*left, rtol=0.05)


class Valley:
    """Rosenbrock's, r = (1 − x, 10 (y − x²)), as a surface of parameters."""

    def __init__(self) -> None:
        self.centre, self.refused, self.evaluations = np.array([-1.2, 1.0]), "", 0

    def at(self, step: np.ndarray) -> np.ndarray:
        """r."""
        self.evaluations += 1
        x, y = self.centre + step
        return np.array([1 - x, 10 * (y - x * x)])

    def jacobian(self) -> np.ndarray:
        """J where we are."""
        return np.array([[-1.0, 0.0], [-20 * self.centre[0], 10.0]])

    def gradient(self, bars: np.ndarray) -> np.ndarray:
        """Jᵀr̄."""
        return self.jacobian().T @ bars

    def moved(self, step: np.ndarray) -> np.ndarray:
        """Elsewhere."""
        return self.centre + step

    def move(self, parameters: np.ndarray) -> None:
        """Go there."""
        self.centre = parameters


def test_a_bent_valley(monkeypatch):
    """It is followed to its end."""
    monkeypatch.setattr(curvature, "FADING", 0.0)  # rows are all of J
    valley, taken = Valley(), 0
    descent = levenberg._Descent(valley, Curvature(2, 2, np.random.default_rng(0)), valley.at(np.zeros(2)))
    while descent.lowest > 1e-12 and taken < 20:
        descent.iterate(valley.jacobian())
        taken += 1
    np.testing.assert_allclose(valley.centre, 1.0, atol=1e-5)


def test_the_best_is_kept(monkeypatch):
    """Also where the last steps rose, and where it is interrupted."""
    made, data = screened(3)
    wild = levenberg._Descent._best
    monkeypatch.setattr(levenberg, "RISE", 1e9)

    def worse(self, most):
        trial = wild(self, most)
        return self._stepped(self._surface.gradient(self._now), 1e-9 * trial.damping) if self.asked > 2 else trial

    def best(self, most):
        self.asked = getattr(self, "asked", 0) + 1
        if self.asked == 6:
            raise KeyboardInterrupt
        return worse(self, most)

    monkeypatch.setattr(levenberg._Descent, "_best", best)
    found = levenberg_marquardt(made, data, LossWeights(), iterations=5, progress=False)
    assert made.loss_alone(data, LossWeights()) == pytest.approx(found.after)
    made, data = screened(3)
    with pytest.raises(KeyboardInterrupt):
        levenberg_marquardt(made, data, LossWeights(), iterations=9, progress=False)
    assert made.loss_alone(data, LossWeights()) == pytest.approx(found.after)


def test_units():
    """A parameter of a large unit goes farther in the first step."""
    gone = []
    for unit in (1.0, 30.0):
        made, data = screened(5)
        before = made.parameters["lam"].copy()
        levenberg_marquardt(made, data, LossWeights(), iterations=5, progress=False, units={"lam": unit})
        gone.append(np.abs(made.parameters["lam"] - before).max())
    assert gone[1] > 10 * gone[0] > 0


def test_when_it_ends(monkeypatch):
    """With a word on why: where nothing is gained, and where derivatives are no numbers."""
    made, data = screened(3)
    monkeypatch.setattr(levenberg, "SMALL", 1.0)
    found = levenberg_marquardt(made, data, LossWeights(), iterations=50, progress=False)
    assert found.message.startswith("8 iterations lowered the loss by less than 1 of it")
    monkeypatch.setattr(
        Residuals, "combinations", lambda *_: np.full((3, made.parameters.flat.size), np.nan, np.float32)
    )
    with pytest.raises(ValueError, match="parameters, weights, units: expected finite derivatives"):
        levenberg_marquardt(made, data, LossWeights(), progress=False)


def test_damping_is_lowered_where_little_is_gained():
    """Where each λ gains less than a step is worth, smaller ones are still tried, and gone on with."""
    valley = Valley()
    descent = levenberg._Descent(valley, Curvature(2, 2, np.random.default_rng(0)), valley.at(np.zeros(2)))
    descent._damping = 1e8  # of which a step gains 1e-5
    descent.iterate(valley.jacobian())
    descent.iterate(valley.jacobian())
    assert descent._damping < 1e4
