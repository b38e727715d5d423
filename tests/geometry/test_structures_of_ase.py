"""Structures from ``ase.Atoms`` and from the files that ASE reads."""

from __future__ import annotations

import numpy as np
import pytest
from drawn_structures import assert_same

from lrc_numba.geometry.structures import Structures

XYZ = """2
Lattice="4.0 0.0 0.0 0.5 5.0 0.0 0.0 0.0 6.0" Properties=species:S:1:pos:R:3:forces:R:3 energy=-1.5 {stress}pbc="T T F"
O 0.0 0.0 0.5 0.1 0.0 -0.1
H 1.0 0.0 0.0 -0.1 0.0 0.1
1
Lattice="4.0 0.0 0.0 0.0 4.0 0.0 0.0 0.0 4.0" Properties=species:S:1:pos:R:3:forces:R:3 energy=-0.5 {stress}pbc="T T T"
Na 0.0 -9.0 7.0 0.0 0.0 0.0
"""
STRESS = 'stress="1.0 2.0 3.0 2.0 4.0 5.0 3.0 5.0 6.0" '


@pytest.fixture
def ase():
    return pytest.importorskip("ase", reason="ASE is not installed: pip install -e '.[ase]'")


def test_extended_xyz(ase, tmp_path):
    """Positions, cells, partial periodicity, species, energies, forces and stress of a file; some of its structures."""
    path = tmp_path / "set.xyz"
    path.write_text(XYZ.format(stress=STRESS))
    made = Structures.read(path)
    np.testing.assert_array_equal(made.offsets, [0, 2, 3])
    np.testing.assert_array_equal(made.positions, [[0, 0, 0.5], [1, 0, 0], [0, -9, 7]])
    np.testing.assert_array_equal(made.cell[0], [[4, 0, 0], [0.5, 5, 0], [0, 0, 6]])
    np.testing.assert_array_equal(made.periodic, [[True, True, False], [True, True, True]])
    np.testing.assert_array_equal(made.species, [8, 1, 11])
    np.testing.assert_array_equal(made.energies, [-1.5, -0.5])
    np.testing.assert_array_equal(made.forces, [[0.1, 0, -0.1], [-0.1, 0, 0.1], [0, 0, 0]])
    np.testing.assert_array_equal(made.stress, [[[1, 2, 3], [2, 4, 5], [3, 5, 6]]] * 2)
    assert made.charges is None
    assert_same(Structures.read(path, 1), made[1])
    assert_same(Structures.read(path, "1:"), made[1:])
    path.write_text(XYZ.format(stress=""))
    assert Structures.read(path).stress is None


def test_structures_that_are_not_there(ase, tmp_path):
    """An index beyond the end, of either kind of file; slices of arrays are those of ASE."""
    path = tmp_path / "set.xyz"
    path.write_text(XYZ.format(stress=""))
    made = Structures.read(path)
    made.save(tmp_path / "set.npz")
    for name in ("set.xyz", "set.npz"):
        for index in (5, "5", "5:9", slice(5, 9), "2:"):
            with pytest.raises(IndexError, match=rf"index: .*{name} has 2 structure\(s\), and none at .*\d"):
                Structures.read(tmp_path / name, index)
        for index in (-1, "1", "::-1", slice(1)):
            wanted = made[index] if not isinstance(index, str) else made[:: -1 if index == "::-1" else 1]
            assert_same(Structures.read(tmp_path / name, index), wanted[1:] if index == "1" else wanted)
    with pytest.raises(ValueError, match="index: expected an integer or a slice"):
        Structures.read(tmp_path / "set.npz", "first")
    assert Structures.read(path, padding=1).counts.tolist() == [1, 1]


def test_one_structure_without_energies(ase):
    """None keeps them, and a warning says whose are missing."""
    from ase.calculators.singlepoint import SinglePointCalculator

    first, second = ase.Atoms("H"), ase.Atoms("He")
    second.calc = SinglePointCalculator(second, energy=1.0, forces=np.zeros((1, 3)))
    with pytest.warns(UserWarning, match="(energy|forces): structure 0 has none, so none keeps them"):
        assert Structures.from_ase([first, second]).energies is None
    np.testing.assert_array_equal(Structures.from_ase(second).energies, [1.0])


def test_charges_of_atoms(ase):
    """Those of a calculator come before initial ones; what some structures lack is left out, with a warning."""
    from ase.calculators.singlepoint import SinglePointCalculator

    def salt(**results) -> ase.Atoms:
        made = ase.Atoms("NaCl", positions=[[0, 0, 0], [0, 0, 2.4]])
        made.calc = SinglePointCalculator(made, **results) if results else None
        return made

    plain, charged, initial = salt(), salt(charges=np.array([0.9, -0.9])), salt()
    initial.set_initial_charges([1.0, -1.0])
    both = salt()
    both.set_initial_charges([2.0, -2.0])
    both.calc = SinglePointCalculator(both, charges=np.array([0.8, -0.8]))
    assert Structures.from_ase([plain]).charges is None
    np.testing.assert_array_equal(Structures.from_ase([initial]).charges, [1, -1])
    np.testing.assert_array_equal(Structures.from_ase([charged, both]).charges, [0.9, -0.9, 0.8, -0.8])
    with pytest.warns(UserWarning, match="charges: the calculator of structure 1 holds none, so all have initial ones"):
        np.testing.assert_array_equal(Structures.from_ase([both, initial]).charges, [2, -2, 1, -1])
    for lacking, atoms in ((1, [initial, plain]), (0, [plain, charged]), (1, [charged, initial])):
        with pytest.warns(UserWarning, match=f"charges: structure {lacking} has none, so none keeps them"):
            assert Structures.from_ase(atoms).charges is None
    with pytest.raises(ValueError, match="atoms: expected at least one"):
        Structures.from_ase([])


def test_what_is_no_atoms(ase):
    """A file's name belongs to ``read``; of a sequence the message says which structure is none."""
    for given in ("a.xyz", 3, None):
        with pytest.raises(TypeError, match=r"atoms: expected ase.Atoms or a sequence .*got .*; Structures.read takes"):
            Structures.from_ase(given)
    with pytest.raises(TypeError, match=r"atoms: expected ase.Atoms .*, got str for structure 1"):
        Structures.from_ase([ase.Atoms("H"), "a.xyz"])


def test_nothing_is_calculated(ase):
    """A calculator is asked for nothing; what it has of other positions does not count."""
    from ase.calculators.emt import EMT
    from ase.constraints import FixAtoms

    atoms = ase.Atoms("Cu2", positions=[[0, 0, 0], [0, 0, 2.3]], cell=[9, 9, 9], pbc=True)
    atoms.calc = EMT()
    assert Structures.from_ase([atoms]).energies is None
    forces, stress = atoms.get_forces(), atoms.get_stress(voigt=False)
    atoms.set_constraint(FixAtoms([0]))
    known = Structures.from_ase([atoms])
    np.testing.assert_array_equal(known.forces, forces)  # as they are, not those a constraint leaves
    np.testing.assert_array_equal(known.stress, [stress])
    atoms.positions[0, 0] += 0.1
    moved = Structures.from_ase([atoms])
    assert moved.forces is None
    assert moved.energies is None
    assert moved.stress is None


def test_files_and_numbers_that_are_none(tmp_path):
    """Errors name the file, or the argument and the point."""
    (tmp_path / "text.npz").write_text("no structures")
    np.save(tmp_path / "single.npy", np.zeros((2, 3)))
    np.savez(tmp_path / "objects.npz", positions=np.array([None, 1]))
    for name in ("text.npz", "single.npy", "objects.npz"):
        with pytest.raises(ValueError, match=f"path: .*{name} is damaged, or") as error:
            Structures.load(tmp_path / name)
        assert "allow_pickle" not in str(error.value)
    with pytest.raises(FileNotFoundError):
        Structures.load(tmp_path / "none.npz")
    with pytest.raises(ValueError, match="positions: expected an array, got rows of different lengths"):
        Structures.from_arrays([[[0.0, 0, 0], [1.0, 0]], [[0.0, 0, 0]]])
    for number in (np.inf, np.nan, 0.5):
        with pytest.raises(ValueError, match=r"species: expected integers, got .* for point 1 of structure 0"):
            Structures.from_arrays(np.zeros((2, 3)), species=[1.0, number])
