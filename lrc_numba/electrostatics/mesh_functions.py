r"""Points → mesh → filter → mesh → points as three functions: for methods of one's own between them.

    mesh = points_to_mesh(positions, charges, cell, nodes=32)
    potential = mesh_to_points(apply_filter(mesh, multiplier), positions)

A mesh knows its cell and its window, so that what belongs together stays together. Each call makes a plan and sorts the
points; ``LRCPlan.convolve`` and the calculators are several times as fast.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .. import arguments
from ..multipliers import Multiplier
from ..plan import LRCPlan, Mesh, WindowShape

__all__ = ["PointMesh", "apply_filter", "mesh_to_points", "points_to_mesh"]


@dataclass(frozen=True)
class PointMesh:
    """A mesh with the plan whose grid and window it belongs to.

    Attributes
    ----------
    mesh : Mesh
        ``mesh.values`` are the numbers on the nodes, (C, *nodes).
    plan : LRCPlan
        Cell, nodes, modes and window.
    """

    mesh: Mesh
    plan: LRCPlan

    @property
    def values(self) -> np.ndarray:
        """Numbers on the nodes, (C, *nodes)."""
        return self.mesh.values


def points_to_mesh(positions, values, cell, nodes, window: WindowShape | None = None, modes=None) -> PointMesh:
    """Spread values to the nodes of a mesh.

    Parameters
    ----------
    positions : (N, d) array
        Units of length.
    values : (N,) or (N, C) array
        Charges, or what else the points carry.
    cell : float, (d,) or (d, d) array
        Length(s), or lattice vectors as rows.
    nodes : int or d ints
        Along each axis.
    window : WindowShape, optional
        With which to spread and to interpolate; a B-spline of order 4 by default.
    modes : int or d ints, optional
        That a filter keeps; as many as the nodes allow by default.

    Raises
    ------
    ValueError, TypeError, MemoryError
        Naming the argument, what came and what was expected.
    """
    dtype = arguments.common_dtype(positions=positions, values=values)
    dim = arguments.points_shape("positions", positions, None)[-1]
    counts = arguments.as_modes(nodes, dim, "nodes")
    kept = tuple(count - 1 + count % 2 for count in counts) if modes is None else modes
    window = WindowShape("bspline", 4) if window is None else window
    plan = LRCPlan(cell, kept, nodes=counts, window=window, dtype=dtype, dim=dim)
    return PointMesh(plan.set_points(positions).spread(values), plan)


def apply_filter(mesh: PointMesh, multiplier: Multiplier) -> PointMesh:
    """Multiply the modes of a mesh by φ̂/(Vψ̂²), which corrects for the window on both ways.

    Parameters
    ----------
    mesh : PointMesh
        From ``points_to_mesh``.
    multiplier : Multiplier
        φ̂, of shape (), (C_out,) or (C_out, C_in).
    """
    return PointMesh(mesh.plan.filter(mesh.mesh, multiplier), mesh.plan)


def mesh_to_points(mesh: PointMesh, positions) -> np.ndarray:
    """Interpolate a filtered mesh at points, (N, C).

    Parameters
    ----------
    mesh : PointMesh
        From ``apply_filter``.
    positions : (N, d) array
        Where; they need not be those that were spread.
    """
    return mesh.plan.set_points(positions).interpolate(mesh.mesh)
