"""Which species there are, and reference energies for each of them."""

from __future__ import annotations

import numpy as np

from ..geometry.structures import Structures

__all__ = ["ReferenceEnergies", "as_species", "check_species", "in_rising_order", "species_index"]


def as_species(species) -> tuple[int, ...]:
    """Integers from 0 on, rising, each once; at least one.

    Parameters
    ----------
    species : sequence of int
        As given.
    """
    try:
        numbers = list(species)
    except TypeError:
        raise TypeError(f"species: expected integers from 0 on, got {species!r}") from None
    for number in numbers:
        if not isinstance(number, (int, np.integer)) or isinstance(number, bool) or number < 0:
            raise ValueError(f"species: expected integers from 0 on, such as atomic numbers, got {number!r}")
    if not numbers:
        raise ValueError("species: expected at least one, got none")
    return tuple(sorted({int(number) for number in numbers}))


def check_species(species) -> tuple[int, ...]:
    """The same; a ValueError where they were not rising, as what belongs to them is in their order.

    Parameters
    ----------
    species : sequence of int
        As given.
    """
    rising = as_species(species)
    if rising != tuple(species):
        raise ValueError(f"species: expected them rising, each once, as {rising}, got {species!r}")
    return rising


def in_rising_order(species, energies):
    """Energies that were given in the order of species, in that of ``as_species``; None stays None.

    Parameters
    ----------
    species : sequence of int
        As given, in any order.
    energies : sequence of float or None
        One for each.

    Raises
    ------
    ValueError
        Where a species comes twice.
    """
    if energies is None:
        return None
    numbers, values = list(species), np.asarray(energies, dtype=np.float64)
    if len(set(numbers)) < len(numbers):
        raise ValueError(f"species: expected each once where references belong to them, got {numbers}")
    return values[np.argsort(numbers)] if values.shape == (len(numbers),) else energies  # refused by what takes them


def species_index(species: tuple[int, ...], structures: Structures, begin: int = 0) -> np.ndarray:
    """Which of the known species each point is, (n,); a ValueError that names a point of another one.

    Parameters
    ----------
    species : tuple of int
        Those a network knows, rising.
    structures : Structures
        With species, unless the network knows one alone.
    begin : int
        Number of the first structure, for messages.
    """
    count = len(structures.positions)
    if structures.species is None:
        if len(species) == 1:
            return np.zeros(count, dtype=np.int64)
        raise ValueError(f"species: expected some of {species} for every point, got none")
    known = np.asarray(species)
    index = np.searchsorted(known, structures.species).clip(0, len(known) - 1)
    strange = known[index] != structures.species
    if strange.any():
        i = int(strange.argmax())
        raise ValueError(
            f"species: {structures.species[i]} of {structures.name_of(i, begin)} is none of the known ones, {species}"
        )
    return index


class ReferenceEnergies:
    """An energy for each species: total energies are large, and a network should learn what is left of them.

    They are settings in double precision, and no parameters: in single precision they would drown all else.

    Parameters
    ----------
    species : tuple of int
        Known ones, rising.
    energies : sequence of float, optional
        One for each; zero by default.
    """

    def __init__(self, species: tuple[int, ...], energies=None):
        self.species = check_species(species)
        self.energies = np.zeros(len(species)) if energies is None else np.asarray(energies, dtype=np.float64)
        if self.energies.shape != (len(species),) or not np.isfinite(self.energies).all():
            raise ValueError(f"references: expected a finite energy for each of {species}, got {energies!r}")

    def of_points(self, structures: Structures) -> np.ndarray:
        """The energy of the species of every point, (n,) float64.

        Parameters
        ----------
        structures : Structures
            With known species.
        """
        return self.energies[species_index(self.species, structures)]

    def fit(self, structures: Structures, energies: np.ndarray) -> None:
        """Add the energies of the species that explain energies (B,) best, by least squares.

        Where compositions do not tell species apart, the smallest energies are taken.

        Parameters
        ----------
        structures : Structures
            B of them.
        energies : (B,)
            What is left to explain.
        """
        index = species_index(self.species, structures)
        counts = np.zeros((len(structures), len(self.species)))
        np.add.at(counts, (structures.structure_of, index), 1.0)
        self.energies = self.energies + np.linalg.lstsq(counts, energies, rcond=None)[0]
