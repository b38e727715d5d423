"""Meshes kept for cells that change: energies are smooth, right, and the integrals of their stresses."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pytest
from measures import relative

from lrc_numba.electrostatics import CoulombPotential, EwaldCalculator, MeshCalculator, ProlateCoulombPotential
from lrc_numba.geometry.structures import Structures

SIDE = 4.0
SHEAR = np.array([[1.0, 0.4, -0.3], [0.4, -0.5, 0.2], [-0.3, 0.2, 0.8]])
FARTHEST = 0.03


def ions() -> tuple[np.ndarray, np.ndarray]:
    """27 points none of which are close together, and charges with a net one."""
    rng = np.random.default_rng(0)
    sites = np.indices((3, 3, 3)).reshape(3, -1).T
    return (sites + 0.6 * rng.random(sites.shape)) * SIDE / 3, (-1.0) ** np.arange(27)


def mesh(splitting: str) -> MeshCalculator:
    """Pairs and modes that are left out carry 1e-10, and the window 1e-6."""
    if splitting == "prolate":
        return MeshCalculator(ProlateCoulombPotential(3.0, 30.0), 3.0, eps=3e-6)
    potential = CoulombPotential(0.5)
    return MeshCalculator(potential, potential.reach(1e-12), potential.highest_wavenumber(1e-10), eps=1e-6)


def frozen(splitting: str) -> MeshCalculator:
    """Its mesh is that of the cube."""
    calculator, (positions, charges) = mesh(splitting), ions()
    calculator.compute(positions, charges, SIDE)
    calculator.freeze_mesh()
    return calculator


EACH = pytest.mark.parametrize("splitting", [pytest.param("gaussian", marks=pytest.mark.slow), "prolate"])


def strained(calculator, h: float, **wanted):
    """What a calculator has for the points and the cube strained by h SHEAR, and the strained lattice vectors."""
    positions, charges = ions()
    deformation = np.eye(3) + h * SHEAR
    return calculator.compute(positions @ deformation, charges, SIDE * deformation, **wanted), SIDE * deformation


@EACH
def test_results_stay_right(splitting):
    """Within eps of those by explicit sums, in cells that are strained by up to 3 % either way."""
    calculator, potential = frozen(splitting), CoulombPotential(0.5)
    exact = EwaldCalculator(potential, potential.reach(1e-15))
    for h in (-FARTHEST, -0.011, 0.017, FARTHEST):
        made, wanted = (strained(each, h, forces=True, stress=True)[0] for each in (calculator, exact))
        assert made.energy == pytest.approx(wanted.energy, rel=1e-6)
        assert relative(made.forces, wanted.forces) <= 1e-6
        assert relative(made.stress, wanted.stress) <= 1e-6


@EACH
def test_work_is_the_integral_of_the_stress(splitting):
    """To 1e-10 of the work, far below the mesh's own error: stresses are those of the energy that is computed, and that
    has no jumps, as mesh and modes stay. Gauss's rule with eight nodes is exact to rounding on so short a path."""
    calculator = frozen(splitting)
    t, weights = np.polynomial.legendre.leggauss(8)
    work = 0.0
    for h, w in zip(FARTHEST * t, FARTHEST * weights, strict=True):
        made, cell = strained(calculator, h, stress=True)
        # d(1 + h S) = (1 + h S) [(1 + h S)⁻¹ S] dh is a strain of the cell that there is.
        rate = np.linalg.solve(cell / SIDE, SHEAR)
        work += w * abs(np.linalg.det(cell)) * np.sum(made.stress * rate)
    ends = [strained(calculator, h)[0].energy for h in (FARTHEST, -FARTHEST)]
    assert abs(ends[0] - ends[1] - work) <= 1e-10 * abs(work) + 1e-13 * abs(ends[0])


@EACH
def test_energies_have_no_jumps(splitting):
    """Fourth differences along a path of small steps are rounding, times the sum of its weights; nodes are those of the
    start. A mesh chosen anew for each cell jumps by a part of eps where its size changes."""
    calculator = frozen(splitting)
    plan = calculator.long_range(ions()[0], SIDE * np.eye(3), (True,) * 3).plan
    sizes = plan.grid.n
    energies = [strained(calculator, h)[0].energy for h in np.linspace(-FARTHEST, FARTHEST, 121)]
    differences = np.diff(energies, 4)
    smooth = np.abs(np.diff(energies, 2)).max() * 1e-5  # a step is 5e-4 of the path's scale, a length of the cell
    assert np.abs(differences).max() <= max(smooth, 16 * 1e-14 * abs(energies[0]))
    later = calculator.long_range(ions()[0], SIDE * np.eye(3), (True,) * 3).plan
    assert later.grid.n == sizes


BOUNDARIES = {"periodic": (True, True, True), "slab": (True, True, False), "free": (False, False, False)}


def few(**settings) -> tuple[MeshCalculator, np.ndarray, np.ndarray, np.ndarray]:
    """A coarse calculator, and two points with room around."""
    positions, charges = np.array([[0.1, 0.2, 0.3], [1.4, 1.1, 1.9]]), np.array([1.0, -1.0])
    calculator = MeshCalculator(ProlateCoulombPotential(2.0, 6.0), 2.0, eps=1e-5, **settings)
    return calculator, positions, charges, 4.0 * np.eye(3)


@pytest.mark.explicit_sums
@pytest.mark.parametrize("frozen_for", BOUNDARIES)
@pytest.mark.parametrize("computed", BOUNDARIES)
def test_other_boundaries_are_refused(frozen_for, computed):
    """Modes of a padded cell are not those of a crystal: the error names both, also in a set of structures."""
    calculator, x, q, cell = few(explicit_sums=False)
    calculator.compute(x, q, cell, periodic=BOUNDARIES[frozen_for])
    calculator.freeze_mesh()
    flags = BOUNDARIES[computed]
    if frozen_for == computed:
        energy = calculator.compute(1.01 * x, q, 1.01 * cell, periodic=flags).energy
        assert energy == pytest.approx(
            few(explicit_sums=False)[0].compute(1.01 * x, q, 1.01 * cell, periodic=flags).energy, abs=1e-3
        )
        return
    words = re.escape(f"frozen for structures periodic along {BOUNDARIES[frozen_for]}, got {flags}; unfreeze_mesh")
    for _ in range(2):
        with pytest.raises(ValueError, match="periodic: the mesh was " + words):
            calculator.compute(x, q, cell, periodic=flags)
    structures = Structures.from_arrays(np.stack([x, x]), np.stack([cell, 1.1 * cell]), periodic=flags)
    with pytest.raises(ValueError, match=words + ".*; in structure 0"):
        calculator.compute(structures, np.tile(q, 2))
    calculator.unfreeze_mesh()
    calculator.compute(x, q, cell, periodic=flags)


@pytest.mark.explicit_sums
def test_which_structure_is_frozen():
    """The last one: where it had no mesh that is said, and the mesh of one before is not taken for it."""
    calculator, x, q, cell = few()
    with pytest.raises(ValueError, match="expected a structure to be computed first"):
        calculator.freeze_mesh()
    calculator.compute(x, q, cell)
    calculator.compute(x, q)
    with pytest.raises(
        ValueError, match=r"computed last has .* no images.* without a mesh; compute the structure whose"
    ):
        calculator.freeze_mesh()
    calculator.compute(x, q, cell)
    calculator.freeze_mesh()
    assert "frozen" in repr(calculator)


@pytest.mark.explicit_sums
def test_cells_from_before_get_the_frozen_mesh():
    """A cell that was computed before the mesh of another was frozen: its modes are those that were frozen."""
    calculator, x, q, cell = few(explicit_sums=False)
    calculator.compute(x, q, 1.8 * cell)
    calculator.compute(x, q, cell)
    calculator.freeze_mesh()
    with pytest.warns(UserWarning, match="since the mesh of"):
        calculator.compute(x, q, 1.8 * cell)
    flags = BOUNDARIES["periodic"]
    modes = [calculator.long_range(x, scale * cell, flags).modes for scale in (1.0, 1.8)]
    assert modes[0] == modes[1]


@pytest.mark.explicit_sums
@pytest.mark.parametrize("nodes", [2, (16, 16, 2)])
def test_a_mesh_that_cuts_modes_says_so(nodes):
    """It names the nodes and up to where all modes are kept, and printing shows them; one with enough is silent."""
    calculator, x, q, cell = few(explicit_sums=False, nodes=nodes)
    top = 0  # the highest kept of the axis with the fewest nodes
    below = re.escape(f"{2 * np.pi * (top + 1) / 4:.4g}")
    with pytest.warns(
        UserWarning, match=rf"nodes: \(.*\) keep modes .* below a wavenumber of {below} only.* k_cutoff is 3"
    ):
        calculator.compute(x, q, cell)
    assert f"{2 * top + 1})" in repr(calculator)
    assert f"all below {2 * np.pi * (top + 1) / 4:.6g}" in repr(calculator)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        few(explicit_sums=False, nodes=16)[0].compute(x, q, cell)
