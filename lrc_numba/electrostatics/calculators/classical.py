"""What PME and P3M share: a mesh of given spacing, a classical window, and an influence function."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import cast

import numpy as np

from ... import arguments
from ...geometry.structures import Structures
from ...plan import LRCPlan, WindowShape, good_size
from ..boundaries import Boundary, LongRangeKernel
from ..pair_sum import PairSum
from ..potentials import Potential
from .calculator import ANOTHER, Calculator
from .influence import InfluenceKernel
from .long_range import LongRange
from .self_interaction import SelfInteraction

__all__ = ["ClassicalMesh", "ClassicalMeshCalculator"]

FEWEST, MOST = 3, 7  # nodes of a window
SMALLEST = 4  # nodes of a mesh along an axis


@dataclass(frozen=True)
class ClassicalMesh:
    """What is chosen of a mesh, checked.

    Attributes
    ----------
    window : {"lagrange", "bspline"}
        Family.
    influence : str
        One of ``influence.INFLUENCES``, or "none".
    interpolation_nodes : int
        m.
    spacing : float or None
        Largest distance of nodes, units of length.
    nodes : three ints or None
        Their numbers, where there is no spacing.
    remove_self_interaction : bool
        Whether it is taken off.
    """

    window: str
    influence: str
    interpolation_nodes: int
    spacing: float | None
    nodes: tuple[int, ...] | None
    remove_self_interaction: bool

    def __post_init__(self) -> None:
        spacing, nodes, order = self.spacing, self.nodes, self.interpolation_nodes
        if (spacing is None) == (nodes is None):
            raise ValueError(
                f"mesh_spacing: expected it or nodes, one of the two, got mesh_spacing={spacing!r}, nodes={nodes!r}"
            )
        if spacing is not None:
            object.__setattr__(self, "spacing", arguments.as_positive("mesh_spacing", spacing, np.inf))
        if nodes is not None:
            object.__setattr__(self, "nodes", arguments.as_modes(nodes, 3, "nodes"))
            if min(self.nodes) < SMALLEST:  # type: ignore[type-var, arg-type]
                raise ValueError(f"nodes: expected at least {SMALLEST} along each axis, got {nodes}")
        if not isinstance(order, Integral) or isinstance(order, bool):
            raise TypeError(f"interpolation_nodes: expected an int, got {order!r}")
        if not FEWEST <= order <= MOST:
            raise ValueError(f"interpolation_nodes: expected {FEWEST} to {MOST}, got {order}")
        if not isinstance(self.remove_self_interaction, (bool, np.bool_)):
            raise TypeError(f"remove_self_interaction: expected a bool, got {self.remove_self_interaction!r}")

    def sizes(self, cell: np.ndarray) -> tuple[int, ...]:
        """Nodes along each lattice vector.

        Parameters
        ----------
        cell : (3, 3)
            Lattice vectors.
        """
        if self.nodes is not None:
            return self.nodes
        fewest = np.ceil(np.linalg.norm(cell, axis=1) / self.spacing * (1 - 1e-12))  # a ratio that is whole stays so
        return tuple(good_size(max(SMALLEST, int(count))) for count in fewest)


class ClassicalMeshCalculator(Calculator):
    """Base of ``PMECalculator`` and ``P3MCalculator``, where the parameters are described."""

    fixed = Calculator.fixed | {"mesh": ANOTHER}

    def __init__(
        self,
        potential: Potential,
        cutoff: float,
        mesh: ClassicalMesh,
        *,
        skin: float,
        dtype,
        threads: int | None,
    ):
        super().__init__(potential, cutoff, skin=skin, dtype=dtype, threads=threads)
        self.mesh = mesh
        self._own: dict[int, tuple] = {}

    @property
    def mesh_spacing(self) -> float | None:
        """Largest distance of nodes, None where their numbers are given."""
        return self.mesh.spacing

    @property
    def interpolation_nodes(self) -> int:
        """Nodes m of the window along each axis."""
        return self.mesh.interpolation_nodes

    lighter = "use a larger mesh_spacing, with a larger smearing and cutoff"

    # ------------------------------------------------------------------ mesh
    def _modes(self, cell: np.ndarray) -> tuple[int, int, int]:
        """Nodes of the mesh, of which a plan keeps all waves but the highest of an even number."""
        return self.mesh.sizes(cell)  # type: ignore[return-value]

    def _new_plan(self, cell: np.ndarray, modes: tuple[int, int, int], few: int | None) -> LRCPlan:
        window = WindowShape(self.mesh.window, self.mesh.interpolation_nodes)
        return LRCPlan(cell, modes, window=window, nodes=modes, dtype=self.dtype, threads=self.threads)

    def _new_kernel(self, boundary: Boundary, plan: LRCPlan) -> InfluenceKernel:  # type: ignore[override]
        base = LongRangeKernel(self.potential, boundary)
        return InfluenceKernel(base, plan.grid.n, plan.window_shape, self.mesh.influence)

    # ------------------------------------------------------------------ self-interaction
    def _of_structure(
        self, structures: Structures, b: int, charges, near: PairSum, forces: bool, stress: bool
    ) -> tuple:
        result = super()._of_structure(structures, b, charges, near, forces, stress)
        some = slice(int(structures.offsets[b]), int(structures.offsets[b + 1]))
        if not self.mesh.remove_self_interaction or some.start == some.stop:
            return result
        potential, energy, moved, strain, far = result
        q, positions = charges[some].astype(np.float64), structures.positions[some]
        squares, own = (q**2).sum(axis=1), self._self_interaction(far)
        excess, slopes = own.at(positions, forces)
        potential, energy = potential - 0.5 * q * excess[:, None], energy - 0.5 * float(squares @ excess)
        if slopes is not None:
            moved = moved + 0.5 * squares[:, None] * slopes
        if stress:
            strain = strain - own.strain(positions, squares)
        return potential, energy, moved, strain, far

    def _self_interaction(self, far: LongRange) -> SelfInteraction:
        """Of one kind of structure; kept for as long as nothing of it changes."""
        kernel, modes = cast(InfluenceKernel, far.kernel), far.plan.grid.mode_set
        key, kept = (kernel.state(), modes.cell.matrix.tobytes()), self._own.get(id(far))
        if kept is None or kept[0] is not kernel or kept[1] != key:
            self._own = {id(each): self._own[id(each)] for each in self._far.values() if id(each) in self._own}
            kept = kernel, key, SelfInteraction.of(kernel, modes)
            self._own[id(far)] = kept
        return kept[2]
