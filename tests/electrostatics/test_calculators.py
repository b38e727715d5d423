"""Calculators: lattice sums known to many digits, independence of the splitting, derivatives, errors."""

from __future__ import annotations

import numpy as np
import pytest
from measures import relative

from lrc_numba.electrostatics import (
    Calculator,
    CombinedPotential,
    CoulombPotential,
    EwaldCalculator,
    InversePowerLawPotential,
    MeshCalculator,
    Potential,
    ProlateCoulombPotential,
)
from lrc_numba.geometry.structures import Structures

# −E per formula unit for v = 1/r^p and nearest neighbours at the distance 1 (NaCl) or a cell of 1 (CsCl), and 2 E of a
# simple cubic lattice of unit charges and its background: Madelung constants and other lattice sums.
NACL = {1: 1.747564594633183, 2: 2.5193561520894474, 3: 3.238624766051778, 6: 4.78844371389141}
CSCL = {1: 2.0353615094525943, 2: 3.42349682541192, 3: 5.1435268588024465, 6: 12.241883291333929}
WIGNER, CUBIC_6 = 2.8372974794806196, 4.200961987413767
LEFT_HANDED = np.array([[3.1, 0.2, -0.4], [0.5, -0.3, 3.4], [-0.7, 2.9, 0.6]])


def ewald(potential: Potential, **options) -> EwaldCalculator:
    return EwaldCalculator(potential, potential.reach(1e-17), potential.highest_wavenumber(1e-17), **options)


def mesh(potential: Potential, eps: float = 1e-12, **options) -> MeshCalculator:
    return MeshCalculator(potential, potential.reach(1e-17), potential.highest_wavenumber(1e-16), eps=eps, **options)


def ions(count: int, seed: int = 0, channels: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Positions anywhere in and around a cell, and charges with a net one."""
    rng = np.random.default_rng(seed)
    positions = rng.uniform(-1.0, 2.0, (count, 3)) @ LEFT_HANDED
    return positions, rng.standard_normal((count, channels) if channels else count)


def nacl() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    corners = np.indices((2, 2, 2)).reshape(3, -1).T.astype(float)
    return corners, (-1.0) ** corners.sum(axis=1), 2.0 * np.eye(3)


@pytest.mark.parametrize("p", list(NACL))
@pytest.mark.parametrize("make", [ewald, pytest.param(mesh, marks=pytest.mark.slow)])
def test_lattice_sums(p, make):
    """To 1e-12."""
    positions, charges, cell = nacl()
    potential = InversePowerLawPotential(p, 0.25)
    assert make(potential).compute(positions, charges, cell).energy / 4 == pytest.approx(-NACL[p], rel=1e-12)
    pair = np.array([[0.0, 0.0, 0.0], [0.5, 0.5, 0.5]])
    assert make(potential).compute(pair, [-1.0, 1.0], 1.0).energy == pytest.approx(-CSCL[p], rel=1e-12)


def test_charged_lattices():
    """One charge: with a background for p = 1, all images for p = 6; a length decides for p = 3."""
    at = np.zeros((1, 3))
    assert 2 * ewald(CoulombPotential(0.2)).compute(at, [1.0], 1.0).energy == pytest.approx(-WIGNER, rel=1e-12)
    assert ewald(InversePowerLawPotential(6, 0.2)).compute(at, [1.0], 1.0).energy == pytest.approx(CUBIC_6, rel=1e-11)
    with pytest.raises(ValueError, match="charges: a net charge of 1 has no energy with exponent=3; pass reference"):
        ewald(InversePowerLawPotential(3, 0.2)).compute(at, [1.0], 1.0)
    energies = [
        ewald(InversePowerLawPotential(3, sigma, reference_length=0.7)).compute(at, [1.0], 1.0).energy
        for sigma in (0.15, 0.25)
    ]
    assert energies[0] == pytest.approx(energies[1], rel=1e-12)


@pytest.mark.parametrize("p", [0.5, 1.0, 2.5, 3.0, 6.0])
def test_nothing_depends_on_the_splitting(p):
    """Two smearings, in a left-handed cell with a net charge: to rounding times the size of what cancels."""
    positions, charges = ions(7)
    length = {"reference_length": 1.0} if p == 3 else {}
    first, second = (
        ewald(InversePowerLawPotential(p, sigma, **length)).compute(
            positions, charges, LEFT_HANDED, forces=True, stress=True
        )
        for sigma in (0.3, 0.45)
    )
    assert relative(first.potential, second.potential) <= 1e-12
    assert relative(first.forces, second.forces) <= 1e-12
    assert relative(first.strain, second.strain) <= 1e-11


def surroundings() -> dict[str, tuple]:
    """Cell and periodic flags; slabs and wires with their open axes anywhere and not at right angles."""
    return {
        "periodic": (LEFT_HANDED, True),
        "slab": (LEFT_HANDED * np.array([[1.0], [6.0], [1.0]]), (True, False, True)),
        "wire": (LEFT_HANDED, (False, False, True)),
        "free": (None, False),
    }


EVERYWHERE = pytest.mark.parametrize("where", list(surroundings()))


@EVERYWHERE
def test_derivatives(where):
    """Forces, strain and charge gradient of a visibly truncated sum: they are those of what is computed."""
    cell, periodic = surroundings()[where]
    rng = np.random.default_rng(3)
    positions, charges = rng.uniform(0, 1, (5, 3)) @ LEFT_HANDED, rng.standard_normal(5)
    calculator = EwaldCalculator(CoulombPotential(0.4), 2.0, 12.0)

    def energy(x, q, a) -> float:
        return calculator.compute(x, q, a, periodic=periodic).energy

    made = calculator.compute(
        positions, charges, cell, periodic=periodic, forces=True, stress=True, charge_gradient=True
    )
    h, moved, charged = 1e-4, rng.standard_normal((5, 3)), rng.standard_normal(5)
    by_points = (energy(positions + h * moved, charges, cell) - energy(positions - h * moved, charges, cell)) / (2 * h)
    assert -np.sum(made.forces * moved) == pytest.approx(by_points, rel=1e-6)
    by_charges = (energy(positions, charges + h * charged, cell) - energy(positions, charges - h * charged, cell)) / (
        2 * h
    )
    assert made.charge_gradient @ charged == pytest.approx(by_charges, rel=1e-8)
    strain = rng.standard_normal((3, 3))
    strain = (strain + strain.T) / 2
    up, down = (np.eye(3) + sign * h * strain for sign in (1, -1))
    ends = [energy(positions @ way, charges, None if cell is None else cell @ way) for way in (up, down)]
    # Along open axes R and the period follow from the extents, on which sums that are not truncated do not depend.
    tight = ewald(CoulombPotential(0.4)) if cell is None or periodic is not True else calculator
    if tight is not calculator:
        made = tight.compute(positions, charges, cell, periodic=periodic, stress=True)
        ends = [
            tight.compute(positions @ way, charges, None if cell is None else cell @ way, periodic=periodic).energy
            for way in (up, down)
        ]
    assert np.sum(made.strain * strain) == pytest.approx((ends[0] - ends[1]) / (2 * h), rel=1e-6)


@pytest.mark.parametrize(
    "where",
    ["periodic", *(pytest.param(name, marks=pytest.mark.slow) for name in surroundings() if name != "periodic")],
)
@pytest.mark.parametrize(
    ("splitting", "eps"),
    [
        ("gaussian", 5e-5),
        pytest.param("prolate", 1e-4, marks=pytest.mark.slow),
        pytest.param("gaussian", 1e-12, marks=pytest.mark.slow),
        pytest.param("prolate", 1e-12, marks=pytest.mark.slow),
    ],
)
def test_mesh_is_ewald(where, splitting, eps):
    """Potentials, forces and strain by the engine, with either splitting.

    To a hundredth of eps, which is for the worst of all modes, and these fall off as a Gaussian; or to the rounding of
    what cancels.
    """
    cell, periodic = surroundings()[where]
    rng = np.random.default_rng(4)
    positions, charges = rng.uniform(0, 1, (6, 3)) @ LEFT_HANDED, rng.standard_normal((6, 2))
    wanted = ewald(CoulombPotential(0.4)).compute(positions, charges, cell, periodic=periodic, forces=True, stress=True)
    made = mesh(CoulombPotential(0.4), eps)
    if splitting == "prolate":
        made = MeshCalculator(ProlateCoulombPotential(3.0, 36.0), 3.0, eps=eps)
    made = made.compute(positions, charges, cell, periodic=periodic, forces=True, stress=True)
    for name in ("potential", "forces", "strain"):
        assert relative(getattr(made, name), getattr(wanted, name)) <= max(1e-11, 1e-2 * eps), name


def test_free_space_is_the_sum_over_pairs():
    """Of any power, by the truncated kernel."""
    rng = np.random.default_rng(5)
    positions, charges = rng.uniform(0, 2, (6, 3)), rng.standard_normal(6)
    distance = np.linalg.norm(positions[:, None] - positions, axis=2)
    np.fill_diagonal(distance, np.inf)
    for p in (1.0, 2.5):
        found = ewald(InversePowerLawPotential(p, 0.4)).compute(positions, charges, periodic=False)
        assert relative(found.potential, (distance**-p) @ charges / 2) <= 1e-12


def test_slab_does_not_depend_on_the_vacuum():
    """The same charged slab in cells with more and more of it, or none given."""
    cell, periodic = surroundings()["slab"]
    positions, charges = ions(5, seed=6)
    positions = positions * 0.5
    energies = []
    for height in (1.0, 3.0, 0.0):
        taller = cell * np.array([[1.0], [height], [1.0]])
        energies.append(ewald(CoulombPotential(0.4)).compute(positions, charges, taller, periodic=periodic).energy)
    np.testing.assert_allclose(energies, energies[0], rtol=1e-12)


@pytest.mark.parametrize("make", [ewald, pytest.param(mesh, marks=pytest.mark.slow)])
def test_batches_and_channels(make):
    """Structures of different sizes and cells, one of them without points: each as by itself, channel by channel."""
    calculator = make(CoulombPotential(0.35))
    sizes, cells = (3, 0, 5), np.stack([LEFT_HANDED, LEFT_HANDED, 1.2 * LEFT_HANDED])
    sets = [ions(n, seed=n, channels=2) for n in sizes]
    structures = Structures.from_arrays([x for x, _ in sets], cells)
    charges = np.concatenate([q for _, q in sets])
    options = {"forces": True, "stress": True, "charge_gradient": True}
    together = calculator.compute(structures, charges, **options)
    for b, (positions, own) in enumerate(sets):
        some = slice(*structures.offsets[b : b + 2])
        alone = make(CoulombPotential(0.35)).compute(positions, own, cells[b], **options)
        assert relative(together.potential[some], alone.potential) <= 1e-14
        assert relative(together.forces[some], alone.forces) <= 1e-13
        assert together.energy[b] == pytest.approx(alone.energy, rel=1e-14)
        assert relative(together.stress[b], alone.stress) <= 1e-13
        channels = [calculator.compute(positions, own[:, c], cells[b]) for c in range(2)]
        assert sum(each.energy for each in channels) == pytest.approx(alone.energy, rel=1e-12, abs=1e-15)


def test_moving_points_and_cells():
    """A calculator that has seen others gives bit for bit what a new one gives, with and without a skin."""
    positions, charges = ions(6, seed=8, channels=2)
    used = {skin: MeshCalculator(CoulombPotential(0.4), 2.0, skin=skin, eps=1e-5) for skin in (0.0, 0.5)}
    for step in range(4):
        moved, cell = positions + 0.05 * step, LEFT_HANDED * (1 + 0.01 * (step // 2))
        fresh = MeshCalculator(CoulombPotential(0.4), 2.0, eps=1e-5).compute(moved, charges, cell, forces=True)
        for skin, calculator in used.items():
            made = calculator.compute(moved, charges, cell, forces=True)
            if skin == 0:
                np.testing.assert_array_equal(made.forces, fresh.forces)
            assert relative(made.forces, fresh.forces) <= 1e-13


def test_weights_that_change():
    """Energies are linear in them, also after tables were made."""
    positions, charges = ions(6, seed=9)
    potential = CombinedPotential([CoulombPotential(), InversePowerLawPotential(2)], [1.0, 0.0], 0.4)
    calculator, energies = ewald(potential), []
    for weights in ((1.0, 0.0), (0.0, 1.0), (0.5, -2.0)):
        potential.weights[...] = weights
        energies.append(calculator.compute(positions, charges, LEFT_HANDED).energy)
    assert energies[2] == pytest.approx(0.5 * energies[0] - 2 * energies[1], rel=1e-12)


def refused() -> dict:
    positions, charges = ions(4)
    wide = np.array([[0.0, 0, 0], [0, 9.0, 0]])
    make: dict[str, Calculator] = {"c": EwaldCalculator(CoulombPotential(0.4), 2.0)}
    compute = make["c"].compute
    return {
        "shape": (lambda: compute(positions, charges[:3], LEFT_HANDED), r"charges: expected shape \(4,\) or \(4, C\)"),
        "nan": (lambda: compute(positions, charges * np.nan, LEFT_HANDED), "charges: "),
        "none": (lambda: compute(positions, None, LEFT_HANDED), "charges: expected them for every point"),
        "twice": (lambda: compute(positions[[0, 0, 1, 2]], charges, LEFT_HANDED), "got 0 and 1 of structure 0"),
        "no cell": (lambda: compute(positions, charges, periodic=(True, True, False)), "cell: "),
        "vacuum": (
            lambda: compute(wide, charges[:2], np.diag([4.0, 5.0, 4.0]), periodic=(True, False, True)),
            "positions: they extend over 9 along open axis 1, and the cell has 5",
        ),
        "slab": (
            lambda: ewald(InversePowerLawPotential(2, 0.4)).compute(
                positions, charges, 9 * np.eye(3), periodic=(True, True, False)
            ),
            "periodic: .* has no kernel for slabs and wires",
        ),
        "cutoff": (lambda: EwaldCalculator(CoulombPotential(0.4), -1.0), "cutoff: expected a number above 0"),
        "smearing": (lambda: EwaldCalculator(CoulombPotential(), 1.0), "smearing: CoulombPotential has none"),
        "k_cutoff": (lambda: EwaldCalculator(CoulombPotential(0.4), 1.0, 0.0), "k_cutoff: expected a number above 0"),
    }


@pytest.mark.parametrize("name", list(refused()))
def test_what_is_refused(name):
    """A ValueError that names the argument and says what was expected."""
    ask, message = refused()[name]
    with pytest.raises(ValueError, match=message):
        ask()
