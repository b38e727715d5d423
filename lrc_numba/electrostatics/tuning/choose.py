"""The cheapest choice that keeps an error, by estimates and a model of the cost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from math import ceil, pi, prod

import numpy as np

from ...machine.memory import available_memory
from ...plan import WindowShape, good_size
from ..modes import kept_modes
from ..potentials import Potential
from ..short_range import EXACT, radial_form
from .classical import ORDERS, classical_term, classical_window, coarsest, nodes_of, rounding_term
from .cost import mesh_cost, own_cost, pairs_cost, phases_cost
from .divisions import Division, divisions
from .estimates import axis_terms, marginals, mesh_terms, modes_term, polynomial_term
from .system import System, exits
from .windows import RATIOS, WIDTHS, quadrature, refined, table

__all__ = ["Choice", "choose"]

NEIGHBOURS = np.geomspace(12, 3000, 16)  # within the cutoffs that are tried
OF_POLYNOMIAL = 0.03  # of ΔF²
LOOSER = (1.0, 1.6)  # aims by which potentials are divided: whole numbers of modes make errors smaller
LOOKED_AT = 8  # choices that are worked out on the real mesh
HOPELESS = 100.0  # times what is allowed: a mesh that is to be made larger does not gain so much
GROWTHS = 9  # how often a mesh is made larger until it does
BYTES_OF_NODE, BYTES_OF_MODE = 32, 128  # at least, of a mesh and of explicit sums: what is too large is no choice


@dataclass(frozen=True)
class Choice:
    """Everything a calculator is made of, and what is expected of it.

    Attributes
    ----------
    division : Division
        Cutoff, σ or c, highest wavenumber.
    potential : Potential
        Divided.
    tolerance : float
        Of the pairs' polynomial.
    degree : int
        Of it.
    kept : three ints
        K of the modes along each axis.
    method : str
        How they are added up.
    nodes : three ints or None
        Of the mesh.
    window : WindowShape or None
        Of the mesh.
    errors : dict
        ΔF of each term.
    cost : dict
        Expected nanoseconds of each part, on one core.
    """

    division: Division
    potential: Potential
    tolerance: float
    degree: int
    kept: tuple[int, ...]
    method: str
    nodes: tuple[int, ...] | None = None
    window: WindowShape | None = None
    errors: dict[str, float] = field(default_factory=dict)
    cost: dict[str, float] = field(default_factory=dict)

    @property
    def estimate(self) -> float:
        """ΔF of all terms."""
        return float(np.sqrt(sum(part**2 for part in self.errors.values())))

    @property
    def spacing(self) -> float:
        """Of the nodes along the axis with the widest; units of length."""
        lengths = np.linalg.norm(self.division.cell, axis=1)
        return max(float(length) / n for length, n in zip(lengths, self.nodes, strict=True))  # type: ignore[arg-type]

    def in_cell(self, system: System, cell: np.ndarray) -> float:
        """The estimate for the same modes and nodes where the cell has changed, points with it.

        Parameters
        ----------
        system : System
            As the choice was made for.
        cell : (3, 3)
            Lattice vectors of the modes.
        """
        spectrum = self.division.spectrum
        squeezed = abs(np.linalg.det(self.division.cell) / np.linalg.det(cell))
        terms = self.division.pairs + float(modes_term(spectrum, exits(cell, self.kept)))
        own = 0.0
        if self.window is not None:
            transform = self.window.transform
            pairs, own = mesh_terms(spectrum, cell, self.kept, self.nodes, transform)  # type: ignore[arg-type]
            terms += float(pairs)
        return float(np.sqrt(system.strength * squeezed * terms + system.fourth * own))


def cutoffs(system: System) -> np.ndarray:
    """r_c that are tried, by how many points are within."""
    return (NEIGHBOURS / (4 / 3 * pi * system.density)) ** (1 / 3)


def choose(
    system: System, bare: Potential, splitting: str, method: str, aim: float, cutoff: float | None = None
) -> Choice | None:
    """The cheapest choice; None where none of those that are tried keeps the error.

    Parameters
    ----------
    system : System
        Charges.
    bare : Potential
        To be divided.
    splitting : {"gaussian", "prolate"}
        How.
    method : {"mesh", "ewald", "p3m", "pme"}
        How modes are added up.
    aim : float
        RMS error of forces.
    cutoff : float, optional
        r_c, where that is given.
    """
    # Meshes of PME and P3M keep all their waves, and drafts of them take longer.
    classical = method in ("p3m", "pme")
    tried = cutoffs(system)[:: 2 if classical else 1] if cutoff is None else [cutoff]
    aims = [loose * aim for loose in (LOOSER[:1] if classical else LOOSER)]
    every = (division for r in tried for a in aims for division in divisions(system, bare, splitting, float(r), a))
    powers = tuple(p for p, _ in bare.powers())
    drafts = sorted(_drafts(system, every, powers, method, aim), key=lambda draft: draft[0])
    best: Choice | None = None
    for looked_at, (cost, division, ratio, width) in enumerate(drafts):
        if best is not None and (cost > 1.15 * sum(best.cost.values()) or looked_at >= LOOKED_AT):
            break
        choice = _worked_out(system, division, (method, ratio, width), powers, aim)
        if choice and (best is None or sum(choice.cost.values()) < sum(best.cost.values())):
            best = choice
    return best


def _drafts(system: System, every: Iterable[Division], powers, method: str, aim: float) -> Iterator[tuple]:
    """(cost, division, ratio, width) of all that keeps the error where meshes may have any spacing."""
    memory = available_memory()
    for division in every:
        near = pairs_cost(system, division.cutoff, 12, powers)
        kept = kept_modes(division.cell, division.k_cutoff)
        terms = division.pairs + float(modes_term(division.spectrum, exits(division.cell, kept)))
        left = (1 - OF_POLYNOMIAL) * aim**2 - system.strength * terms
        if left <= 0:
            continue
        if method == "ewald":
            if prod(2.0 * top + 1 for top in kept) / 2 * BYTES_OF_MODE < memory:
                yield near + phases_cost(system.count, kept), division, None, 0
            continue
        if method in ("p3m", "pme"):
            meshes = _classical_drafts(system, division, near, method, left)
            yield from (mesh for mesh in meshes if _nodes_in(division, mesh[2]) * BYTES_OF_NODE < memory)
            continue
        for ratio, nodes, width in _meshes(system, division, left):
            if nodes * BYTES_OF_NODE < memory:
                yield near + mesh_cost(system.count, (nodes,), width), division, ratio, width


def _nodes_in(division: Division, spacing: float) -> float:
    """About how many nodes a mesh has."""
    return abs(float(np.linalg.det(division.cell))) / spacing**3


def _classical_drafts(system: System, division: Division, near: float, method: str, limit: float) -> Iterator[tuple]:
    """The same for PME and P3M: their orders, and the spacing in place of a ratio."""
    potential = division.potential()
    if system.strength * rounding_term(potential, division.cell) > limit:
        return
    for order in ORDERS:
        spacing = coarsest(potential, method, order, limit / system.strength, pi / division.k_cutoff)
        if spacing is not None:
            nodes = (_nodes_in(division, spacing),)
            yield near + mesh_cost(system.count, nodes, order) + own_cost(system.count, order), division, spacing, order


def _meshes(system: System, division: Division, limit: float) -> Iterator[tuple[float, float, int]]:
    """Kept modes per node, nodes, and the narrowest window that keeps ΔF² within a limit."""
    t, weights = quadrature()
    k, widths = t * division.k_cutoff, list(WIDTHS)
    across = marginals(division.spectrum, k)
    for ratio in RATIOS:
        spacing = 2 * pi * float(ratio) / division.k_cutoff
        g = 2 * pi / spacing, 2 * pi / spacing
        while widths:  # fewer nodes never need a narrower one
            terms = axis_terms(across, k, weights * division.k_cutoff, g, *table(widths[0], float(ratio)))
            if (3 * (system.strength * terms[0] + system.fourth * terms[1])).min() <= limit:
                yield float(ratio), _nodes_in(division, spacing), widths[0]
                break
            del widths[0]


def _worked_out(system: System, division: Division, way: tuple, powers, aim: float) -> Choice | None:
    """A choice on the real modes and mesh, made finer until it keeps the error."""
    method, ratio, width = way
    potential = division.potential()
    tolerance, degree, of_polynomial = _polynomial(potential, division.cutoff, OF_POLYNOMIAL * aim**2 / system.strength)
    kept = kept_modes(division.cell, division.k_cutoff)
    terms = {"pairs": system.strength * (division.pairs + of_polynomial)}
    cost = {"pairs": pairs_cost(system, division.cutoff, degree, powers)}
    choice = Choice(division, potential, tolerance, degree, kept, method, errors=terms, cost=cost)
    if method in ("p3m", "pme"):
        return _on_classical_mesh(system, choice, ratio, width, aim)
    terms["modes"] = system.strength * float(modes_term(division.spectrum, exits(division.cell, kept)))
    if sum(terms.values()) > aim**2:
        return None
    if method == "ewald":
        return _with(choice, terms, cost | {"modes": phases_cost(system.count, kept)})
    return _on_mesh(system, choice, 2 * pi * ratio / division.k_cutoff, width, aim)


def _with(choice: Choice, squares: dict[str, float], cost: dict[str, float], **parts) -> Choice:
    """The choice with the terms of ΔF², and more."""
    return replace(choice, errors={name: part**0.5 for name, part in squares.items()}, cost=cost, **parts)


def _on_mesh(system: System, choice: Choice, spacing: float, width: int, aim: float) -> Choice | None:
    """A choice with the engine's mesh and window."""
    cell, kept, terms = choice.division.cell, choice.kept, choice.errors
    lengths = np.linalg.norm(cell, axis=1)
    for _ in range(GROWTHS):
        nodes = tuple(
            good_size(max(ceil(length / spacing - 1e-9), 2 * top + 1))
            for length, top in zip(lengths, kept, strict=True)
        )
        weights = system.strength, system.fourth
        window, (pairs, own) = refined(choice.division.spectrum, cell, kept, nodes, width, weights)
        terms = terms | {"mesh": system.strength * pairs, "own aliases": system.fourth * own}
        if sum(terms.values()) <= aim**2:
            cost = choice.cost | {"mesh": mesh_cost(system.count, nodes, width)}
            return _with(choice, terms, cost, nodes=nodes, window=window)
        spacing = 0.999 * max(length / n for length, n in zip(lengths, nodes, strict=True))
    return None


def _on_classical_mesh(system: System, choice: Choice, spacing: float, order: int, aim: float) -> Choice | None:
    """A choice with splines or Lagrange's polynomials, of which every wave of the mesh but the highest is kept."""
    division, method = choice.division, choice.method
    window, lengths = classical_window(method, order), np.linalg.norm(division.cell, axis=1)
    for _ in range(GROWTHS):
        nodes = nodes_of(method, order, spacing, division.cell)
        kept = tuple((n - 1) // 2 for n in nodes)
        modes = float(modes_term(division.spectrum, exits(division.cell, kept)))
        mesh = classical_term(choice.potential, division.cell, nodes, window)
        terms = choice.errors | {"modes": system.strength * modes, "mesh": system.strength * mesh}
        if sum(terms.values()) > HOPELESS * aim**2:
            return None
        if sum(terms.values()) <= aim**2:
            cost = mesh_cost(system.count, nodes, order) + own_cost(system.count, order)
            return _with(choice, terms, choice.cost | {"mesh": cost}, nodes=nodes, window=window, kept=kept)
        spacing = 0.999 * max(length / n for length, n in zip(lengths, nodes, strict=True))
    return None


def _polynomial(potential: Potential, cutoff: float, limit: float) -> tuple[float, int, float]:
    """Tolerance, padded degree and error of the shortest polynomial within a limit."""
    tolerances = [10.0 ** (-i / 2) for i in range(4, 31)]
    low, high = -1, len(tolerances) - 1
    while high - low > 1:
        middle = (low + high) // 2
        form = radial_form(potential, cutoff, tolerances[middle])
        low, high = (low, middle) if polynomial_term(potential, form) <= limit else (middle, high)
    tolerance = max(tolerances[high], EXACT)
    form = radial_form(potential, cutoff, tolerance)
    return tolerance, form.padded_degree, polynomial_term(potential, form)
