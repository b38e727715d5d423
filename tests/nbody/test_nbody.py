"""The potentials against sums written out, forces against differences, sampling, files."""

from __future__ import annotations

import time

import numpy as np
import pytest

from lrc_numba.nbody import PairPotential, Snapshots, sample_points

BOX = {1: (5.0,), 2: (3.0, 4.0), 3: (2.0, 2.5, 2.0)}


def potential(dim: int, kind: str = "screened_coulomb", **options) -> PairPotential:
    """Two terms of different range."""
    return PairPotential(kind, BOX[dim], (1.5, 4.0), (1.0, -0.5), **options)


def from_pairs(function: PairPotential, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """½ Σ_{j≠i} ψ (N,) and forces (N, d), pair by pair."""
    i, j = np.triu_indices(len(points), 1)
    value, slope = function.pair(points[i] - points[j])
    potential, forces = np.zeros(len(points)), np.zeros(points.shape)
    for sums, add in ((potential, np.stack([value, value]) / 2), (forces, np.stack([-slope, slope]))):
        np.add.at(sums, i, add[0])
        np.add.at(sums, j, add[1])
    return potential, forces


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_split_sum_is_the_image_sum(dim):
    """The splitting in time against e^{−μr} times 2π/μ, 1/r or 2K₀ image after image, to rounding."""
    from scipy.special import k0, k1

    mu, box = 1.5, np.array(BOX[dim])
    apart = np.random.default_rng(dim).uniform(-0.5, 0.5, (20, dim)) * box
    tops = np.ceil(40 / mu / box).astype(int)
    shifts = np.stack(np.meshgrid(*[np.arange(-top, top + 1) for top in tops], indexing="ij"), axis=-1)
    images = apart[:, None] + shifts.reshape(-1, dim) * box
    r = np.linalg.norm(images, axis=-1)
    decay = np.exp(-mu * r)
    value, over_r = {
        1: lambda: (2 * np.pi / mu * decay, -2 * np.pi * decay / r),
        2: lambda: (2 * k0(mu * r), -2 * mu * k1(mu * r) / r),
        3: lambda: (decay / r, -decay * (mu + 1 / r) / r**2),
    }[dim]()
    found = PairPotential("screened_coulomb", BOX[dim], (mu,), (1.0,)).pair(apart)
    np.testing.assert_allclose(found[0], value.sum(axis=1), rtol=1e-12)
    np.testing.assert_allclose(found[1], np.einsum("ps,psa->pa", over_r, images), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize(
    "options",
    [
        {"kind": "screened_coulomb"},
        {"kind": "screened_coulomb", "tau": 0.05},
        {"kind": "screened_coulomb", "tau": 1.5},
        {"kind": "screened_coulomb", "images": False},
        pytest.param({"kind": "exponential"}, marks=pytest.mark.slow),
        {"kind": "exponential", "images": False},
    ],
)
@pytest.mark.parametrize("mu", [(0.6, 4.0), pytest.param((10.0, 25.0), marks=pytest.mark.slow)])
def test_sums_over_pairs(dim, options, mu):
    """Energies and forces of snapshots are those of their pairs one by one, also far outside the box and very close.

    Both are sums of some N² terms that are right to rounding: 1e-12 leaves three digits for their cancelling.
    """
    function = PairPotential(box=BOX[dim], mu=mu, alpha=(1.0, -0.5), **options)
    points = np.random.default_rng(dim).uniform(-3.0, 3.0, (2, 9, dim)) * np.array(BOX[dim])
    points[0, 1] = points[0, 0] + 1e-7
    energies, forces = function.energy_forces(points)
    found = function.potential(points)
    for b in range(2):
        potential, wanted = from_pairs(function, points[b])
        np.testing.assert_allclose(found[b], potential, rtol=0, atol=1e-12 * np.abs(potential).max())
        assert energies[b] == pytest.approx(potential.sum(), rel=0, abs=1e-12 * np.abs(potential).sum())
        # Phases of points three boxes away have lost a digit: 1e-7 apart, their difference is right to 1e-8 of itself.
        bound = 1e-12 if b else 1e-8
        np.testing.assert_allclose(forces[b], wanted, rtol=0, atol=bound * np.abs(wanted).max())


def test_sums_take_milliseconds():
    """450 points in two dimensions, some 13 ms of one processor; pair by pair it is 2 s and more."""
    points = sample_points(1, (15, 15), 2, 0.5, 0.01, np.random.default_rng(0))
    function = PairPotential("screened_coulomb", (7.5, 7.5), (1.0,), (1.0,))
    function.energy_forces(points)  # makes the tables, and compiles
    times = []
    for _ in range(3):
        begin = time.process_time()
        function.energy_forces(points)
        times.append(time.process_time() - begin)
    assert min(times) < 0.3


def test_one_dimension_in_closed_form():
    """(2π/μ) cosh(μ(L/2 − |x|))/sinh(μL/2)."""
    for mu in (0.5, 2.0, 10.0):
        x = np.linspace(0.05, 2.5, 30)[:, None]
        found, _ = PairPotential("screened_coulomb", (5.0,), (mu,), (1.0,)).pair(x)
        wanted = 2 * np.pi / mu * np.cosh(mu * (2.5 - x[:, 0])) / np.sinh(2.5 * mu)
        np.testing.assert_allclose(found, wanted, rtol=1e-12)


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_smoothing_in_fourier_space(dim):
    """With τ: the Fourier series of ψ̂ χ."""
    smooth = PairPotential("screened_coulomb", BOX[dim], (1.5,), (1.0,), tau=0.3)
    apart = np.random.default_rng(dim).uniform(-0.5, 0.5, (5, dim)) * np.array(BOX[dim])
    top = 14 if dim == 3 else 40
    n = np.stack(np.meshgrid(*[np.arange(-top, top + 1)] * dim, indexing="ij"), axis=-1).reshape(-1, dim)
    k = 2 * np.pi * n / np.array(BOX[dim])
    k2 = (k**2).sum(axis=1)
    weight = 4 * np.pi / (k2 + 1.5**2) * np.exp(-k2 * 0.3**2 / 2) / np.prod(BOX[dim])
    value, slope = smooth.pair(apart)
    np.testing.assert_allclose(value, np.cos(apart @ k.T) @ weight, rtol=1e-10)
    np.testing.assert_allclose(slope, -(np.sin(apart @ k.T) * weight) @ k, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize(
    ("kind", "images"), [("exponential", False), ("exponential", True), ("screened_coulomb", True)]
)
def test_forces_are_the_gradient(dim, kind, images):
    """Against central differences; their sum vanishes."""
    function = potential(dim, kind, images=images)
    points = sample_points(1, (2,) * dim, 1, min(BOX[dim]) / 2, 0.1, np.random.default_rng(0))[0]
    energy, forces = function.energy_forces(points)
    assert energy == pytest.approx(function.potential(points).sum())
    step, h = np.random.default_rng(1).standard_normal(points.shape), 1e-5
    wanted = (function.energy_forces(points + h * step)[0] - function.energy_forces(points - h * step)[0]) / (2 * h)
    assert abs(wanted + (forces * step).sum()) <= 1e-8 * np.linalg.norm(forces)
    np.testing.assert_allclose(forces.sum(axis=0), 0.0, atol=1e-12 * np.abs(forces).max())


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_sampling(dim):
    """So many points in each cell, none too close, also not across a face of the box; the same for the same seed.

    Of so many snapshots drawn without looking across the faces, some would have points too close there.
    """
    cells, delta = (4,) * dim, 0.1
    found = [sample_points(50, cells, 2 if dim == 1 else 1, 0.5, delta, np.random.default_rng(7)) for _ in range(2)]
    np.testing.assert_array_equal(*found)
    points = found[0]
    for snapshot in points:
        _, counts = np.unique((snapshot / 0.5).astype(int), axis=0, return_counts=True)
        assert (counts == (2 if dim == 1 else 1)).all()
        apart = snapshot[:, None] - snapshot
        apart -= 2.0 * np.round(apart / 2.0)
        assert (np.linalg.norm(apart, axis=-1) + np.eye(len(snapshot))).min() >= delta


def test_files(tmp_path):
    """What is saved is loaded, with the recipe that makes it again; anything else is refused."""
    made = Snapshots.make(potential(1), 3, (10,), 2, 0.02, seed=3)
    made.save(tmp_path / "a.npz")
    loaded = Snapshots.load(tmp_path / "a.npz")
    np.testing.assert_array_equal(loaded.forces, made.forces)
    again = Snapshots.again(loaded.recipe, progress=False)
    np.testing.assert_array_equal(again.points, made.points)
    np.testing.assert_array_equal(again.forces, made.forces)
    bad = tmp_path / "b.npz"
    for content in ((tmp_path / "a.npz").read_bytes()[:200], b""):
        bad.write_bytes(content)
        with pytest.raises(ValueError, match=r"path: .*b\.npz is damaged, or no lrc_numba snapshots"):
            Snapshots.load(bad)
    for changed, message in (
        ({"forces": made.forces[:2]}, "path: expected shapes"),
        ({"energies": made.energies * np.nan}, "path: expected finite numbers"),
        ({"recipe": made.recipe | {"version": 99}}, "path: expected version 1 in .*, got 99"),
    ):
        Snapshots(**(vars(made) | changed)).save(bad)
        with pytest.raises(ValueError, match=message):
            Snapshots.load(bad)


def test_exponential_of_the_nearest_image():
    """e^{−μr} of the minimum image, for displacements over many boxes; over all images, the sum written out."""
    lengths, mu = np.array([5.0, 4.0]), 1.3
    apart = np.random.default_rng(0).uniform(-20.0, 20.0, (50, 2))
    shifts = np.stack(np.meshgrid(*[np.arange(-12, 13)] * 2, indexing="ij"), axis=-1).reshape(-1, 2) * lengths
    all_r = np.linalg.norm(apart[:, None] - lengths * np.round(apart / lengths)[:, None] + shifts, axis=-1)
    for images, wanted in ((False, np.exp(-mu * all_r.min(axis=1))), (True, np.exp(-mu * all_r).sum(axis=1))):
        found, _ = PairPotential("exponential", (5.0, 4.0), (mu,), (2.0,), images=images).pair(apart)
        np.testing.assert_allclose(found, 2 * wanted, rtol=1e-13)


def test_few_points():
    """One point has no forces, and no point or no snapshot no numbers; sizes may be NumPy's, and are saved."""
    function = potential(1)
    for shape in ((1, 1), (2, 1, 1), (0, 1), (2, 0, 1), (0, 3, 1)):
        energy, forces = function.energy_forces(np.zeros(shape))
        assert np.shape(energy) == shape[:-2]
        assert forces.shape == shape
        assert not np.any(energy)
        assert not forces.any()


def test_sizes_of_numpy(tmp_path):
    """Are as good as Python's, also in a file; a seed that cannot make the same again is none."""
    made = Snapshots.make(potential(1), np.int64(2), np.array([10]), np.int64(1), np.float64(0.01), np.int64(3))
    made.save(tmp_path / "a.npz")
    again = Snapshots.again(Snapshots.load(tmp_path / "a.npz").recipe, progress=False)
    np.testing.assert_array_equal(again.points, made.points)
    with pytest.raises(TypeError, match="NoneType"):
        Snapshots.make(potential(1), 2, (10,), 1, 0.01, None)


def test_points_that_cannot_keep_apart():
    """Are refused at once."""
    for dim, delta in ((1, 0.51), (2, 0.6), (3, 0.7), (1, np.nan), (2, -1.0)):
        with pytest.raises(ValueError, match=r"delta: .* cannot all be"):
            sample_points(1, (4,) * dim, 1 if dim == 1 else 4 ** (dim - 1), 0.5, delta, np.random.default_rng(0))


def test_four_dimensions():
    """Are none of ours."""
    with pytest.raises(ValueError, match="cells: expected one to three dimensions"):
        sample_points(1, (2, 2, 2, 2), 1, 0.5, 0.01, np.random.default_rng(0))


def test_bad_input():
    """Numbers that make no potential, points that make no energy."""
    assert PairPotential("exponential", 5.0, [1.0], 2).alpha == (2.0,)
    for options in ({"mu": np.nan}, {"box": np.inf}, {"alpha": np.nan}, {"tau": np.nan}):
        with pytest.raises(ValueError, match=f"{next(iter(options))}: "):
            PairPotential(**({"kind": "screened_coulomb", "box": 5.0, "mu": 1.0, "alpha": 1.0} | options))
    for kind, box, mu in (
        ("screened_coulomb", 5.0, 1e-200),
        ("exponential", 5.0, 1e-7),
        ("exponential", [5.0] * 3, 0.02),
    ):
        with pytest.raises(ValueError, match="mu: "):
            PairPotential(kind, box, mu, 1.0)
    for dim in (1, 2, 3):
        points = np.random.default_rng(dim).random((2, 5, dim))
        points[1, 4] = points[1, 2] + np.array(BOX[dim])
        with pytest.raises(ValueError, match="expected no two of them in one place, got 2 and 4 of structure 1"):
            potential(dim).energy_forces(points)
        with pytest.raises(ValueError, match="points: expected finite numbers, got nan"):
            potential(dim).energy_forces(points * np.nan)
        with pytest.raises(TypeError, match="points: expected float64"):
            potential(dim).energy_forces(points + 0j)
    generator = np.random.default_rng(0)
    with pytest.raises(ValueError, match="count, cells, per_cell: expected at least one of each"):
        sample_points(0, (2,), 1, 0.5, 0.1, generator)
    for length in (0.0, np.nan):
        with pytest.raises(ValueError, match="cell: expected a positive length"):
            sample_points(1, (2,), 1, length, 0.0, generator)
    with pytest.raises(TypeError, match="cells: expected a tuple of integers, got 10"):
        sample_points(1, 10, 1, 0.5, 0.0, generator)
    with pytest.raises(ValueError, match="cells: expected 1 counts of one cell length"):
        Snapshots.make(PairPotential("exponential", 5.0, 1.0, 1.0), 1, 10, 2, 0.05, 0)


def test_too_dense():
    """A distance that cannot be kept is an error, not an endless loop."""
    with pytest.raises(ValueError, match="delta: "):
        sample_points(1, (10,), 2, 0.5, 0.24, np.random.default_rng(0))
