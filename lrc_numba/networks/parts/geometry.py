r"""Parts that read where the neighbours of a point are: displacements, distances and directions of pairs.

A pair p = (i, j) has D_p = x_i − x_j − shift·cell. Points that move by ẋ in structures that are strained by ε change it
by Ḋ_p = ẋ_i − ẋ_j + D_p ε, so that the gradient by the strain is Σ_p D_p ⊗ D̄_p, the virial.
"""

from __future__ import annotations

import numpy as np

from ...geometry.neighbours import Pairs, scatter_add
from ..layers.parameters import Parameters
from .part import Motion, Part, Scene, Tape

__all__ = ["Directions", "Displacements", "Distances", "gather_motion", "scatter_motion"]


def _structure_of(pairs: Pairs) -> np.ndarray:
    """The structure of every pair, (P,)."""
    return np.searchsorted(pairs.offsets, pairs.first, side="right") - 1


def gather_motion(scene: Scene, motion: Motion) -> np.ndarray:
    """How the displacements of the pairs change, (P, d).

    Parameters
    ----------
    scene : Scene
        With the pairs.
    motion : Motion
        Of its points and structures.
    """
    pairs = scene.pairs
    moved = motion.points[pairs.first] - motion.points[pairs.second]
    if motion.strain is not None:
        strain = motion.strain.astype(moved.dtype, copy=False)[_structure_of(pairs)]
        moved += np.einsum("pa,pab->pb", pairs.displacement, strain)
    return moved


def scatter_motion(scene: Scene, bar: np.ndarray, strained: bool) -> Motion:
    """The transpose of ``gather_motion``.

    Parameters
    ----------
    scene : Scene
        With the pairs.
    bar : (P, d)
        D̄.
    strained : bool
        Whether the gradient by the strain is wanted.
    """
    pairs = scene.pairs
    points = np.zeros((scene.count, bar.shape[1]), dtype=bar.dtype)
    scatter_add(pairs.first, pairs.second, np.ascontiguousarray(bar), points)
    if not strained:
        return Motion(points)
    virial = np.einsum("pa,pb->pab", pairs.displacement, bar).astype(np.float64)
    strain = np.zeros((len(scene.structures), *virial.shape[1:]))
    np.add.at(strain, _structure_of(pairs), virial)
    return Motion(points, strain)


class Displacements(Part):
    """D of every pair, (P, d)."""

    geometry, rows = True, "pairs"

    def forward(self, tape: Tape, _):
        return tape.scene.pairs.displacement

    def jvp(self, tape: Tape, motion):
        return gather_motion(tape.scene, motion)

    def vjp(self, tape: Tape, bar, gradient: Parameters | None = None) -> tuple:
        return (scatter_motion(tape.scene, bar, tape.strained),)

    def vjp_dual(self, tape: Tape, bar, dbar, gradient: Parameters) -> tuple[tuple, tuple]:
        return self.vjp(tape, bar), self.vjp(tape, dbar)


class Distances(Part):
    """r = |D|, (P, d) to (P, 1)."""

    def forward(self, tape: Tape, apart):
        tape.kept["r"] = np.sqrt(np.einsum("pa,pa->p", apart, apart))[:, None]
        tape.kept["unit"] = apart / tape.kept["r"]
        return tape.kept["r"]

    def jvp(self, tape: Tape, moved):
        tape.kept["moved"] = moved
        return np.einsum("pa,pa->p", tape.kept["unit"], moved)[:, None]

    def vjp(self, tape: Tape, bar, gradient: Parameters | None = None) -> tuple:
        return (tape.kept["unit"] * bar,)

    def vjp_dual(self, tape: Tape, bar, dbar, gradient: Parameters) -> tuple[tuple, tuple]:
        unit, moved = tape.kept["unit"], tape.kept["moved"]
        across = moved - np.einsum("pa,pa->p", unit, moved)[:, None] * unit
        return (unit * bar + across * (dbar / tape.kept["r"]),), (unit * dbar,)


class Directions(Part):
    """u = D/r, (P, d) and (P, 1) to (P, d); r comes from the distances, and gets a cotangent of its own."""

    def forward(self, tape: Tape, apart, r):
        tape.kept["unit"], tape.kept["r"] = apart / r, r
        return tape.kept["unit"]

    def jvp(self, tape: Tape, moved, dr):
        tape.kept["moved"], tape.kept["dr"] = moved, dr
        tape.kept["turned"] = (moved - tape.kept["unit"] * dr) / tape.kept["r"]
        return tape.kept["turned"]

    def _bars(self, tape: Tape, bar) -> tuple:
        unit, r = tape.kept["unit"], tape.kept["r"]
        return bar / r, -np.einsum("pa,pa->p", unit, bar)[:, None] / r

    def vjp(self, tape: Tape, bar, gradient: Parameters | None = None) -> tuple:
        return self._bars(tape, bar)

    def vjp_dual(self, tape: Tape, bar, dbar, gradient: Parameters) -> tuple[tuple, tuple]:
        unit, r, dr, turned = (tape.kept[name] for name in ("unit", "r", "dr", "turned"))
        of_apart, of_r = self._bars(tape, bar)
        # u̇ = (Ḋ − D ṙ/r)/r: by D it is −ṙ/r², by r it is (−u̇ + u ṙ/r)/r.
        of_apart = of_apart - dbar * (dr / (r * r))
        of_r = of_r + np.einsum("pa,pa->p", dbar, unit * (dr / r) - turned)[:, None] / r
        return (of_apart, of_r), self._bars(tape, dbar)
