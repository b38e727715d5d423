"""Sets of structures of any kind: points with or without a cell, species, charges, and what is known about them.

A set is ragged: structures may have different numbers of points, cells and periodic axes. Arrays of points hold one
structure after the other, and ``offsets`` tells where each begins.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from numbers import Integral
from pathlib import Path
from typing import Any, Self
from zipfile import BadZipFile, is_zipfile

import numpy as np

from ..files import replaced
from .of_ase import arrays_of_ase
from .ragged import as_lattices, as_points, as_species, first_dependent, per_point, per_structure, starts_of

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
        energies, stress : (B,) and (B, d, d), optional
            Of a single structure also a float and (d, d).
        offsets : (B + 1,) ints, optional
            Where each structure begins.
        padding : int, optional
            Points of this species are left out.

        Raises
        ------
        ValueError, TypeError
            Naming the argument, the structure and the point.
        """
        points, starts = as_points(positions, offsets)
        dim, batch = points.shape[1], len(starts) - 1
        cells, along = _as_cells(cell, periodic, dim, batch)
        made = cls(
            positions=points,
            offsets=starts,
            cell=cells,
            periodic=along,
            species=as_species(per_point("species", species, starts), starts),
            charges=_floats(per_point("charges", charges, starts)),
            energies=per_structure("energies", energies, batch, ()),
            forces=_floats(per_point("forces", forces, starts, (dim,))),
            stress=per_structure("stress", stress, batch, (dim, dim)),
        )
        made = made._without(padding)
        made._check()
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

        Raises
        ------
        FileNotFoundError
            Where there is no such file.
        ValueError
            Naming the file where it cannot be read, and as for ``from_arrays``.
        """
        known = {field.name for field in fields(cls)}
        if Path(path).is_file() and not is_zipfile(path):
            raise ValueError(f"path: {path} is damaged, or no .npz file")
        try:
            with np.load(path, allow_pickle=False) as file:
                names = [name for name in file if ALIASES.get(name, name) in known]
                arrays = {ALIASES.get(name, name): file[name] for name in names}
        except (BadZipFile, ValueError) as wrong:
            raise ValueError(f"path: {path} is damaged, or has arrays of objects") from wrong
        if len(arrays) < len(names):
            raise ValueError(f"path: {path} has two arrays of one meaning among {', '.join(names)}")
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
            Which structures, as for ``ase.io.read``.
        padding : int, optional
            As for ``from_arrays``.

        Raises
        ------
        ImportError
            Where ASE is not installed: ``pip install lrc_numba[ase]``.
        IndexError
            Where there are not so many structures, also of a slice that has none of those that are there.
        """
        if Path(path).suffix == ".npz":
            every, which = cls.load(path, padding), _as_index(index)
            try:
                chosen = every[which]
            except IndexError as wrong:
                raise _beyond(path, index, len(every)) from wrong
            if len(every) and not len(chosen):
                raise _beyond(path, index, len(every))
            return chosen
        from ase.io import read

        try:
            atoms = read(path, index)
        except (StopIteration, IndexError) as end:
            raise _beyond(path, index, len(read(path, ":"))) from end
        if isinstance(atoms, list) and not atoms and (count := len(read(path, ":"))):
            raise _beyond(path, index, count)
        return cls.from_ase(atoms)._without(padding)

    @classmethod
    def from_ase(cls, atoms) -> Self:
        """Structures from ``ase.Atoms`` objects: with what all of them have of charges, energies, forces and stress.

        Parameters
        ----------
        atoms : ase.Atoms, or sequence of them
            Results are those that a calculator holds for these positions; nothing is calculated, and a warning names a
            structure that lacks what others have. Charges are among them, or else the initial ones.

        Raises
        ------
        TypeError
            For what is no ``ase.Atoms``, such as the name of a file, which ``read`` takes.
        """
        return cls.from_arrays(**arrays_of_ase(atoms))

    def save(self, path: str | Path) -> None:
        """Write an ``.npz`` file that ``load`` reads, atomically.

        Parameters
        ----------
        path : str or Path
            Replaced where it exists.
        """
        with replaced(path) as file:
            np.savez(file, offsets=self.offsets, **self._arrays())

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
        return self._take(points, chosen, starts_of(self.counts[chosen]))

    def portions(self, points: int, structures: int | None = None) -> list[slice]:
        """Consecutive structures, in order, that together have at most so many points; a larger one is alone.

        Parameters
        ----------
        points : int
            At most so many in a portion.
        structures : int, optional
            At most so many in a portion.
        """
        made, begin, sum_ = list[slice](), 0, 0
        for b, count in enumerate(self.counts.tolist()):
            if b > begin and (sum_ + count > points or b - begin == structures):
                made.append(slice(begin, b))
                begin, sum_ = b, 0
            sum_ += count
        return [*made, slice(begin, len(self))] if len(self) else []

    def _without(self, padding: int | None) -> Self:
        """Without the points of a species."""
        if padding is None:
            return self
        if not isinstance(padding, Integral):
            raise TypeError(f"padding: expected a species, an integer, got {padding!r}")
        if self.species is None:
            raise ValueError("padding: expected species, which tell what is padding, got none")
        keep = self.species != padding
        return self._take(np.flatnonzero(keep), np.arange(len(self)), starts_of(keep)[self.offsets])

    def _take(self, points: np.ndarray, structures: np.ndarray, offsets: np.ndarray) -> Self:
        taken = dict.fromkeys(OF_POINTS, points) | dict.fromkeys(OF_STRUCTURES, structures)
        arrays = {name: array[taken[name]] for name, array in self._arrays().items()}
        return type(self)(offsets=offsets, **arrays)

    def _arrays(self) -> dict[str, Any]:
        """What is there, without offsets."""
        arrays = {name: getattr(self, name) for name in (*OF_POINTS, *OF_STRUCTURES)}
        return {name: array for name, array in arrays.items() if array is not None}

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
        parts = [each._arrays() for each in sets]
        shared = [name for name in parts[0] if all(name in part for part in parts)]
        arrays: dict[str, Any] = {name: np.concatenate([part[name] for part in parts]) for name in shared}
        return cls(offsets=starts_of(np.concatenate([each.counts for each in sets])), **arrays)

    def __repr__(self) -> str:
        counts = self.counts
        least, most = counts.min(initial=len(self.positions)), counts.max(initial=0)
        size = f"{least} to {most}" if least < most else f"{most}"
        known = [name for name in self._arrays() if name not in ("positions", "cell", "periodic")]
        periodic = int(self.periodic.any(axis=1).sum())
        return (
            f"Structures({len(self)} of {size} points in {self.dim} dimension(s), {periodic} periodic; "
            f"with {', '.join(known) or 'positions alone'})"
        )

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

    def _check(self) -> None:
        """A ValueError that names the structure, and the point, where a number is impossible."""
        for name, array in self._arrays().items():
            finite = np.isfinite(array).all(axis=tuple(range(1, array.ndim)))
            if not finite.all():
                i = int(finite.argmin())
                where = self.name_of(i) if name in OF_POINTS else f"structure {i}"
                raise ValueError(f"{name}: expected finite numbers, got {array[i].tolist()} for {where}")
        if self.species is not None and self.species.min(initial=0) < 0:
            i = int(self.species.argmin())
            raise ValueError(f"species: expected integers from 0 on, got {self.species[i]} for {self.name_of(i)}")
        b = first_dependent(self.cell, self.periodic)
        if b is not None:
            raise ValueError(
                f"cell: periodic lattice vectors of structure {b} are linearly dependent: {self.cell[b].tolist()}"
            )


def _floats(array: np.ndarray | None) -> np.ndarray | None:
    return None if array is None else array.astype(np.float64)


def _beyond(path, index, count: int) -> IndexError:
    """What to raise for an index of which a file has nothing."""
    return IndexError(f"index: {path} has {count} structure(s), and none at {index!r}")


def _as_index(index) -> Any:
    """A slice where that is written as one, as in ``"1:10:2"``; an integer where it is one."""
    if not isinstance(index, str):
        return index
    try:
        parts = [int(part) if part.strip() else None for part in index.split(":")]
    except ValueError:
        raise ValueError(f"index: expected an integer or a slice such as '1:10:2', got {index!r}") from None
    return slice(*parts) if len(parts) > 1 else parts[0]


def _as_cells(cell, periodic, dim: int, batch: int) -> tuple[np.ndarray, np.ndarray]:
    """Cells (B, d, d) and periodic axes (B, d)."""
    if cell is None:
        if periodic is not None and np.any(periodic):
            raise ValueError("periodic: expected a cell to be periodic in, got none")
        return np.zeros((batch, dim, dim)), np.zeros((batch, dim), dtype=bool)
    cells, along = as_lattices(cell, True if periodic is None else periodic, dim, batch)
    cells = np.array(np.broadcast_to(cells, (batch, dim, dim)))
    along = np.array(np.broadcast_to(along, (batch, dim)))
    return cells, along & cells.any(axis=2) if periodic is None else along
