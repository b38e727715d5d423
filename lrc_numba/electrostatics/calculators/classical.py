"""What PME and P3M share: a mesh of given spacing, a classical window, and an influence function."""

from __future__ import annotations

from numbers import Integral

import numpy as np
from scipy.fft import next_fast_len

from ... import arguments
from ...geometry.structures import Structures
from ...plan import LRCPlan, WindowShape
from ..boundaries import Boundary, LongRangeKernel
from ..pair_sum import PairSum
from ..potentials import Potential
from .calculator import Calculator
from .influence import InfluenceKernel
from .self_interaction import SelfInteraction

__all__ = ["ClassicalMeshCalculator"]

FEWEST, MOST = 3, 7  # nodes of a window
SMALLEST = 4  # nodes of a mesh along an axis


class ClassicalMeshCalculator(Calculator):
    """Base of ``PMECalculator`` and ``P3MCalculator``, where the parameters are described."""

    _window = ""

    def __init__(
        self,
        potential: Potential,
        cutoff: float,
        mesh_spacing: float | None,
        interpolation_nodes: int,
        influence: str,
        *,
        nodes=None,
        remove_self_interaction: bool = False,
        **options,
    ):
        super().__init__(potential, cutoff, **options)
        if (mesh_spacing is None) == (nodes is None):
            raise ValueError(
                f"mesh_spacing: expected it or nodes, one of the two, got mesh_spacing={mesh_spacing!r}, nodes={nodes!r}"
            )
        self.mesh_spacing = None if mesh_spacing is None else arguments.as_positive("mesh_spacing", mesh_spacing, np.inf)
        self.nodes = None if nodes is None else arguments.as_modes(nodes, 3, "nodes")
        if self.nodes is not None and min(self.nodes) < SMALLEST:
            raise ValueError(f"nodes: expected at least {SMALLEST} along each axis, got {nodes}")
        if not isinstance(interpolation_nodes, Integral) or isinstance(interpolation_nodes, bool):
            raise TypeError(f"interpolation_nodes: expected an int, got {interpolation_nodes!r}")
        if not FEWEST <= interpolation_nodes <= MOST:
            raise ValueError(f"interpolation_nodes: expected {FEWEST} to {MOST}, got {interpolation_nodes}")
        if not isinstance(remove_self_interaction, (bool, np.bool_)):
            raise TypeError(f"remove_self_interaction: expected a bool, got {remove_self_interaction!r}")
        self.interpolation_nodes, self.influence = int(interpolation_nodes), influence
        self.remove_self_interaction = bool(remove_self_interaction)
        self._own: dict[int, tuple] = {}

    # ------------------------------------------------------------------ mesh
    def _modes(self, cell: np.ndarray) -> tuple[int, int, int]:
        """Nodes of the mesh of a cell, of which a plan keeps all waves but the highest of an even number."""
        if self.nodes is not None:
            return self.nodes  # type: ignore[return-value]
        fewest = np.ceil(np.linalg.norm(cell, axis=1) / self.mesh_spacing * (1 - 1e-12))
        sizes = (2 * next_fast_len(max(SMALLEST, int(count) + 1) // 2, real=True) for count in fewest)
        return tuple(int(size) for size in sizes)  # type: ignore[return-value]

    def _new_plan(self, cell: np.ndarray, modes: tuple[int, int, int]) -> LRCPlan:
        window = WindowShape(self._window, self.interpolation_nodes)
        return LRCPlan(cell, modes, window=window, nodes=modes, dtype=self.dtype, threads=self.threads)

    def _new_kernel(self, boundary: Boundary, plan: LRCPlan) -> InfluenceKernel:  # type: ignore[override]
        base = LongRangeKernel(self.potential, boundary)
        return InfluenceKernel(base, plan.grid.n, plan.window_shape, self.influence)

    # ------------------------------------------------------------------ self-interaction
    def _of_structure(self, structures: Structures, b: int, charges, near: PairSum, forces: bool, stress: bool) -> tuple:
        result = super()._of_structure(structures, b, charges, near, forces, stress)
        some = slice(int(structures.offsets[b]), int(structures.offsets[b + 1]))
        if not self.remove_self_interaction or some.start == some.stop:
            return result
        potential, energy, moved, strain = result
        q, positions = charges[some].astype(np.float64), structures.positions[some]
        squares, own = (q**2).sum(axis=1), self._self_interaction()
        excess, slopes = own.at(positions, forces)
        potential, energy = potential - 0.5 * q * excess[:, None], energy - 0.5 * float(squares @ excess)
        if slopes is not None:
            moved = moved + 0.5 * squares[:, None] * slopes
        if stress:
            strain = strain - own.strain(positions, squares)
        return potential, energy, moved, strain

    def _self_interaction(self) -> SelfInteraction:
        """Of the structure whose modes were used last; kept for as long as nothing of it changes."""
        far = next(reversed(self._far.values()))
        kernel, modes = far.kernel, far.plan.grid.mode_set  # type: ignore[attr-defined]
        key, kept = (kernel.state(), modes.cell.matrix.tobytes()), self._own.get(id(far))
        if kept is None or kept[0] is not kernel or kept[1] != key:
            self._own = {id(one): self._own[id(one)] for one in self._far.values() if id(one) in self._own}
            kept = kernel, key, SelfInteraction.of(kernel, modes)
            self._own[id(far)] = kept
        return kept[2]
