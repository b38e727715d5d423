"""What charges have in common with copies of themselves: moved, turned, repeated, renumbered, in channels, rescaled."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from drawn_structures import points_in, random_cell
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import seeds

from lrc_numba.electrostatics import CoulombPotential, EwaldCalculator, InversePowerLawPotential, MeshCalculator, Result
from lrc_numba.geometry.structures import Structures

# Sums over modes and pairs are cut off below EXACT of the potential; a mesh keeps EPS of its part of the forces, which
# cancels against that of pairs to some tenths.
EXACT, EPS = 1e-13, 1e-9
BOUNDS = {"ewald": 1e-10, "mesh": 10 * EPS}
SMEARING = 0.5


@cache
def calculator(kind: str, p: float):
    potential = InversePowerLawPotential(p, SMEARING)
    if kind == "ewald":
        return EwaldCalculator(potential, potential.reach(EXACT), potential.highest_wavenumber(EXACT))
    return MeshCalculator(potential, potential.reach(EXACT), potential.highest_wavenumber(EPS), eps=EPS)


EVERY = pytest.mark.parametrize(
    ("kind", "p"),
    [("ewald", 1.0), ("ewald", 2.5), pytest.param("ewald", 6.0, marks=pytest.mark.slow)]
    + [pytest.param("mesh", p, marks=pytest.mark.slow) for p in (1.0, 2.5, 6.0)],
)
FEW = settings(max_examples=6, deadline=None)


def drawn(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.random.Generator]:
    """Some points in a skewed cell with two channels of charges, one of them with a net one."""
    generator = np.random.default_rng(seed)
    cell = random_cell(3, 2.6, generator)
    count = int(generator.integers(1, 6))
    q = generator.standard_normal((count, 2))
    q[:, 0] -= q[:, 0].mean() if count > 1 else 0.0
    return points_in(count, cell, True, generator, 0.8), q, cell, generator


def compute(kind: str, p: float, positions, q, cell) -> Result:
    return calculator(kind, p).compute(positions, q, cell, forces=True, stress=True)


def error(own: Result, wanted: Result, rows=slice(None), turned=None) -> float:
    """Of potentials, forces and strains, relative to the largest; those wanted may be turned, or stand for several."""
    turned = np.eye(3) if turned is None else turned
    copies = len(own.forces) // len(wanted.forces[rows])
    pairs = [
        (own.potential, np.tile(wanted.potential[rows], (copies, 1))),
        (own.forces, np.tile(wanted.forces[rows] @ turned, (copies, 1))),
        (own.strain / copies, turned.T @ wanted.strain @ turned),
        (own.energy / copies, wanted.energy),
    ]
    size = 1e-2 + np.abs(wanted.potential).max()  # forces of a single point vanish
    return max(float(np.abs(a - b).max()) / max(size, float(np.abs(b).max())) for a, b in pairs)


@EVERY
def test_translation(kind, p):
    """All points moved, and each by lattice vectors of its own."""

    @FEW
    @given(seed=seeds)
    def holds(seed):
        positions, q, cell, generator = drawn(seed)
        wraps = generator.integers(-3, 4, positions.shape) @ cell
        moved = positions + generator.standard_normal(3) + wraps
        wanted = compute(kind, p, positions, q, cell)
        assert error(compute(kind, p, moved, q, cell), wanted) <= BOUNDS[kind]

    holds()


@EVERY
def test_rotation(kind, p):
    """Cell and points turned, or mirrored: energies stay, and forces turn with them."""

    @FEW
    @given(seed=seeds)
    def holds(seed):
        positions, q, cell, generator = drawn(seed)
        turned = np.linalg.qr(generator.standard_normal((3, 3)))[0]
        wanted = compute(kind, p, positions, q, cell)
        assert error(compute(kind, p, positions @ turned, q, cell @ turned), wanted, turned=turned) <= BOUNDS[kind]

    holds()


@EVERY
def test_supercells(kind, p):
    """Cells repeated along an axis have energies of so many."""

    @FEW
    @given(seed=seeds, axis=st.integers(0, 2), copies=st.integers(2, 3))
    def holds(seed, axis, copies):
        positions, q, cell, _ = drawn(seed)
        repeated = np.concatenate([positions + i * cell[axis] for i in range(copies)])
        longer = cell.copy()
        longer[axis] *= copies
        wanted = compute(kind, p, positions, q, cell)
        assert error(compute(kind, p, repeated, np.tile(q, (copies, 1)), longer), wanted) <= BOUNDS[kind]

    holds()


@EVERY
def test_other_cells_of_a_lattice(kind, p):
    """A lattice vector added to another one, axes in another order, an axis the other way round."""

    @FEW
    @given(seed=seeds, order=st.permutations(range(3)))
    def holds(seed, order):
        positions, q, cell, generator = drawn(seed)
        other = cell[list(order)]
        other[0] += other[1]
        other[2] *= generator.choice([-1, 1])
        wanted = compute(kind, p, positions, q, cell)
        assert error(compute(kind, p, positions, q, other), wanted) <= BOUNDS[kind]

    holds()


@pytest.mark.parametrize("periodic", [(True, True, True), (True, False, True)])
def test_vectors_far_from_the_shortest(periodic):
    """Forty times as long as others of their lattice: the same, with as many modes."""
    positions, q, cell, _ = drawn(5)
    q -= q.mean(axis=0)
    other = cell.copy()
    other[0] += 40 * cell[2]
    potential = CoulombPotential(SMEARING)
    ewald = EwaldCalculator(potential, potential.reach(EXACT))
    made, modes = [], []
    for lattice in (cell, other, other):  # the last from what is kept
        made.append(ewald.compute(positions, q, lattice, periodic=periodic, forces=True, stress=True))
        modes.append(np.prod(ewald._used.modes))
    wanted = made[0]
    for own in made[1:]:
        assert error(own, wanted) <= BOUNDS["ewald"]
    batch = Structures.from_arrays([positions, positions], np.stack([cell, other]), periodic=periodic)
    for _ in range(2):
        both = ewald.compute(batch, np.concatenate([q, q]), forces=True)
        modes.append(np.prod(ewald._used.modes))
        assert np.abs(both.energy - wanted.energy).max() <= BOUNDS["ewald"] * abs(wanted.energy)
        assert np.abs(both.forces[len(q) :] - wanted.forces).max() <= BOUNDS["ewald"] * np.abs(wanted.forces).max()
    assert max(modes) <= 2 * modes[0]


@EVERY
def test_permutation(kind, p):
    """Points numbered anew."""

    @FEW
    @given(seed=seeds)
    def holds(seed):
        positions, q, cell, generator = drawn(seed)
        order = generator.permutation(len(q))
        wanted = compute(kind, p, positions, q, cell)
        assert error(compute(kind, p, positions[order], q[order], cell), wanted, order) <= 1e-10  # the same sums

    holds()


@EVERY
def test_channels(kind, p):
    """Channels do not see each other: potentials are those of each alone, and energies and forces add up."""

    @FEW
    @given(seed=seeds)
    def holds(seed):
        positions, q, cell, _ = drawn(seed)
        together = compute(kind, p, positions, q, cell)
        first, second = (compute(kind, p, positions, q[:, c], cell) for c in (0, 1))
        size = np.abs(together.potential).max()
        assert np.abs(together.potential - np.stack([first.potential, second.potential], 1)).max() <= 1e-10 * size
        assert together.energy == pytest.approx(first.energy + second.energy, rel=1e-10, abs=1e-10 * size)
        bound = 1e-10 * max(size, np.abs(first.forces).max())
        assert np.abs(together.forces - first.forces - second.forces).max() <= bound

    holds()


@EVERY
def test_charges_and_energies_scale(kind, p):
    """Twice the charges are twice the potentials and four times the energy."""

    @FEW
    @given(seed=seeds)
    def holds(seed):
        positions, q, cell, _ = drawn(seed)
        wanted, own = compute(kind, p, positions, q, cell), compute(kind, p, positions, 2 * q, cell)
        assert np.abs(own.potential - 2 * wanted.potential).max() <= 1e-12 * np.abs(own.potential).max()
        assert own.energy == pytest.approx(4 * wanted.energy, rel=1e-12)

    holds()


@EVERY
def test_batches(kind, p):
    """Structures in one batch have what each has alone."""

    @settings(max_examples=3, deadline=None)
    @given(several=st.lists(seeds, min_size=2, max_size=3))
    def holds(several):
        parts = [drawn(seed) for seed in several]
        batch = Structures.from_arrays([x for x, *_ in parts], np.array([cell for _, _, cell, _ in parts]))
        own = calculator(kind, p).compute(batch, np.concatenate([q for _, q, *_ in parts]), forces=True, stress=True)
        for b, (x, q, cell, _) in enumerate(parts):
            some = slice(*batch.offsets[b : b + 2])
            alone = Result(own.potential[some], own.energy[b], own.forces[some], own.strain[b])
            assert error(alone, compute(kind, p, x, q, cell)) <= 1e-10  # the same sums

    holds()
