"""What ``ase.Atoms`` objects hold, as arguments of ``Structures.from_arrays``."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np

__all__ = ["arrays_of_ase"]

CALLER = 4  # of ``Structures.from_ase``, seen from where a warning is given


def arrays_of_ase(atoms) -> dict[str, Any]:
    """Arguments of ``Structures.from_arrays``: with what all structures have of charges, energies, forces and stress.

    Parameters
    ----------
    atoms : ase.Atoms, or sequence of them
        As for ``Structures.from_ase``.

    Raises
    ------
    TypeError, ValueError
        For what is no ``ase.Atoms``; for none of them.
    """
    atoms = _as_sequence(atoms)
    results = [_results(each) for each in atoms]
    stress = _kept("stress", [own.get("stress") for own in results])
    return {
        "positions": [each.positions for each in atoms],
        "cell": np.array([each.cell.array for each in atoms]),
        "periodic": np.array([each.pbc for each in atoms], dtype=bool),
        "species": [each.numbers for each in atoms],
        "charges": _charges(atoms, [own.get("charges") for own in results]),
        "energies": _kept("energy", [own.get("energy") for own in results]),
        "forces": _kept("forces", [own.get("forces") for own in results]),
        "stress": None if stress is None else np.array([_matrix(own) for own in stress]),
    }


def _as_sequence(atoms) -> list:
    """A list of ``ase.Atoms``."""
    wanted = "expected ase.Atoms or a sequence of them"
    if isinstance(atoms, str) or not (hasattr(atoms, "positions") or isinstance(atoms, Iterable)):
        raise TypeError(f"atoms: {wanted}, got {atoms!r}; Structures.read takes the name of a file")
    atoms = [atoms] if hasattr(atoms, "positions") else list(atoms)
    if not atoms:
        raise ValueError("atoms: expected at least one structure, got none")
    for b, each in enumerate(atoms):
        if not (hasattr(each, "positions") and hasattr(each, "pbc")):
            raise TypeError(f"atoms: {wanted}, got {type(each).__name__} for structure {b}")
    return atoms


def _kept(name: str, values: list, stacklevel: int = CALLER) -> list | None:
    """Values of all structures; None where some have none, and a warning names the first of them."""
    have = [value is not None for value in values]
    if all(have):
        return values
    if any(have):
        warnings.warn(f"{name}: structure {have.index(False)} has none, so none keeps them", stacklevel=stacklevel)
    return None


def _charges(atoms: list, held: list) -> list | None:
    """Charges that calculators hold, else initial ones; ASE's zeros for those that were not set are none."""
    initial = [each.get_initial_charges() if each.has("initial_charges") else None for each in atoms]
    without = [b for b, own in enumerate(held) if own is None]
    if without and all(own is not None for own in initial):
        if len(without) < len(held):
            warnings.warn(
                f"charges: the calculator of structure {without[0]} holds none, so all have initial ones",
                stacklevel=CALLER,
            )
        return initial
    either = [own if own is not None else other for own, other in zip(held, initial, strict=True)]
    if without and all(own is not None for own in either):  # charges of two origins do not go together
        either[without[0]] = None
    return _kept("charges", either, CALLER + 1)


def _results(atoms) -> dict[str, Any]:
    """What the calculator of ``ase.Atoms`` holds for them as they are; nothing is calculated."""
    held = getattr(atoms.calc, "results", None) or {}
    return {} if not held or atoms.calc.check_state(atoms) else held


def _matrix(stress) -> np.ndarray:
    """A stress (3, 3), of one in Voigt's order xx, yy, zz, yz, xz, xy."""
    stress = np.asarray(stress, dtype=np.float64)
    return stress[[[0, 5, 4], [5, 1, 3], [4, 3, 2]]] if stress.shape == (6,) else stress.reshape(3, 3)
