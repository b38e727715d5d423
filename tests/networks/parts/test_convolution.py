"""Convolutions of few points and without images: against sums over pairs, and matrices against plans."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from drawn_structures import SPECIES, make_structures
from measures import relative
from scipy.special import erf, exp1
from strategies import random_numbers

from lrc_numba import LRCPlan
from lrc_numba.geometry.neighbours import find_pairs
from lrc_numba.geometry.structures import Structures
from lrc_numba.machine.workspace import Workspace
from lrc_numba.networks.composed import MessagePassingNetwork
from lrc_numba.networks.layers.parameters import Parameters
from lrc_numba.networks.long_range import CoulombKernel, SmearedCoulomb
from lrc_numba.networks.parts import convolution
from lrc_numba.networks.parts.convolution import Convolution, SeriesEnd
from lrc_numba.networks.parts.mode_sums import ModePlan
from lrc_numba.networks.parts.part import Scene, Tape
from lrc_numba.networks.parts.small import SmallPlan, Tables

EPS = 1e-6


def molecules(counts: tuple[int, ...], seed: int, dim: int = 3) -> Structures:
    """Structures without cells."""
    return make_structures(dim, counts, tuple(1.6 * n ** (1 / dim) + 0.5 for n in counts), periodic=False, seed=seed)


def coulomb(points: np.ndarray, values: np.ndarray, sigma: float) -> np.ndarray:
    """Σ_j φ(r) f_j with 1/r, −2 ln r or −2π|x| smeared by a Gaussian; the limit at r = 0 of a point itself."""
    r, dim = np.linalg.norm(points[:, None] - points, axis=-1), points.shape[1]
    np.fill_diagonal(r, 1.0)
    if dim == 1:
        kernel = -2 * np.pi * r * erf(r / np.sqrt(2) / sigma)
        kernel -= 2 * np.pi * sigma * np.sqrt(2 / np.pi) * np.exp(-(r**2) / (2 * sigma**2))
        itself = -2 * np.sqrt(2 * np.pi) * sigma
    elif dim == 2:
        kernel, itself = -2 * np.log(r) - exp1(r**2 / (2 * sigma**2)), np.euler_gamma - np.log(2 * sigma**2)
    else:
        kernel, itself = erf(r / np.sqrt(2) / sigma) / r, np.sqrt(2 / np.pi) / sigma
    np.fill_diagonal(kernel, itself)
    return kernel @ values


@pytest.mark.parametrize("small", [256, pytest.param(0, marks=pytest.mark.slow)])
@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize(("eps", "sigma"), [(1e-3, 0.6), (1e-5, 1.0)])
def test_convolution_without_images(small, eps, sigma, dim):
    """That of Gaussian charges in open space, by matrices and by a plan, for structures of different sizes."""
    end = (np.sqrt(2 * np.log(1 / eps)) + 0.5) / sigma  # e^{−k²σ²/2} is below eps there
    part = Convolution(CoulombKernel(sigma), SeriesEnd((end,)), eps, "features", small)
    structures = molecules(counts=(5, 1, 2), seed=7, dim=dim)
    values = random_numbers(3, 8, 2)
    found = convolved(part, structures, values)
    for lo, hi in pairwise(structures.offsets):
        assert relative(found[lo:hi], coulomb(structures.positions[lo:hi], values[lo:hi], sigma)) <= eps


def convolved(part: Convolution, structures: Structures, values: np.ndarray) -> np.ndarray:
    """u of given features."""
    pairs = find_pairs(structures.positions, 0.1, offsets=structures.offsets)
    scene = Scene(structures, pairs, np.dtype(np.float64))
    return part.forward(Tape(scene, Parameters({}, np.float64), Workspace()), None, values)


@pytest.mark.parametrize("factor", [1.0, 0.6, 1.8])
def test_long_range_of_a_network(factor):
    """What its convolution carries is right to its eps, also with another width than it started with."""
    options = {"channels": 8, "rounds": 1, "long_range": 2, "train_sigma": True, "sigma": 0.6}
    network, molecule = MessagePassingNetwork(SPECIES, 1.5, **options), molecules(counts=(7,), seed=2)
    network.parameters["far0.sigma"][...] *= factor
    f, u = network.values(molecule, "f0"), network.values(molecule, "u0")
    wanted = coulomb(molecule.positions, f, float(network.parameters["far0.sigma"]))
    assert relative(u, wanted) <= network.eps


def test_an_open_structure_beside_a_periodic_one_in_its_cell(monkeypatch):
    """Both are convolved in the same cell, each with its own points."""
    cells = []

    class Noting(ModePlan):
        def __init__(self, cell, *others):
            cells.append(cell.copy())
            super().__init__(cell, *others)

    monkeypatch.setattr("lrc_numba.networks.parts.convolution.ModePlan", Noting)
    end = np.sqrt(2 * np.log(1 / EPS)) / 0.6
    part = Convolution(CoulombKernel(0.6), SeriesEnd((end,)), EPS, "features", 0, 10**6)
    molecule, values = molecules(counts=(4,), seed=2), random_numbers(4, 4, 2)
    alone = convolved(part, molecule, values)
    crystal = Structures.from_arrays(molecule.positions + 0.3, cells[0], species=molecule.species)
    both = convolved(part, Structures.concatenate([molecule, crystal]), np.concatenate([values, values]))
    assert len(cells) == 2
    np.testing.assert_array_equal(cells[0], cells[1])
    np.testing.assert_allclose(both[:4], alone, rtol=0, atol=1e-12 * np.abs(alone).max())
    assert relative(both[4:], alone) > EPS


@pytest.mark.slow
@pytest.mark.parametrize("dim", [1, 2, 3])
def test_matrices_and_plans(dim):
    """u and its derivatives of both; slopes of a window are right to some five eps, see ``bounds``."""
    cell, modes = np.diag([3.0, 3.5, 4.0][:dim]), (15, 9, 11)[:dim]
    generator, shape = np.random.default_rng(dim), (2, 6)
    points = generator.random((*shape, dim)) @ cell
    f, df, g, dg = (generator.standard_normal((*shape, 3)) for _ in range(4))
    dx, kernel = generator.standard_normal(points.shape), SmearedCoulomb(0.5)
    plans = [LRCPlan(cell, modes, eps=EPS, dim=dim), SmallPlan(cell, modes, np.dtype(np.float64), Tables())]
    results = []
    for plan in plans:
        plan.set_points(points)
        back = plan.vjp(f, kernel, g, wrt=("points", "values", "parameters"))
        rates = plan.parameters_jvp(f, kernel, g, dpoints=dx, dvalues=df, dcotangent=dg)
        exact = plan.convolve(f, kernel), plan.jvp(f, kernel, dvalues=df), back.values, back.parameters["sigma"]
        moved = plan.jvp(f, kernel, dpoints=dx, dvalues=df), plan.jvp(f, kernel, dpoints=dx)
        results.append((*exact, back.points, rates["sigma"], *moved))
    for i, (of_plan, of_matrices) in enumerate(zip(*results, strict=True)):
        assert relative(np.asarray(of_plan), np.asarray(of_matrices)) <= (EPS if i < 4 else 10 * EPS)


def test_more_modes_than_memory():
    """A width that became very small is an error before anything is allocated."""
    network = MessagePassingNetwork(SPECIES, 1.5, channels=8, rounds=1, long_range=2, train_sigma=True, sigma=0.6)
    network.parameters["far0.sigma"][...] = 1e-4
    with pytest.raises(MemoryError, match=r"far0.sigma = 0.0001: cell: .* modes of a long range needs about .* GiB"):
        network.predict(make_structures(3, (4,), (6.0,), seed=1))


def test_a_point_far_away():
    """Which of the structures it is that asks for a box beyond memory, and what to look for."""
    network = MessagePassingNetwork(SPECIES, 1.5, channels=8, rounds=1, long_range=2, sigma=0.6)
    positions = [side * np.random.default_rng(1).random((count, 3)) for count, side in ((4, 2.0), (600, 9.0))]
    positions[1][-1] = 1e4
    structures = Structures.from_arrays(positions, species=np.full(604, SPECIES[0]))
    with pytest.raises(MemoryError, match=r"needs about .* GiB .* of structure 1; .* look for points far away"):
        network.predict(structures)


def test_matrices_of_many_modes(monkeypatch):
    """They are summed some at a time, which bounds the memory."""
    points, cell = np.random.default_rng(0).random((1, 5, 3)) * 3, np.diag([3.0, 3.5, 4.0])
    f, u = random_numbers(1, 1, 5, 2), []
    for at_once in (2**22, 40):
        monkeypatch.setattr("lrc_numba.networks.parts.small.AT_ONCE", at_once)
        plan = SmallPlan(cell, (5, 7, 5), np.dtype(np.float64), Tables())
        plan.set_points(points)
        u.append([plan.convolve(f, SmearedCoulomb(0.5)), plan.jvp(f, SmearedCoulomb(0.5), dpoints=points)])
    for own, wanted in zip(*u, strict=True):
        np.testing.assert_allclose(own, wanted, rtol=0, atol=1e-13 * np.abs(wanted).max())


@pytest.mark.slow
def test_many_cells_in_little_memory(monkeypatch):
    """One cell after another, as at constant pressure: what a network keeps is bounded, and no number differs."""
    crystal = make_structures(3, (40,), (6.0,), seed=4)
    network = MessagePassingNetwork(SPECIES, 2.0, channels=8, rounds=1, long_range=2, eps=1e-4)
    (part,) = (part for part in network.program.parts if isinstance(part, Convolution))
    part.small = part.direct = 0  # plans, as of larger structures

    def energy(of: MessagePassingNetwork, stretch: float) -> float:
        structures = replace(crystal, positions=crystal.positions * stretch, cell=crystal.cell * stretch)
        return float(of.predict(structures, forces=False).energies[0])

    wanted = [energy(network, 1 + 0.01 * i) for i in range(6)]
    monkeypatch.setattr(convolution, "HELD", 1.5 * sum(plan.nbytes for plan in part._plans.values()) / 6)
    found = [energy(network, 1 + 0.01 * i) for i in (*range(6), 0)]
    assert found == [*wanted, wanted[0]]
    assert len(part._plans) <= 2


@pytest.mark.slow
@pytest.mark.parametrize("cell", [8.0, None])
@pytest.mark.parametrize("options", [{}, {"kernel": "gaussians"}, {"long_range_form": "attention", "keys": 2}])
def test_single_precision_far_from_the_origin(cell, options):
    """The same bits a million lengths away: positions are multiples of 2⁻¹² and the way a power of two, so exact."""
    own: dict = {"channels": 8, "rounds": 1, "long_range": 2, "sigma": 0.6, "dim": 1, "dtype": np.float32}
    network = MessagePassingNetwork((1,), 1.5, **own, **options)
    network.parameters.flat[...] += 0.1 * np.random.default_rng(1).standard_normal(network.parameters.flat.size)
    points = np.round(np.random.default_rng(0).uniform(0, 8, (2, 6, 1)) * 2**12) / 2**12
    here, far = (network.predict(Structures.from_arrays(points + way, cell)) for way in (0.0, 2.0**20))
    np.testing.assert_array_equal(far.energies, here.energies)
    np.testing.assert_array_equal(far.forces, here.forces)
