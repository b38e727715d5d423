"""What a point starts with: numbers of its species."""

from __future__ import annotations

import numpy as np

from ... import arguments
from ...geometry.structures import Structures
from ..layers.parameters import Parameters
from ..references import check_species, species_index
from .part import Part, Tape

__all__ = ["Embedding"]


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

    rows = "points"

    def __init__(self, name: str, species: tuple[int, ...], width: int):
        self.name, self.species = name, check_species(species)
        self.width = arguments.as_count("width", width, 1)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {f"{self.name}.rows": (len(self.species), self.width)}

    def initialise(self, parameters: Parameters, generator: np.random.Generator) -> None:
        parameters[f"{self.name}.rows"][...] = generator.normal(0.0, 1.0, (len(self.species), self.width))

    def check_structures(self, structures: Structures) -> None:
        species_index(self.species, structures)

    def forward(self, tape: Tape):
        tape.kept["index"] = species_index(self.species, tape.scene.structures, tape.scene.begin)
        return tape.parameters[f"{self.name}.rows"][tape.kept["index"]]

    def jvp(self, tape: Tape):
        raise NotImplementedError("an embedding does not move")

    def vjp(self, tape: Tape, bar, gradient: Parameters | None = None) -> tuple:
        if gradient is not None:
            np.add.at(gradient[f"{self.name}.rows"], tape.kept["index"], bar)
        return ()

    def vjp_dual(self, tape: Tape, bar, dbar, gradient: Parameters) -> tuple[tuple, tuple]:
        return self.vjp(tape, bar, gradient), ()
