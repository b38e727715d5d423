"""Parts at the ends: what a species starts with, and reference energies."""

from __future__ import annotations

import numpy as np

from ...geometry.structures import Structures
from ..layers.parameters import Parameters
from .part import Part, Tape

__all__ = ["Embedding", "ReferenceEnergies", "species_index"]


def species_index(species: tuple[int, ...], structures: Structures) -> np.ndarray:
    """Which of the known species each point is, (n,); a ValueError that names a point of another one.

    Parameters
    ----------
    species : tuple of int
        Those a network knows, rising.
    structures : Structures
        With species, unless the network knows one alone.
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
            f"species: {structures.species[i]} of {structures.name_of(i)} is none of the known ones, {species}"
        )
    return index


class Embedding(Part):
    """A row of numbers for each species, (n, width).

    Parameters
    ----------
    name : str
        Of its parameters.
    species : tuple of int
        Known ones, rising.
    width : int
        Numbers per point.
    """

    def __init__(self, name: str, species: tuple[int, ...], width: int):
        self.name, self.species, self.width = name, species, width

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {f"{self.name}.rows": (len(self.species), self.width)}

    def initialise(self, parameters: Parameters, generator: np.random.Generator) -> None:
        parameters[f"{self.name}.rows"][...] = generator.normal(0.0, 1.0, (len(self.species), self.width))

    def forward(self, tape: Tape):
        tape.kept["index"] = species_index(self.species, tape.scene.structures)
        return tape.parameters[f"{self.name}.rows"][tape.kept["index"]]

    def jvp(self, tape: Tape):
        raise NotImplementedError("an embedding does not move")

    def vjp(self, tape: Tape, bar, gradient: Parameters | None = None) -> tuple:
        if gradient is not None:
            np.add.at(gradient[f"{self.name}.rows"], tape.kept["index"], bar)
        return ()

    def vjp_dual(self, tape: Tape, bar, dbar, gradient: Parameters) -> tuple[tuple, tuple]:
        return self.vjp(tape, bar, gradient), ()


class ReferenceEnergies(Part):
    """e_i + the energy of the species of i, (n, 1) to (n, 1).

    Parameters
    ----------
    name : str
        Of its parameters.
    species : tuple of int
        Known ones, rising.
    """

    def __init__(self, name: str, species: tuple[int, ...]):
        self.name, self.species = name, species

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {f"{self.name}.energies": (len(self.species),)}

    def fit(self, parameters: Parameters, structures: Structures, energies: np.ndarray) -> None:
        """Write the energies of the species that explain energies (B,) best, by least squares.

        Parameters
        ----------
        parameters : Parameters
            Written.
        structures : Structures
            B of them.
        energies : (B,)
            What is left to explain. Where compositions do not tell species apart, the smallest energies are taken.
        """
        index = species_index(self.species, structures)
        counts = np.zeros((len(structures), len(self.species)))
        np.add.at(counts, (structures.structure_of, index), 1.0)
        parameters[f"{self.name}.energies"][...] += np.linalg.lstsq(counts, energies, rcond=None)[0]

    def forward(self, tape: Tape, inputs):
        tape.kept["index"] = species_index(self.species, tape.scene.structures)
        return inputs + tape.parameters[f"{self.name}.energies"][tape.kept["index"]][:, None]

    def jvp(self, tape: Tape, tangent):
        return tangent

    def vjp(self, tape: Tape, bar, gradient: Parameters | None = None) -> tuple:
        if gradient is not None:
            np.add.at(gradient[f"{self.name}.energies"], tape.kept["index"], bar[:, 0])
        return (bar,)

    def vjp_dual(self, tape: Tape, bar, dbar, gradient: Parameters) -> tuple[tuple, tuple]:
        return self.vjp(tape, bar, gradient), (dbar,)
