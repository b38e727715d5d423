"""From points to pairs and back: rows of one end of each pair, and sums of rows of pairs over the neighbours."""

from __future__ import annotations

import numpy as np

from ... import arguments
from ...geometry.neighbours import Pairs
from ...geometry.structures import Structures
from ...machine.cpu.compile import kernel
from ..layers.parameters import Parameters
from ..references import check_species, species_index
from .part import Part, Tape, expect_rows

__all__ = ["Gather", "PairEnergies", "Scatter"]


@kernel
def _add_rows(rows, values, out):
    """out_{rows p} += values_p."""
    for p in range(len(rows)):
        for c in range(values.shape[1]):
            out[rows[p], c] += values[p, c]


def _sums(rows: np.ndarray, values: np.ndarray, count: int) -> np.ndarray:
    """Sums of the rows of pairs that belong to a point, (count, …)."""
    out = np.zeros((count, *values.shape[1:]), dtype=values.dtype)
    width = int(np.prod(values.shape[1:]))
    _add_rows(rows, np.ascontiguousarray(values).reshape(len(values), width), out.reshape(count, width))
    return out


class Gather(Part):
    """y_p = x of one end of pair p, (n, …) to (P, …).

    Parameters
    ----------
    end : {"first", "second"}
        Which one.
    """

    reads, rows = "points", "pairs"

    def __init__(self, end: str):
        if end not in ("first", "second"):
            raise ValueError(f"end: expected 'first' or 'second', got {end!r}")
        self.end = end

    def _rows(self, tape: Tape) -> np.ndarray:
        return getattr(tape.scene.pairs, self.end)

    def forward(self, tape: Tape, inputs):
        expect_rows(inputs, *inputs.shape[1:], count=tape.scene.count)
        return inputs[self._rows(tape)]

    def jvp(self, tape: Tape, tangent):
        return tangent[self._rows(tape)]

    def vjp(self, tape: Tape, bar, gradient: Parameters | None = None) -> tuple:
        return (_sums(self._rows(tape), bar, tape.scene.count),)

    def vjp_dual(self, tape: Tape, bar, dbar, gradient: Parameters) -> tuple[tuple, tuple]:
        return self.vjp(tape, bar), self.vjp(tape, dbar)


class Scatter(Part):
    """y_i = Σ of x over the pairs whose one end is i, (P, …) to (n, …): over all neighbours, where the list is full.

    Parameters
    ----------
    end : {"first", "second"}
        Which one.
    every : bool
        Whether all neighbours are meant, so that the list has to be full; else every pair may be there once, and
        another line adds up those of the other end.
    """

    reads, rows = "pairs", "points"

    def __init__(self, end: str = "first", *, every: bool = True):
        self._gather = Gather(end)
        self.pairs = "full" if every else ""

    def forward(self, tape: Tape, inputs):
        expect_rows(inputs, *inputs.shape[1:], count=len(tape.scene.pairs))
        return self._gather.vjp(tape, inputs)[0]

    def jvp(self, tape: Tape, tangent):
        return self._gather.vjp(tape, tangent)[0]

    def vjp(self, tape: Tape, bar, gradient: Parameters | None = None) -> tuple:
        return (self._gather.forward(tape, bar),)

    def vjp_dual(self, tape: Tape, bar, dbar, gradient: Parameters) -> tuple[tuple, tuple]:
        return self.vjp(tape, bar), self.vjp(tape, dbar)


class PairEnergies(Part):
    """e_i = ½ Σ_j Σ_n c_n b_n(r_ij) with coefficients c for every two species, (P, count) to (n, 1).

    Linear in its functions, it goes on at distances that no data had as they do: the core of a potential.

    Parameters
    ----------
    name : str
        Of its parameters, which start at zero.
    species : tuple of int
        Known ones, rising.
    count : int
        Functions of the distance.
    """

    reads, rows, pairs = "pairs", "points", "full"

    def __init__(self, name: str, species: tuple[int, ...], count: int):
        self.name, self.species = name, check_species(species)
        self.count = arguments.as_count("count", count, 0)
        kinds = len(self.species)
        self._table = np.zeros((kinds, kinds), dtype=np.int64)
        self._table[np.triu_indices(kinds)] = np.arange(kinds * (kinds + 1) // 2)
        self._table = np.maximum(self._table, self._table.T)
        self._scatter = Scatter()

    def shapes(self) -> dict[str, tuple[int, ...]]:
        kinds = len(self.species)
        return {f"{self.name}.coefficients": (kinds * (kinds + 1) // 2, self.count)}

    def check_structures(self, structures: Structures) -> None:
        species_index(self.species, structures)

    def _coefficients(self, tape: Tape) -> np.ndarray:
        return tape.parameters[f"{self.name}.coefficients"][tape.kept["kind"]]

    def _of_points(self, tape: Tape, basis: np.ndarray) -> np.ndarray:
        own = np.einsum("pn,pn->p", self._coefficients(tape), basis)[:, None] / 2
        return self._scatter.forward(tape, own)

    def kinds(self, structures: Structures, pairs: Pairs, begin: int = 0) -> np.ndarray:
        """Which row of coefficients every pair has, (P,).

        Parameters
        ----------
        structures : Structures
            With known species.
        pairs : Pairs
            Of their points.
        begin : int
            Number of the first structure, for messages.
        """
        index = species_index(self.species, structures, begin)
        return self._table[index[pairs.first], index[pairs.second]]

    def forward(self, tape: Tape, basis):
        scene = tape.scene
        expect_rows(basis, self.count, count=len(scene.pairs))
        tape.kept |= {"kind": self.kinds(scene.structures, scene.pairs, scene.begin), "basis": basis}
        return self._of_points(tape, basis)

    def jvp(self, tape: Tape, tangent):
        tape.kept["tangent"] = tangent
        return self._of_points(tape, tangent)

    def _bars(self, tape: Tape, bar) -> np.ndarray:
        """ē of every pair, (P, 1)."""
        return self._scatter.vjp(tape, bar)[0] / 2

    def _add(self, tape: Tape, gradient: Parameters, of_pairs: np.ndarray, basis: np.ndarray) -> None:
        own = gradient[f"{self.name}.coefficients"]
        own += _sums(tape.kept["kind"], of_pairs * basis, len(own))

    def vjp(self, tape: Tape, bar, gradient: Parameters | None = None) -> tuple:
        of_pairs = self._bars(tape, bar)
        if gradient is not None:
            self._add(tape, gradient, of_pairs, tape.kept["basis"])
        return (of_pairs * self._coefficients(tape),)

    def vjp_dual(self, tape: Tape, bar, dbar, gradient: Parameters) -> tuple[tuple, tuple]:
        down = self._bars(tape, dbar)
        self._add(tape, gradient, down, tape.kept["tangent"])
        return self.vjp(tape, bar, gradient), (down * self._coefficients(tape),)
