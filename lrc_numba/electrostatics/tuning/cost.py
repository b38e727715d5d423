"""What energy and forces cost: constants of one core with vectors of eight, in nanoseconds.

Measured on 8,000 random points: pairs with cutoffs of 17 and 57 half pairs a point and polynomials of degree 4 to 16;
meshes of 24³, 48³ and 64³ nodes with windows of width 4 to 12, points sorted in each call. ``python -m
validation.electrostatics --cost`` does that again. They decide between choices and promise nothing.
"""

from __future__ import annotations

from math import pi, prod

from .system import System

__all__ = ["mesh_cost", "own_cost", "pairs_cost", "phases_cost"]

PER_PAIR = 2.2  # a pair within the cutoff of a half list, with its forces
PER_DEGREE = 0.12  # and degree of the polynomial
PER_POWER = 4.0  # where powers have to be taken: all but 1/r
PER_ATOM = 150.0  # a row of a list
PER_POINT = 150.0  # sorting, gathering, and all that does not depend on the window
PER_LANE = 0.65  # a lane of the vectors that the window's polynomials are in, an axis and a pass
PER_ROW = {4: 0.78, 8: 0.78, 12: 1.2, 16: 1.75, 20: 2.35, 24: 2.75}  # a row of a window and pass, by lanes
PER_NODE = 16.0  # clearing, folding, both transforms, multiplying, filling
PER_OWN = 0.6  # a charge and a product of three nodes, where its own interaction is taken off
PER_PHASE = 2.6  # a charge and a stored mode, all three passes of explicit sums


def pairs_cost(system: System, cutoff: float, degree: int, powers: tuple[float, ...]) -> float:
    """Nanoseconds of all pairs.

    Parameters
    ----------
    system : System
        Charges.
    cutoff : float
        r_c.
    degree : int
        Of the polynomial.
    powers : tuple of float
        Exponents.
    """
    around = 4 * pi / 3 * cutoff**3 * system.density
    if not any(system.periodic):
        around = min(around, system.count)
    each = PER_PAIR + PER_DEGREE * degree + (0.0 if powers == (1.0,) else PER_POWER)
    return system.count * (PER_ATOM + around / 2 * each)


def mesh_cost(count: int, nodes: tuple[float, ...], width: int) -> float:
    """Nanoseconds of the modes on a mesh.

    Parameters
    ----------
    count : int
        Charges.
    nodes : three numbers
        Of the mesh.
    width : int
        w of the window.
    """
    lanes = 4 * -(-width // 4)
    rows = 3 * lanes * PER_LANE + width**2 * PER_ROW.get(lanes, PER_ROW[24])
    return count * (PER_POINT + 2 * rows) + prod(nodes) * PER_NODE


def phases_cost(count: int, kept: tuple[int, ...]) -> float:
    """Nanoseconds of explicit sums over modes.

    Parameters
    ----------
    count : int
        Charges.
    kept : three ints
        K along each axis.
    """
    return count * prod(2 * top + 1 for top in kept) / 2 * PER_PHASE


def own_cost(count: int, order: int) -> float:
    """Nanoseconds of what charges do to themselves on a classical mesh.

    Parameters
    ----------
    count : int
        Charges.
    order : int
        m of the window.
    """
    return count * order**3 * PER_OWN
