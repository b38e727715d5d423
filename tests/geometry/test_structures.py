"""Sets of structures: made from arrays of any layout, kept in files, read from those of others, cut and joined."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from drawn_structures import assert_same
from hypothesis import given
from hypothesis import strategies as st
from lattices import ragged

from lrc_numba.geometry.structures import Structures

FILES = "LRC_NUMBA_TEST_STRUCTURES"  # of the environment: a folder with .npz files of some origin
CELL = np.array([[2.0, 0.0, 0.0], [0.5, 1.9, 0.0], [0.1, -0.4, 2.2]])


def _complete(counts=(3, 0, 4), seed=0) -> Structures:
    """Structures that have everything, of different sizes and periodic axes."""
    generator, total, batch = np.random.default_rng(seed), sum(counts), len(counts)
    return Structures.from_arrays(
        generator.random((total, 3)),
        CELL * generator.uniform(1, 2, (batch, 1, 1)),
        periodic=generator.random((batch, 3)) < 0.5,
        species=generator.integers(0, 9, total),
        charges=generator.standard_normal(total),
        energies=generator.standard_normal(batch),
        forces=generator.standard_normal((total, 3)),
        stress=generator.standard_normal((batch, 3, 3)),
        offsets=np.concatenate([[0], np.cumsum(counts)]),
    )


# ---------------------------------------------------------------------- from arrays
def test_layouts_mean_the_same():
    """Flat with offsets, (B, N, d), lists of arrays, and one structure after the other."""
    generator = np.random.default_rng(0)
    points, forces, charges = generator.random((2, 3, 3)), generator.random((2, 3, 3)), generator.random((2, 3))
    species, energies, cells = np.array([[1, 8, 1], [1, 8, 1]]), [1.5, 2.5], np.array([CELL, 2 * CELL])
    flat = Structures.from_arrays(
        points.reshape(6, 3),
        cells,
        species=species.ravel(),
        charges=charges.ravel(),
        forces=forces.reshape(6, 3),
        energies=energies,
        offsets=[0, 3, 6],
    )
    block = Structures.from_arrays(
        points, cells, species=species[0], charges=charges, forces=forces, energies=energies, periodic=True
    )
    listed = Structures.from_arrays(
        list(points), list(cells), species=list(species), charges=tuple(charges), forces=list(forces), energies=energies
    )
    alone = [
        Structures.from_arrays(
            points[b], cells[b], species=species[b], charges=charges[b], forces=forces[b], energies=energies[b]
        )
        for b in range(2)
    ]
    for made in (block, listed, Structures.concatenate(alone)):
        assert_same(made, flat)
    assert len(flat) == 2
    assert flat.dim == 3
    assert flat.species is not None
    assert flat.species.dtype == np.int64
    np.testing.assert_array_equal(flat.structure_of, [0, 0, 0, 1, 1, 1])
    np.testing.assert_allclose(flat.volume, np.linalg.det(cells))


@pytest.mark.parametrize("cell", [2.0, [2.0, 2.0], np.eye(2) * 2, [np.eye(2) * 2] * 3], ids=str)
@pytest.mark.parametrize("periodic", [None, True, [True, True], [[True, True]] * 3], ids=str)
def test_cells_of_all_shapes(cell, periodic):
    """A length, lengths, vectors, and those of every structure."""
    made = Structures.from_arrays(np.zeros((3, 1, 2)), cell, periodic=periodic)
    np.testing.assert_array_equal(made.cell, [np.eye(2) * 2] * 3)
    assert made.periodic.all()


def test_flags_as_others_write_them():
    """1 and 0, as in files of others; and no structures at all, of so many points."""
    made = Structures.from_arrays(np.zeros((2, 3)), 4.0, periodic=[1, 1, 0])
    np.testing.assert_array_equal(made.periodic, [[True, True, False]])
    assert len(Structures.from_arrays(np.zeros((0, 5, 3)), species=np.zeros((0, 5), dtype=int)).species) == 0


def test_without_a_cell_nothing_is_periodic():
    made = Structures.from_arrays(np.zeros((2, 1)))
    assert not made.periodic.any()
    np.testing.assert_array_equal(made.volume, [0.0])


def test_vectors_of_length_zero_are_open_axes():
    """Where nobody says what is periodic; a slab in a file often has such a vector."""
    made = Structures.from_arrays(np.zeros((1, 3)), np.diag([1.0, 2.0, 0.0]))
    np.testing.assert_array_equal(made.periodic, [[True, True, False]])


@pytest.mark.parametrize("padding", [0, -1])
def test_padding_is_left_out(padding):
    """With all that it has, NaN included; structures of nothing but padding stay, empty."""
    points, species = np.arange(18.0).reshape(3, 3, 2), np.array([[1, padding, 2], [padding] * 3, [3, 3, padding]])
    points[species == padding] = np.nan
    made = Structures.from_arrays(points, species=species, charges=species * 0.5, forces=-points, padding=padding)
    np.testing.assert_array_equal(made.offsets, [0, 2, 2, 4])
    np.testing.assert_array_equal(made.species, [1, 2, 3, 3])
    np.testing.assert_array_equal(made.charges, [0.5, 1, 1.5, 1.5])
    np.testing.assert_array_equal(made.positions, [[0, 1], [4, 5], [12, 13], [14, 15]])
    np.testing.assert_array_equal(made.forces, -made.positions)


def test_what_is_given_is_not_changed():
    """Nor does writing into it change the structures."""
    points, charges, cell = np.zeros((2, 3)), np.ones(2), np.eye(3)
    made = Structures.from_arrays(points, cell, charges=charges)
    for array in (points, charges, cell):
        array += 5.0
    np.testing.assert_array_equal(made.positions, np.zeros((2, 3)))
    np.testing.assert_array_equal(made.charges, np.ones(2))
    np.testing.assert_array_equal(made.cell, [np.eye(3)])


POINTS = np.zeros((2, 3, 3))
ONES, NAN_AT_1_2 = np.ones((2, 3)), np.where(np.arange(6).reshape(2, 3) == 5, np.nan, 1.0)
WRONG = {
    "NaN position": (ValueError, r"positions: .* for point 2 of structure 1", {"positions": NAN_AT_1_2[..., None]}),
    "NaN charge": (ValueError, r"charges: .*nan for point 2 of structure 1", {"charges": NAN_AT_1_2}),
    "NaN force": (ValueError, r"forces: .* point 2 of structure 1", {"forces": POINTS + NAN_AT_1_2[..., None]}),
    "NaN energy": (ValueError, r"energies: .*nan for structure 1", {"energies": [0.0, np.nan]}),
    "NaN cell": (ValueError, r"cell: .* for structure 1", {"cell": [np.eye(3), np.eye(3) * np.nan]}),
    "no dimension": (ValueError, r"positions: expected shape", {"positions": np.zeros(3)}),
    "empty list": (ValueError, r"positions: expected shape", {"positions": []}),
    "four": (ValueError, r"positions: expected 1, 2 or 3 dimensions, got 4", {"positions": np.zeros((2, 4))}),
    "two and three": (ValueError, r"positions: .*structure 1", {"positions": [np.zeros((1, 2)), np.zeros((1, 3))]}),
    "complex": (TypeError, r"positions: expected real numbers, got complex128", {"positions": POINTS * 1j}),
    "masked": (TypeError, r"positions: expected no mask", {"positions": np.ma.array(POINTS)}),
    "masked energies": (TypeError, r"energies: expected no mask", {"energies": np.ma.array([1.0, 2.0])}),
    "offsets": (ValueError, r"offsets: .*rise from 0 to 4", {"positions": np.zeros((4, 3)), "offsets": [0, 3]}),
    "offsets of a block": (ValueError, r"positions: expected shape \(n, d\)", {"offsets": [0, 3, 6]}),
    "few species": (ValueError, r"species: expected shape \(6,\) for 6 points", {"species": [1, 2]}),
    "transposed": (ValueError, r"species: expected shape", {"species": np.ones((3, 2), dtype=int)}),
    "uneven": (ValueError, r"charges: .*structure 1, got \(2,\)", {"charges": [np.ones(3), np.ones(2)]}),
    "half a species": (ValueError, r"species: .*0.5 for point 1 of structure 1", {"species": [1, 1, 1, 1, 0.5, 1]}),
    "negative": (ValueError, r"species: .*-1 for point 0 of structure 1", {"species": [1, 1, 1, -1, 1, 1]}),
    "text": (TypeError, r"species: expected real numbers", {"species": ["H"] * 6}),
    "forces": (ValueError, r"forces: expected shape \(6, 3\)", {"forces": np.zeros((6, 2))}),
    "energies": (ValueError, r"energies: expected shape \(2,\)", {"energies": 1.0}),
    "stress": (ValueError, r"stress: expected shape \(2, 3, 3\)", {"stress": np.zeros((2, 6))}),
    "cells": (ValueError, r"cell: expected a length", {"cell": np.zeros((3, 3, 3))}),
    "flat cell": (
        ValueError,
        r"cell: periodic .*structure 1 are linearly dependent",
        {"cell": [np.eye(3), np.ones((3, 3))]},
    ),
    "flat slab": (
        ValueError,
        r"cell: periodic .*structure 0 are linearly dependent",
        {"cell": np.ones((3, 3)), "periodic": [True, False, True]},
    ),
    "zero vector": (
        ValueError,
        r"cell: .*structure 0 are linearly dependent",
        {"cell": np.diag([1.0, 0, 1]), "periodic": True},
    ),
    "periodic in nothing": (ValueError, r"periodic: expected a cell", {"periodic": True}),
    "periodic": (ValueError, r"periodic: expected a bool", {"cell": 1.0, "periodic": [1, 2, 0]}),
    "a length of zero": (ValueError, r"cell: expected a length above 0, or None", {"cell": 0.0}),
    "a negative length": (ValueError, r"cell: expected a length above 0", {"cell": -2.0}),
    "padding": (ValueError, r"padding: expected species", {"padding": 0}),
    "padding of text": (TypeError, r"padding: expected a species, an integer, got '0'", {"padding": "0"}),
}


@pytest.mark.parametrize("case", WRONG)
def test_bad_input_is_named(case):
    """The argument, the structure and the point."""
    error, message, given_arguments = WRONG[case]
    with pytest.raises(error, match=f"^{message}"):
        Structures.from_arrays(**{"positions": POINTS} | given_arguments)


# ---------------------------------------------------------------------- parts
def test_parts():
    """An int, a slice, ints, bools; each structure with what it has."""
    whole = _complete((3, 0, 4, 1))
    for which, numbers in ((1, [1]), (-1, [3]), (slice(1, 3), [1, 2]), ([2, 0, 2], [2, 0, 2]), (slice(0), [])):
        part = whole[which]
        assert len(part) == len(numbers)
        np.testing.assert_array_equal(part.counts, whole.counts[numbers])
        for got, b in zip(part, numbers, strict=True):
            points = slice(whole.offsets[b], whole.offsets[b + 1])
            for name in ("positions", "species", "charges", "forces"):
                np.testing.assert_array_equal(getattr(got, name), getattr(whole, name)[points])
            for name in ("cell", "periodic", "energies", "stress"):
                np.testing.assert_array_equal(getattr(got, name), getattr(whole, name)[b : b + 1])
    assert_same(whole[whole.counts > 1], whole[[0, 2]])
    with pytest.raises(IndexError):
        whole[4]
    with pytest.raises(IndexError, match="one axis"):
        whole[[[0, 1]]]


@pytest.mark.parametrize(
    ("points", "structures", "ends"),
    [(4, None, [2, 3, 5]), (4, 1, [1, 2, 3, 4, 5]), (1, None, [1, 2, 3, 4, 5]), (13, None, [5]), (13, 3, [3, 5])],
)
def test_portions(points, structures, ends):
    """In order, each as large as it may be; a structure with too many points is alone."""
    made = _complete((3, 0, 5, 1, 2)).portions(points, structures)
    assert [some.stop for some in made] == ends
    assert [some.start for some in made] == [0, *ends[:-1]]
    assert _complete()[:0].portions(points, structures) == []


@given(points=ragged(dtypes=(np.float64,)))
def test_joining_is_the_inverse_of_cutting(points):
    """Whatever the sizes, empty ones and empty sets included."""
    cell = None if points.cell is None else np.nan_to_num(points.cell)
    whole = Structures.from_arrays(points.positions, cell, periodic=points.periodic, offsets=points.offsets)
    assert_same(Structures.concatenate([whole[:1], whole[1:], whole[:0]]), whole)
    if len(whole):
        assert_same(Structures.concatenate(list(whole)), whole)


def test_joining_keeps_what_all_have():
    some = Structures.from_arrays(np.zeros((1, 3)), charges=[1.0], energies=[2.0])
    both = Structures.concatenate([_complete(), some])
    assert both.forces is None
    assert both.species is None
    np.testing.assert_array_equal(both.charges[-1:], [1.0])
    assert len(both) == 4
    with pytest.raises(ValueError, match="sets: expected at least one"):
        Structures.concatenate([])
    with pytest.raises(ValueError, match="sets: expected one dimension"):
        Structures.concatenate([some, Structures.from_arrays(np.zeros((1, 2)))])


def test_repr_says_what_there_is():
    assert "3 of 0 to 4 points in 3 dimension(s)" in repr(_complete())
    assert "species, charges, forces, energies, stress" in repr(_complete())
    assert "1 of 2 points" in repr(Structures.from_arrays(np.zeros((2, 3))))
    assert "positions alone" in repr(Structures.from_arrays(np.zeros((0, 2, 3))))


# ---------------------------------------------------------------------- files
@given(points=ragged(dtypes=(np.float64,)), species=st.booleans())
def test_saved_is_loaded(points, species, tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "set.npz"
    cell = None if points.cell is None else np.nan_to_num(points.cell)
    numbers = np.arange(len(points.positions)) if species else None
    made = Structures.from_arrays(
        points.positions, cell, periodic=points.periodic, offsets=points.offsets, species=numbers
    )
    made.save(path)
    assert_same(Structures.load(path), made)
    assert_same(Structures.read(path), made)


def test_everything_is_saved(tmp_path):
    made = _complete()
    made.save(tmp_path / "set.npz")
    assert_same(Structures.load(tmp_path / "set.npz"), made)


def test_files_of_others(tmp_path):
    """Arrays have other names there, and some are of no use here."""
    path = tmp_path / "other.npz"
    points = np.random.default_rng(0).random((2, 3, 3))
    numbers = np.array([[8, 1, 1], [1, 1, 0]])
    np.savez(path, positions=points, box=2.0, types=numbers, pbc=np.array([True, True, False]), energy=[1, 2], name="x")
    made = Structures.load(path, padding=0)
    np.testing.assert_array_equal(made.counts, [3, 2])
    np.testing.assert_array_equal(made.periodic, [[True, True, False]] * 2)
    np.testing.assert_array_equal(made.cell, [np.eye(3) * 2] * 2)
    np.testing.assert_array_equal(made.energies, [1.0, 2.0])
    np.savez(path, box=2.0)
    with pytest.raises(ValueError, match=r"path: .*no positions"):
        Structures.load(path)
    np.savez(path, positions=points, box=2.0, cell=3.0)
    with pytest.raises(ValueError, match=r"path: .*box.*cell"):
        Structures.load(path)


def test_files_of_a_user():
    """Those of a folder that the environment names, as far as they hold positions."""
    folder = os.environ.get(FILES)
    if not folder:
        pytest.skip(f"{FILES} names no folder with .npz files")
    read = 0
    for path in sorted(Path(folder).glob("*.npz")):
        with np.load(path, allow_pickle=False) as file:
            if "positions" not in file:
                continue
            points = file["positions"]
        made = Structures.load(path)
        np.testing.assert_array_equal(made.positions, points.reshape(made.positions.shape))
        read += 1
    assert read
