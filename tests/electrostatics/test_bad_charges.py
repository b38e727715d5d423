"""What calculators refuse: every error names the argument, what came and what to do, and of a batch the structure."""

from __future__ import annotations

import pickle
from copy import copy, deepcopy

import numpy as np
import pytest

from lrc_numba.electrostatics import (
    Calculator,
    CoulombPotential,
    EwaldCalculator,
    InversePowerLawPotential,
    MeshCalculator,
    P3MCalculator,
    PMECalculator,
    ProlateCoulombPotential,
    tune,
)
from lrc_numba.electrostatics.calculators import ChargeOperator
from lrc_numba.electrostatics.pair_function import PairFunction, pair_function_sum
from lrc_numba.electrostatics.pair_sum import pair_sum
from lrc_numba.electrostatics.short_range import radial_form
from lrc_numba.geometry.neighbours import NeighbourList
from lrc_numba.geometry.structures import Structures

CELL = np.array([[6.2, 0.4, -0.8], [1.0, -0.6, 6.8], [-1.4, 5.8, 1.2]])
POSITIONS = np.random.default_rng(0).uniform(0, 1, (4, 3)) @ CELL
CHARGES = np.array([1.0, -1.0, 1.0, -1.0])
WRONG = np.array([1.0, -1.0, np.nan, -1.0])
ROOM = (
    r"they extend over 9 along open axis {}, and the cell has 4; unwrap them along it, or pass a cell with more vacuum"
)
POTENTIAL = CoulombPotential(0.8)
# Nothing is computed, so nothing is compiled but the search of some.
CALCULATORS: dict[str, Calculator] = {
    "ewald": EwaldCalculator(POTENTIAL, 3.0),
    "mesh": MeshCalculator(POTENTIAL, 3.0, eps=1e-5),
    "pme": PMECalculator(POTENTIAL, 3.0, 0.8),
    "p3m": P3MCalculator(POTENTIAL, 3.0, 0.8),
}
EACH = pytest.mark.parametrize("calculator", CALCULATORS.values(), ids=CALCULATORS)


def batch(positions=POSITIONS, charges=CHARGES, cell=CELL, periodic=True) -> Structures:
    """Three structures of which the last is as given."""
    first = POSITIONS, CHARGES, np.diag([30.0, 30.0, 30.0]), periodic
    both = [first, first, (positions, charges, cell, periodic)]
    return Structures.from_arrays(
        [each[0] for each in both],
        np.stack([each[2] for each in both]),
        periodic=periodic,
        charges=np.concatenate([each[1] for each in both]),
    )


@EACH
@pytest.mark.parametrize(
    ("charges", "error", "words"),
    [
        (CHARGES[:3], ValueError, r"charges: expected shape \(4,\) or \(4, C\), as positions has, got \(3,\)"),
        (np.zeros((4, 0)), ValueError, r"charges: expected shape .* got \(4, 0\)"),
        (np.zeros((4, 1, 1)), ValueError, r"charges: expected shape .* got \(4, 1, 1\)"),
        (WRONG, ValueError, r"charges: expected finite numbers, got nan at index \(2,\)"),
        (1j * CHARGES, TypeError, "charges: expected float64 .* got complex128"),
        (None, ValueError, "charges: expected them for every point, got none"),
        (1.0, ValueError, r"charges: expected shape \(4,\) or \(4, C\), as positions has, got \(\)"),
        ([[1.0], [2.0, 3.0]], ValueError, r"charges: expected shape \(4,\) .* got rows of different lengths"),
        (np.ma.masked_array(CHARGES, CHARGES > 0), TypeError, "charges: expected no mask"),
    ],
)
def test_charges(calculator, charges, error, words):
    """Of wrong shapes and kinds, NaN or none."""
    with pytest.raises(error, match=words):
        calculator.compute(POSITIONS, charges, CELL)


@EACH
@pytest.mark.parametrize(
    "positions",
    [
        POSITIONS[None],
        np.stack([POSITIONS, POSITIONS + 0.1]),
        [POSITIONS, POSITIONS[:2]],
        POSITIONS[:, :2],
        POSITIONS[0],
    ],
)
def test_positions_of_other_shapes(calculator, positions):
    """Two axes and three dimensions: of a stack of structures the energy would be that of the first."""
    charges = np.tile(CHARGES, len(positions))[: 4 * len(positions)]
    for _ in range(2):
        with pytest.raises(ValueError, match=r"positions: expected shape \(N, 3\), got"):
            calculator.compute(positions, charges, CELL)


@EACH
def test_points_on_one_another(calculator):
    """Named by their numbers, also where a lattice vector lies between them."""
    with pytest.raises(
        ValueError, match=r"positions: expected no two .* got 0 and 1 of structure 0 .* apart; remove one"
    ):
        calculator.compute(POSITIONS[[0, 0, 1, 2]], CHARGES, CELL)
    with pytest.raises(ValueError, match=r"positions: expected no two .* got 0 and 3 of structure 0"):
        calculator.compute(np.vstack([POSITIONS[:3], POSITIONS[0] + CELL[1]]), CHARGES, CELL)


@EACH
def test_a_mesh_too_large_for_memory(calculator):
    """Before any of it is made; the error has the sizes and what takes less."""
    with pytest.raises(
        MemoryError, match=r"cell: too large .* modes: \(\d+, .* needs about .* free; use a .*(cutoff|spac)"
    ):
        calculator.compute(POSITIONS, CHARGES, 3e4 * np.eye(3))


@EACH
@pytest.mark.parametrize(
    "periodic", [[True, True], "abc", np.nan, None, [1, 1, 2], 1.0, [[True, False, True]], [[1], []]]
)
def test_flags_that_are_none(calculator, periodic):
    """Words, numbers and too few of them, in every call."""
    for _ in range(3):
        with pytest.raises(ValueError, match="periodic: expected a bool or 3 of them, got"):
            calculator.compute(POSITIONS, CHARGES, CELL, periodic=periodic)


@EACH
def test_images_without_a_cell(calculator):
    """Flags of axes need one; a single True, which is the default, does not."""
    with pytest.raises(ValueError, match=r"cell: expected one, as periodic=.*True.* came, got none; pass a cell"):
        calculator.compute(POSITIONS, CHARGES, periodic=[True] * 3)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_positions_in_single_precision(dtype):
    """In every call, also where the cell is that of the call before."""
    calculator = EwaldCalculator(POTENTIAL, 3.0, dtype=dtype)
    first, second = (calculator.compute(POSITIONS.astype(np.float32), CHARGES, CELL).energy for _ in range(2))
    assert first == second


def test_a_prolate_is_not_cut_off_short_of_its_end():
    with pytest.raises(ValueError, match=r"cutoff: the part of short range of Prolate.* ends at 5, got 2\.5"):
        EwaldCalculator(ProlateCoulombPotential(5.0, 25.0), 2.5)
    EwaldCalculator(ProlateCoulombPotential(5.0, 25.0), 5.0)


@EACH
def test_structures_have_their_own_cells(calculator):
    """A cell or flags beside them are refused, not ignored."""
    for _ in range(2):
        with pytest.raises(ValueError, match="cell: expected none, as the structures have their own"):
            calculator.compute(batch(), cell=3 * CELL)
        with pytest.raises(ValueError, match="periodic: expected none, as the structures have their own"):
            calculator.compute(batch(), periodic=False)


@EACH
def test_no_structures(calculator):
    """Results are empty, of the shapes of others, with and without derivatives, whatever was computed before."""
    structures = Structures.from_arrays(POSITIONS[None], CELL)[:0]
    for charges in (np.zeros(0), np.zeros((0, 2))):
        for _ in range(3):
            plain = calculator.compute(structures, charges)
            assert (plain.energy.shape, plain.potential.shape, plain.forces) == ((0,), charges.shape, None)
            made = calculator.compute(structures, charges, forces=True, stress=True, charge_gradient=True)
            assert (made.energy.shape, made.forces.shape, made.charge_gradient.shape) == ((0,), (0, 3), charges.shape)
            assert made.strain.shape == made.stress.shape == (0, 3, 3)
        if calculator.is_plain:
            gradient = calculator.compute(structures, charges, parameter_gradient=True).parameter_gradient
            assert {name: each.shape for name, each in gradient.items()} == {"prefactor": (0,), "smearing": (0,)}


def test_a_search_too_large_for_memory():
    """A cutoff of hundreds of cells."""
    with pytest.raises(MemoryError, match=r"cutoff: 3000 with 4 points needs about .*; use a smaller cutoff"):
        EwaldCalculator(POTENTIAL, 3000.0, 1.0).compute(POSITIONS, CHARGES, CELL)


@pytest.mark.parametrize("periodic", [(True, True, False), (True, False, False), (False, False, False)])
def test_too_little_room_along_open_axes(periodic):
    """Of a slab, a wire and free space, for each axis that has a lattice vector; zeros are not looked at."""
    positions = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    calculator, cell = EwaldCalculator(POTENTIAL, 3.0, 1.0), np.diag([5.0, 4.0, 4.0])
    for a in np.flatnonzero(~np.array(periodic)):
        wide = positions.copy()
        wide[1, a] = 9.0
        given = np.diag([4.0, 4.0, 4.0])
        with pytest.raises(ValueError, match="positions: " + ROOM.format(a)):
            calculator.compute(wide, CHARGES[:2], given, periodic=periodic)
        given[a] = 0.0
        calculator.compute(wide, CHARGES[:2], given, periodic=periodic)
    # In an oblique cell what counts are fractions: this fits, though it is longer than the cell is high.
    cell = np.array([[5.0, 0.0, 0.0], [0.0, 4.0, 0.0], [0.0, 8.0, 4.0]])
    calculator.compute(np.array([[0.0, 0, 0], [0.0, 8.0, 3.9]]), CHARGES[:2], cell, periodic=periodic)


def test_a_cutoff_beyond_that_of_the_pairs():
    """Of the form or function that is summed."""
    lists = NeighbourList(2.0)
    lists.search(POSITIONS, CELL, periodic=True)
    words = "expected a cutoff up to that of the neighbours, 2, got 3; search for neighbours"
    with pytest.raises(ValueError, match=f"form: {words}"):
        pair_sum(lists, radial_form(POTENTIAL, 3.0), CHARGES)
    with pytest.raises(ValueError, match=f"function: {words}"):
        pair_function_sum(lists, PairFunction(POTENTIAL, 3.0), CHARGES[:, None])


@EACH
def test_settings_stay_as_they_were_given(calculator):
    """Lists and plans were made with them: setting one is an error, where results would be of a mixture of both."""

    def settings(calculator) -> list[str]:
        return [line for line in repr(calculator).split("\n") if "computed last" not in line]

    before = settings(calculator)
    for name in ("potential", "cutoff", "dtype", "threads", "k_cutoff", "eps", "window", "nodes", "spacing", "mesh"):
        if name in vars(calculator):
            with pytest.raises(
                AttributeError,
                match=f"^{name}: {type(calculator).__name__} was made with it; .*make another",
            ):
                setattr(calculator, name, CoulombPotential(0.7) if name == "potential" else 4)
    for name in ("mesh_spacing", "interpolation_nodes"):
        if hasattr(calculator, name):
            with pytest.raises(AttributeError, match=name):
                setattr(calculator, name, 4)
    assert settings(calculator) == before
    for copied in (copy(calculator), deepcopy(calculator), pickle.loads(pickle.dumps(calculator))):
        assert settings(copied) == before


def test_neighbours_of_ones_own():
    """May come later on: nothing of the lists before is used."""
    calculator = EwaldCalculator(POTENTIAL, 3.0)
    energy = calculator.compute(POSITIONS, CHARGES, CELL).energy
    calculator.neighbours = NeighbourList(3.5, full=True)
    for _ in range(3):
        assert calculator.compute(POSITIONS, CHARGES, CELL).energy == pytest.approx(energy, rel=1e-12)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"accuracy": 1e-17}, "accuracy: 1.0e-17 is out of reach in float64 .* expected at least"),
        ({"accuracy": 1e-9, "dtype": np.float32}, "accuracy: .* in float32 .* expected at least .* or dtype=float64"),
    ],
)
def test_an_accuracy_out_of_reach(settings, words):
    """Of ``tune``, which says what is within reach."""
    with pytest.raises(ValueError, match=words):
        tune(CoulombPotential(), POSITIONS, CHARGES, CELL, **settings)


def test_an_eps_out_of_reach():
    """Likewise of a mesh."""
    with pytest.raises(ValueError, match=r"eps: 1e-17 is out of reach in float64 .* expected at least"):
        MeshCalculator(POTENTIAL, 3.0, eps=1e-17).compute(POSITIONS, CHARGES, CELL)


@pytest.mark.parametrize("name", ["ewald", "mesh"])
@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"positions": POSITIONS[[0, 1, 1, 2]]}, ValueError, "got 1 and 2 of structure 2"),
        ({"cell": 3e4 * np.eye(3)}, MemoryError, "cell: too large .* in structure 2"),
        (
            {"cell": np.diag([4.0, 4.0, 4.0]), "positions": np.diag([1.0, 1.0, 9.0])[[0, 1, 2, 1]] + POSITIONS / 1e3}
            | {"periodic": (True, True, False)},
            ValueError,
            "positions: they extend over 9.* along open axis 2.* in structure 2",
        ),
    ],
    ids=["on one another", "memory", "room"],
)
def test_a_batch_names_its_bad_structure(name, changes, error, words):
    """The number is that in the batch; so do the sums of networks."""
    calculator, structures = CALCULATORS[name], batch(**changes)
    with pytest.raises(error, match=words):
        calculator.compute(structures)
    with pytest.raises(error, match=words):
        ChargeOperator(calculator, structures).apply(CHARGES[[0, 1, 2, 3] * 3][:, None])


def test_charges_of_a_batch():
    """NaN by point and structure, a net charge that has no energy by structure, whoever sums."""
    with pytest.raises(ValueError, match="charges: expected finite numbers, got nan for point 2 of structure 1"):
        CALCULATORS["ewald"].compute(batch(), np.concatenate([CHARGES, WRONG, CHARGES]))
    net, calculator = (
        np.concatenate([CHARGES, CHARGES, np.ones(4)]),
        EwaldCalculator(InversePowerLawPotential(3, 0.8), 3.0),
    )
    with pytest.raises(
        ValueError, match=r"charges: a net charge of 4 has no energy .* pass reference_length.* in structure 2"
    ):
        calculator.compute(batch(), net)
    with pytest.raises(ValueError, match=r"charges: a net charge of 4 has no energy .* in structure 2"):
        ChargeOperator(calculator, batch()).check(net[:, None])


def test_slabs_of_other_powers():
    """Only Coulomb's potential has a kernel for them."""
    calculator = EwaldCalculator(InversePowerLawPotential(2, 0.8), 3.0)
    with pytest.raises(
        ValueError, match=r"periodic: .* has no kernel for slabs and wires; only Coulomb's has, so use all"
    ):
        calculator.compute(POSITIONS, CHARGES, 30 * np.eye(3), periodic=(True, True, False))
