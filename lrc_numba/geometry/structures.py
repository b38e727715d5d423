"""Sets of structures of any kind: points with or without a cell, species, charges, and what is known about them.

A set is ragged: structures may have different numbers of points, cells and periodic axes. Arrays of points hold one
structure after the other, and ``offsets`` tells where each begins.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Self

import numpy as np

from ..arguments import is_masked, refuse_masked

__all__ = ["Structures"]

OF_POINTS = ("positions", "species", "charges", "forces")
OF_STRUCTURES = ("cell", "periodic", "energies", "stress")
ALIASES = {"box": "cell", "atomic_numbers": "species", "types": "species", "pbc": "periodic", "energy": "energies"}


@dataclass(frozen=True)
class Structures:
    """B structures with n points altogether; ``from_arrays``, ``load`` and ``read`` make them and check them.

    Attributes
    ----------
    positions : (n, d) float64
        Anywhere in space, d = 1, 2 or 3, units of length.
    offsets : (B + 1,) int64
        Where the points of a structure begin.
    cell : (B, d, d) float64
        Lattice vectors as rows; zeros where a structure has none.
    periodic : (B, d) bool
        Along which of them it is periodic.
    species : (n,) int64 or None
        Numbers that are not negative, such as atomic numbers.
    charges : (n,) float64 or None
        Any unit.
    energies : (B,) float64 or None
        U.
    forces : (n, d) float64 or None
        −∂U/∂x.
    stress : (B, d, d) float64 or None
        ∂U/∂ε over the volume, where ε strains positions and cell.
    """

    positions: np.ndarray
    offsets: np.ndarray
    cell: np.ndarray
    periodic: np.ndarray
    species: np.ndarray | None = None
    charges: np.ndarray | None = None
    energies: np.ndarray | None = None
    forces: np.ndarray | None = None
    stress: np.ndarray | None = None

    # ------------------------------------------------------------------ making them
    @classmethod
    def from_arrays(
        cls,
        positions,
        cell=None,
        *,
        periodic=None,
        species=None,
        charges=None,
        energies=None,
        forces=None,
        stress=None,
        offsets=None,
        padding: int | None = None,
    ) -> Self:
        """Structures from arrays, or from sequences with an array for each structure.

        Parameters
        ----------
        positions : (N, d) or (B, N, d) array, or a sequence of B arrays (N_b, d)
            With ``offsets``, (n, d): one structure after the other.
        cell : None, float, (d,), (d, d) or (B, d, d) array
            None: no periodic images. Else length(s), lattice vectors as rows, or those of every structure.
        periodic : bool, d bools or (B, d) bools, optional
            By default along all lattice vectors, where there are any.
        species, charges, forces : optional
            Laid out as the positions; one row of species or charges (N,) may stand for all structures.
        energies : float or (B,), optional
            U.
        stress : (d, d) or (B, d, d), optional
            Of every structure.
        offsets : (B + 1,) ints, optional
            Where each structure begins.
        padding : int, optional
            Points of this species are left out.

        Raises
        ------
        ValueError, TypeError
            Naming the argument, the structure and the point where something is wrong.
        """
        for name, value in (("positions", positions), ("cell", cell), ("forces", forces), ("charges", charges)):
            refuse_masked(name, value)
        points, starts = _flat("positions", positions, offsets)
        dim, batch, count = points.shape[1], len(starts) - 1, len(points)
        per_point = {}
        for name, value in (("species", species), ("charges", charges), ("forces", forces)):
            per_point[name] = (
                None if value is None else _per_point(name, value, starts, dim if name == "forces" else None)
            )
        numbers = _as_species(per_point.pop("species"), starts)
        cells, along = _as_cells(cell, periodic, dim, batch)
        energies = None if energies is None else _per_structure("energies", energies, batch, ())
        stress = None if stress is None else _per_structure("stress", stress, batch, (dim, dim))
        made = cls(points, starts, cells, along, numbers, energies=energies, stress=stress, **per_point)
        if padding is not None:
            if numbers is None:
                raise ValueError("padding: expected species, which tell what is padding, got none")
            made = made._of_points(numbers != padding)
        made._check_finite()
        assert count >= len(made.positions)
        return made

    @classmethod
    def load(cls, path: str | Path, padding: int | None = None) -> Self:
        """Structures from an ``.npz`` file whose arrays are named as the arguments of ``from_arrays``.

        ``box`` and ``pbc`` are understood for ``cell`` and ``periodic``, ``atomic_numbers`` and ``types`` for
        ``species``; arrays with other names are left alone.

        Parameters
        ----------
        path : str or Path
            Of ``save``, or of any other origin; without pickled objects.
        padding : int, optional
            As for ``from_arrays``.
        """
        known = {field.name for field in fields(cls)}
        with np.load(path, allow_pickle=False) as file:
            arrays = {ALIASES.get(name, name): file[name] for name in file if ALIASES.get(name, name) in known}
        if "positions" not in arrays:
            raise ValueError(f"path: {path} holds no positions")
        return cls.from_arrays(**arrays, padding=padding)

    @classmethod
    def read(cls, path, index=":", padding: int | None = None) -> Self:
        """Structures from any file that ASE reads, such as extended XYZ, and from ``.npz``.

        Parameters
        ----------
        path : str or Path
            The file.
        index : str, int or slice
            Which structures, as for ``ase.io.read``; not for ``.npz``.
        padding : int, optional
            For ``.npz``, as for ``from_arrays``.

        Raises
        ------
        ImportError
            Where ASE is not installed: ``pip install lrc_numba[ase]``.
        """
        if Path(path).suffix == ".npz":
            return cls.load(path, padding)
        from ase.io import read

        atoms = read(path, index)
        return cls.from_ase(atoms if isinstance(atoms, list) else [atoms])

    @classmethod
    def from_ase(cls, atoms: Sequence) -> Self:
        """Structures from ``ase.Atoms`` objects: with what all of them have of charges, energies, forces and stress.

        Parameters
        ----------
        atoms : sequence of ase.Atoms
            Charges are those of the calculator, else initial ones where any is not zero.
        """
        atoms = list(atoms)
        if not atoms:
            raise ValueError("atoms: expected at least one structure, got none")
        results = [one.calc.results if one.calc is not None else {} for one in atoms]
        known = {name for name in ("energy", "forces", "stress", "charges") if all(name in r for r in results)}
        charges = [r["charges"] for r in results] if "charges" in known else None
        if charges is None and any(one.has("initial_charges") for one in atoms):
            charges = [one.get_initial_charges() for one in atoms]
        return cls.from_arrays(
            [one.positions for one in atoms],
            np.array([one.cell.array for one in atoms]),
            periodic=np.array([one.pbc for one in atoms], dtype=bool),
            species=[one.numbers for one in atoms],
            charges=charges,
            energies=[r["energy"] for r in results] if "energy" in known else None,
            forces=[one.get_forces(apply_constraint=False) for one in atoms] if "forces" in known else None,
            stress=[one.get_stress(voigt=False) for one in atoms] if "stress" in known else None,
        )

    def save(self, path: str | Path) -> None:
        """Write an ``.npz`` file that ``load`` reads, atomically.

        Parameters
        ----------
        path : str or Path
            Replaced where it exists.
        """
        from ..files import replaced

        with replaced(path) as file:
            np.savez(file, **{name: array for name, array in vars(self).items() if array is not None})

    # ------------------------------------------------------------------ parts of them
    @property
    def dim(self) -> int:
        """d."""
        return self.positions.shape[1]

    @property
    def counts(self) -> np.ndarray:
        """Points of each structure, (B,)."""
        return np.diff(self.offsets)

    @property
    def structure_of(self) -> np.ndarray:
        """The structure of each point, (n,)."""
        return np.repeat(np.arange(len(self)), self.counts)

    @property
    def volume(self) -> np.ndarray:
        """Length, area or volume of each cell, (B,); zero where there is none."""
        return np.abs(np.linalg.det(self.cell))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __iter__(self) -> Iterator[Self]:
        return (self[b] for b in range(len(self)))

    def __getitem__(self, which) -> Self:
        """Some of the structures: an int, a slice, ints or bools."""
        chosen = np.arange(len(self))[which]
        if chosen.ndim > 1:
            raise IndexError(f"expected one axis of structures, got {which!r}")
        chosen = np.atleast_1d(chosen)
        parts = [np.arange(self.offsets[b], self.offsets[b + 1]) for b in chosen]
        points = np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)
        offsets = np.concatenate([[0], np.cumsum(self.counts[chosen])]).astype(np.int64)
        return self._take(points, chosen, offsets)

    def _of_points(self, keep: np.ndarray) -> Self:
        """With some points alone."""
        starts = np.concatenate([[0], np.cumsum(keep)]).astype(np.int64)
        return self._take(np.flatnonzero(keep), np.arange(len(self)), starts[self.offsets])

    def _take(self, points: np.ndarray, structures: np.ndarray, offsets: np.ndarray) -> Self:
        taken = {name: points for name in OF_POINTS} | {name: structures for name in OF_STRUCTURES}
        arrays = {
            name: None if getattr(self, name) is None else getattr(self, name)[rows] for name, rows in taken.items()
        }
        return replace(self, offsets=offsets, **arrays)

    @classmethod
    def concatenate(cls, sets: Sequence[Self]) -> Self:
        """One set of several, with what all of them have.

        Parameters
        ----------
        sets : sequence of Structures
            Of one dimension.
        """
        if not sets:
            raise ValueError("sets: expected at least one, got none")
        if len({each.dim for each in sets}) > 1:
            raise ValueError(f"sets: expected one dimension, got {[each.dim for each in sets]}")
        arrays = {}
        for name in (*OF_POINTS, *OF_STRUCTURES):
            values = [getattr(each, name) for each in sets]
            arrays[name] = None if any(value is None for value in values) else np.concatenate(values)
        offsets = np.concatenate([[0], np.cumsum(np.concatenate([each.counts for each in sets]))]).astype(np.int64)
        return replace(sets[0], offsets=offsets, **arrays)

    def __repr__(self) -> str:
        counts = self.counts
        size = (
            f"{counts.min()} to {counts.max()}" if len(self) and counts.min() != counts.max() else f"{counts[:1].sum()}"
        )
        present = [
            name for name in ("species", "charges", "energies", "forces", "stress") if getattr(self, name) is not None
        ]
        about = (
            f"{len(self)} of {size} points in {self.dim} dimension(s), {int(self.periodic.any(axis=1).sum())} periodic"
        )
        return f"Structures({about}; with {', '.join(present) or 'positions alone'})"

    # ------------------------------------------------------------------ checks
    def name_of(self, point: int, begin: int = 0) -> str:
        """What to call a point in a message.

        Parameters
        ----------
        point : int
            Its number among all.
        begin : int
            Number of the first structure.
        """
        b = int(np.searchsorted(self.offsets, point, side="right")) - 1
        return f"point {point - int(self.offsets[b])} of structure {begin + b}"

    def _check_finite(self) -> None:
        for name in OF_POINTS:
            array = getattr(self, name)
            if array is not None and not np.isfinite(array).all():
                i = int(np.isfinite(array).reshape(len(array), -1).all(axis=1).argmin())
                raise ValueError(f"{name}: expected finite numbers, got {array[i].tolist()} for {self.name_of(i)}")
        for name in OF_STRUCTURES:
            array = getattr(self, name)
            if array is not None and not np.isfinite(array).all():
                b = int(np.isfinite(array).reshape(len(array), -1).all(axis=1).argmin())
                raise ValueError(f"{name}: expected finite numbers, got {array[b].tolist()} for structure {b}")
        full = self.periodic.all(axis=1)
        lengths = np.linalg.norm(self.cell, axis=2).prod(axis=1)
        flat = full & ~(self.volume > 1e-8 * lengths)
        if flat.any():
            b = int(flat.argmax())
            raise ValueError(f"cell: lattice vectors of structure {b} are linearly dependent: {self.cell[b].tolist()}")


def _numbers(name: str, value) -> np.ndarray:
    """An array of real numbers."""
    if is_masked(value):
        refuse_masked(name, value)
    array = np.asarray(value)
    if array.dtype.kind not in "iuf":
        raise TypeError(f"{name}: expected real numbers, got {array.dtype}")
    return array


def _flat(name: str, value, offsets) -> tuple[np.ndarray, np.ndarray]:
    """Positions (n, d) and offsets (B + 1,)."""
    if offsets is not None:
        array = _numbers(name, value).astype(np.float64)
        starts = np.asarray(offsets)
        sound = array.ndim == 2 and starts.ndim == 1 and starts.dtype.kind in "iu" and len(starts) > 0
        if not sound or starts[0] != 0 or starts[-1] != len(array) or (np.diff(starts.astype(np.int64)) < 0).any():
            raise ValueError(f"offsets: expected integers that rise from 0 to {len(array)}, got {offsets!r}")
        starts = starts.astype(np.int64)
    elif isinstance(value, np.ndarray) or not (isinstance(value, Sequence) and len(value) and np.ndim(value[0]) == 2):
        array = _numbers(name, value).astype(np.float64)
        if array.ndim not in (2, 3):
            raise ValueError(f"{name}: expected shape (N, d) or (B, N, d), got {array.shape}")
        array = array if array.ndim == 3 else array[None]
        starts = np.arange(len(array) + 1, dtype=np.int64) * array.shape[1]
        array = array.reshape(-1, array.shape[2])
    else:
        parts = [_numbers(name, part).astype(np.float64) for part in value]
        for b, part in enumerate(parts):
            if part.ndim != 2 or part.shape[1] != parts[0].shape[1]:
                raise ValueError(f"{name}: expected shape (N, {parts[0].shape[1]}) for structure {b}, got {part.shape}")
        array, starts = np.concatenate(parts), np.concatenate([[0], np.cumsum([len(part) for part in parts])])
    if array.shape[1] not in (1, 2, 3):
        raise ValueError(f"{name}: expected 1, 2 or 3 dimensions, got shape {array.shape}")
    return np.ascontiguousarray(array), starts.astype(np.int64)


def _per_point(name: str, value, offsets: np.ndarray, width: int | None) -> np.ndarray:
    """A row for each point, (n,) or (n, width)."""
    count, batch = int(offsets[-1]), len(offsets) - 1
    if (
        isinstance(value, Sequence)
        and len(value) == batch
        and batch
        and np.ndim(value[0]) == (1 if width is None else 2)
    ):
        parts = [_numbers(name, part) for part in value]
        for b, part in enumerate(parts):
            if len(part) != offsets[b + 1] - offsets[b]:
                raise ValueError(
                    f"{name}: expected {offsets[b + 1] - offsets[b]} rows for structure {b}, got {len(part)}"
                )
        array = np.concatenate(parts)
    else:
        array = _numbers(name, value)
        own = np.diff(offsets)
        if width is None and array.ndim == 1 and len(array) != count and batch and (own == len(array)).all():
            array = np.tile(array, batch)  # the same in all structures
    shape = (count,) if width is None else (count, width)
    if array.size != np.prod(shape) or (width is not None and array.shape[-1] != width):
        what = "number" if width is None else "row"
        raise ValueError(f"{name}: expected a {what} for each of {count} points, got shape {np.shape(array)}")
    return np.ascontiguousarray(array.reshape(shape))


def _as_species(value: np.ndarray | None, offsets: np.ndarray) -> np.ndarray | None:
    """Numbers that are not negative."""
    if value is None:
        return None
    wrong = (value != np.floor(value)) | (value < 0) if value.dtype.kind == "f" else value < 0
    if wrong.any():
        i = int(wrong.argmax())
        b = int(np.searchsorted(offsets, i, side="right")) - 1
        raise ValueError(
            f"species: expected integers from 0 on, got {value[i]} for point {i - offsets[b]} of structure {b}"
        )
    return value.astype(np.int64)


def _as_cells(cell, periodic, dim: int, batch: int) -> tuple[np.ndarray, np.ndarray]:
    """Cells (B, d, d) and periodic axes (B, d)."""
    if cell is None:
        if periodic is not None and np.any(periodic):
            raise ValueError("periodic: expected a cell to be periodic in, got none")
        return np.zeros((batch, dim, dim)), np.zeros((batch, dim), dtype=bool)
    array = _numbers("cell", cell).astype(np.float64)
    if array.shape in ((), (dim,)):
        array = np.diag(np.broadcast_to(array, (dim,)))
    if array.shape not in ((dim, dim), (batch, dim, dim)):
        raise ValueError(
            f"cell: expected a length, {dim} of them, shape ({dim}, {dim}) or ({batch}, {dim}, {dim}), "
            f"got {array.shape}"
        )
    cells = np.ascontiguousarray(np.broadcast_to(array, (batch, dim, dim)))
    along = np.asarray(True if periodic is None else periodic)
    if along.dtype != np.bool_ or along.shape not in ((), (dim,), (batch, dim)):
        raise ValueError(f"periodic: expected a bool, {dim} of them or shape ({batch}, {dim}), got {periodic!r}")
    along = np.broadcast_to(along, (batch, dim)).copy()
    if periodic is None:
        along &= cells.any(axis=2)
    missing = along & ~cells.any(axis=2)
    if missing.any():
        b = int(missing.any(axis=1).argmax())
        raise ValueError(f"cell: structure {b} is periodic along a lattice vector of length zero")
    return cells, along


def _per_structure(name: str, value, batch: int, shape: tuple[int, ...]) -> np.ndarray:
    """(B, *shape) float64."""
    array = _numbers(name, value).astype(np.float64)
    if array.shape == shape and batch == 1:
        array = array[None]
    if array.shape != (batch, *shape):
        raise ValueError(f"{name}: expected shape {(batch, *shape)}, got {array.shape}")
    return np.ascontiguousarray(array)
