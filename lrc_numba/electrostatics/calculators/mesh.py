"""The default: modes by the engine, with a window whose error is chosen, and exact derivatives."""

from __future__ import annotations

from math import ceil, pi, prod
from warnings import warn

import numpy as np

from ... import arguments
from ...direct import DirectPlan
from ...plan import LRCPlan, WindowShape, good_size
from ..boundaries import Boundary
from ..modes import modes_within
from ..open_pairs import MOST_OPEN, OpenPairs
from ..potentials import Potential
from .calculator import ANOTHER, Calculator
from .long_range import LongRange

__all__ = ["MeshCalculator"]

STRETCHED = 1.05  # nodes and modes of a frozen mesh may be so much coarser than they were chosen
ANOTHER_WARNING = 1.5  # times the error of the last
WORTH_A_MESH = 400_000  # points times stored modes: fewer are added up one by one in less time
MOVED = 0.003  # of lengths, so that a frozen mesh is looked at again


class MeshCalculator(Calculator):
    """Ewald summation whose sums over modes are convolutions on a mesh, at the cost of N log N.

    Parameters
    ----------
    potential, cutoff, skin, dtype, threads
        As for ``Calculator``; a ``ProlateCoulombPotential`` needs the fewest modes.
    k_cutoff : float, optional
        Modes up to this wavenumber, inverse length; by default up to where they carry ``eps`` of the largest.
    eps : float, optional
        Accuracy of the sums over modes, relative to all of them; 1e-6 by default, and 1e-5 in float32.
    window : WindowShape, optional
        A window of one's own, as for ``LRCPlan``; eps then makes no promise, and there must be ``nodes`` or a
        ``spacing``.
    nodes : int or three ints, optional
        Of the mesh, whatever the cell; of modes up to ``k_cutoff`` they keep those that they can, with a warning.
    spacing : float, optional
        Of the nodes, units of length: any cell gets as many as it needs, and no larger spacing.
    explicit_sums : bool
        Whether sums over modes are explicit for so few points that this takes less time than a mesh; then only what the
        modes leave out is an error. Few points in free space need no modes: all of their pairs are added up.

    Raises
    ------
    ValueError, TypeError
        Naming the argument, what came and what was expected.
    """

    takes_snapshots = True
    fixed = Calculator.fixed | dict.fromkeys(("k_cutoff", "eps", "window", "nodes", "spacing"), ANOTHER)
    lighter = "use a smaller k_cutoff, or fewer nodes, with a larger smearing and cutoff"

    def __init__(
        self,
        potential: Potential,
        cutoff: float,
        k_cutoff: float | None = None,
        *,
        eps: float | None = None,
        window: WindowShape | None = None,
        nodes: int | tuple[int, ...] | None = None,
        spacing: float | None = None,
        explicit_sums: bool = True,
        skin: float = 0.0,
        dtype=np.float64,
        threads: int | None = None,
    ):
        super().__init__(potential, cutoff, skin=skin, dtype=dtype, threads=threads)
        default = 1e-6 if self.dtype == np.float64 else 1e-5
        self.eps = arguments.as_positive("eps", default if eps is None else eps, 1.0)
        highest = potential.highest_wavenumber(self.eps) if k_cutoff is None else k_cutoff
        self.k_cutoff = arguments.as_positive("k_cutoff", highest, np.inf)
        if window is not None and not isinstance(window, WindowShape):
            raise TypeError(f"window: expected a WindowShape, got {type(window).__name__}")
        if nodes is not None and spacing is not None:
            raise ValueError(
                f"spacing: expected either nodes or a spacing, got nodes={nodes!r} and spacing={spacing!r}"
            )
        if window is not None and nodes is None and spacing is None:
            raise ValueError(f"nodes: expected nodes or a spacing with window={window!r}")
        self.window, self.explicit_sums = window, bool(explicit_sums)
        self.nodes = None if nodes is None else arguments.as_modes(nodes, 3, "nodes")
        self.spacing = None if spacing is None else arguments.as_positive("spacing", spacing, np.inf)
        self._frozen: tuple | None = None
        self._looked_at: tuple | None = None

    def _described(self) -> list[str]:
        lines = [*super()._described(), f"  k cutoff   {self.k_cutoff:.6g}"]
        if self.window is None:
            lines.append(f"  eps        {self.eps:g}")
        else:
            lines.append(f"  window     {self.window!r}")
        if self._frozen is not None:
            lines.append(f"  frozen     modes {self._frozen[1]}, nodes {self._frozen[2] or 'by eps'}")
        elif self.nodes is not None:
            lines.append(f"  nodes      {self.nodes}")
        elif self.spacing is not None:
            lines.append(f"  spacing    {self.spacing:.6g}")
        used = self._used
        if used is not None and not isinstance(used.plan, OpenPairs):
            below = _complete_below(used.boundary.cell, used.modes)
            lines.append(f"  modes      {used.modes} of the structure that was computed last, all below {below:.6g}")
        return lines

    # ------------------------------------------------------------------ modes and nodes
    def _modes(self, cell: np.ndarray) -> tuple[int, int, int]:
        if self._frozen is not None:
            self._look_at(cell)
            return self._frozen[1]
        modes = modes_within(cell, self.k_cutoff)
        if self.nodes is None:
            return modes
        a, b, c = (min(m, 2 * ((n - 1) // 2) + 1) for m, n in zip(modes, self.nodes, strict=True))
        below = _complete_below(cell, (a, b, c))
        if below <= self.k_cutoff:
            warn(
                f"nodes: {self.nodes} keep modes {(a, b, c)}, all of them below a wavenumber of {below:.4g} only, and "
                f"k_cutoff is {self.k_cutoff:.4g}, which takes {modes}; pass more nodes, or a smaller k_cutoff",
                stacklevel=6,
            )
        return a, b, c

    def _nodes(self, cell: np.ndarray, modes: tuple[int, ...]) -> tuple[int, ...] | None:
        """Nodes of the mesh of a cell; None where they follow from eps."""
        if self._frozen is not None:
            return self._frozen[2]
        if self.spacing is None:
            return self.nodes
        lengths = np.linalg.norm(cell, axis=1)
        return tuple(good_size(max(ceil(a / self.spacing - 1e-6), m)) for a, m in zip(lengths, modes, strict=True))

    def long_range(self, positions: np.ndarray, cell: np.ndarray, periodic) -> LongRange:
        if self._frozen is not None:
            flags = tuple(bool(flag) for flag in periodic)
            if flags != self._frozen[3]:
                raise ValueError(
                    f"periodic: the mesh was frozen for structures periodic along {self._frozen[3]}, got {flags}; "
                    "unfreeze_mesh, or use another calculator"
                )
        return super().long_range(positions, cell, periodic)

    def _new_plan(self, cell: np.ndarray, modes: tuple[int, int, int], few: int | None) -> LRCPlan | DirectPlan:
        if few is not None and few * prod(modes) // 2 <= WORTH_A_MESH:
            return DirectPlan(cell, modes)
        window = "kaiser_bessel" if self.window is None else self.window
        nodes = self._nodes(cell, modes)
        return LRCPlan(cell, modes, eps=self.eps, nodes=nodes, dtype=self.dtype, threads=self.threads, window=window)

    # ------------------------------------------------------------------ a mesh for cells that change
    def freeze_mesh(self) -> None:
        """Keep the modes and nodes of the structure that was computed last, whatever cells come.

        It serves structures with images along the same axes, and of others that is an error.

        Under a pressure, where the cell changes with every step, energies then are a smooth function of it, and nothing
        is planned anew. Where a cell has changed so much that the mesh is too coarse for it there is a warning that
        says by how much.

        Raises
        ------
        ValueError
            Where nothing has been computed yet, or the last structure was done without modes.
        """
        far = self._used
        if far is None:
            raise ValueError("freeze_mesh: expected a structure to be computed first, whose mesh is kept")
        if isinstance(far.plan, OpenPairs):
            raise ValueError(
                "freeze_mesh: the structure that was computed last has few points and no images, and all of its pairs "
                "were added up without a mesh; compute the structure whose mesh is to be kept, or pass "
                "explicit_sums=False"
            )
        cell, explicit = far.boundary.cell, isinstance(far.plan, DirectPlan)
        nodes = self._nodes(cell, far.modes) if explicit else far.plan.grid.n  # more points will need a mesh
        self._frozen = np.array(far.boundary.cell), far.modes, nodes, far.boundary.periodic
        self._looked_at = far.boundary.cell, 1.0
        self._far = {key: kept for key, kept in self._far.items() if kept is far}  # other cells have other meshes
        self._steady.forget()

    def few_points(self, positions: np.ndarray) -> int | None:
        return super().few_points(positions) if self.explicit_sums else None

    def _all_pairs(self, count: int) -> bool:
        return self.explicit_sums and self.window is None and self._frozen is None and count <= MOST_OPEN

    def _moved_plan(self, boundary: Boundary, modes: tuple[int, int, int], few: int | None):
        if self._frozen is None:
            return super()._moved_plan(boundary, modes, few)
        key = next((key for key, far in self._far.items() if (far.modes, far.few) == (modes, few)), None)
        return None if key is None else self._far.pop(key).plan.set_cell(boundary.cell)

    def _look_at(self, cell: np.ndarray) -> None:
        """Warn where the frozen mesh does not keep its error in a cell."""
        reference, modes, nodes, _ = self._frozen  # type: ignore[misc]
        last, warned = self._looked_at  # type: ignore[misc]
        if np.abs(np.linalg.solve(last, cell) - np.eye(3)).max() < MOVED:
            return
        lengths, before = np.linalg.norm(cell, axis=1), np.linalg.norm(reference, axis=1)
        if self.tuning is not None:
            error, allowed = self.tuning.error_in(cell), self.tuning.accuracy
            excess, what = error / allowed, f"about {error:.1e} instead of {allowed:.1e} for the forces"
        else:
            excess = float((lengths / before).max()) / STRETCHED
            kept = min(pi * m / a for m, a in zip(modes, lengths, strict=True))
            what = f"unknown; modes up to {kept:.3g} are kept, {self.k_cutoff:.3g} is asked for"
        if excess > warned:
            change = 100 * float((lengths / before).max() - 1)
            mesh = "mesh" if nodes is None else f"mesh of {nodes} nodes"
            warn(
                f"cell: axes have grown by up to {change:.1f} % since the {mesh} was frozen, and the expected "
                f"error is {what}; tune again, or unfreeze_mesh",
                stacklevel=7,
            )
            warned = ANOTHER_WARNING * excess
        self._looked_at = np.array(cell), warned

    def unfreeze_mesh(self) -> None:
        """Choose modes and nodes for every cell again."""
        self._frozen = self._looked_at = None
        self._far.clear()
        self._steady.forget()


def _complete_below(cell: np.ndarray, modes: tuple[int, int, int]) -> float:
    """The wavenumber below which all modes of a cell are kept."""
    return min(pi * (m + 1) / float(a) for m, a in zip(modes, np.linalg.norm(cell, axis=1), strict=True))
