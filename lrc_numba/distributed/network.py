r"""A network whose points are shared out over processes: each rank has the energies of its own points.

Parts that look at neighbours see ghosts around the own points, as far out as the rounds of messages reach, and features
of ghosts are computed here as well. Convolutions sum over the own points of all ranks, and are read at ghosts, too.
Forces on ghosts go back to the ranks that own them.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from copy import deepcopy
from functools import partial
from hashlib import sha256
from types import SimpleNamespace

import numpy as np

from ..geometry.structures import Structures
from ..gradient import Gradient
from ..networks import EnergyNetwork, Prediction
from ..networks.parts.convolution import Convolution
from ..networks.parts.part import Part
from ..networks.parts.program import Program
from .halo import Halo
from .plan import DistributedPlan
from .ranks import Ranks

__all__ = ["DistributedNetwork"]

OF_ALL_POINTS = "parts that look at all points at once have to be convolutions"


class _OwnPlan:
    """A plan as ``Convolution`` calls it, for own points and ghosts: the own ones are sources, all are targets."""

    def __init__(self, ranks: Ranks, halo: SimpleNamespace, cell: np.ndarray, modes: tuple[int, ...], **settings):
        self._halo, self._plan = halo, DistributedPlan(ranks, cell, modes, **settings)

    @property
    def nbytes(self) -> int:
        """Memory that is kept between calls."""
        return self._plan.nbytes

    def _of_own(self, values: np.ndarray | None) -> np.ndarray | None:
        """Of arrays (1, n, …), or None, what belongs to own points."""
        return None if values is None else np.ascontiguousarray(values[:, : self._halo.own])

    def set_points(self, points: np.ndarray) -> None:
        """Own points and ghosts, (1, n, d)."""
        self._plan.set_points(self._of_own(points), points)

    def convolve(self, values: np.ndarray | None, multiplier) -> np.ndarray:
        """u at own points and at ghosts."""
        return self._plan.convolve(self._of_own(values), multiplier)

    def vjp(self, values: np.ndarray | None, multiplier, cotangent: np.ndarray, *, wrt: Collection[str]) -> Gradient:
        """Gradients by own points, as sources and as targets, and by ghosts, as targets."""
        made = self._plan.vjp(self._of_own(values), multiplier, cotangent, wrt=sorted(wrt))
        points, by_values, own = made.targets, None, self._halo.own
        if points is not None:
            points[:, :own] += made.points
        if made.values is not None and values is not None:
            by_values = np.zeros(values.shape, dtype=made.values.dtype)
            by_values[:, :own] = made.values
        return Gradient(made.output, points, by_values, made.parameters)


class DistributedNetwork:
    """Energies and forces of one structure whose points are shared out over ranks, by a trained network.

    Parameters
    ----------
    comm : mpi4py.MPI.Intracomm
        The processes; all of them make the same network and call it together. None is ``COMM_WORLD``.
    network : EnergyNetwork
        Copied. Its long range, if it has one, is a convolution or attention; learned charges are sums over all points
        with more than one term, and are refused.

    Raises
    ------
    TypeError, NotImplementedError
        For what is no network, or one with parts that cannot be shared out.
    ValueError
        Where settings, reference energies or parameters differ between ranks.
    ImportError
        Where there is no MPI.
    """

    def __init__(self, comm, network: EnergyNetwork):
        self.ranks = comm if isinstance(comm, Ranks) else Ranks(comm)
        with self.ranks.together("DistributedNetwork"):
            if not isinstance(network, EnergyNetwork):
                raise TypeError(f"network: expected an EnergyNetwork, got {type(network).__name__}")
            self.network, self._halo = deepcopy(network), SimpleNamespace(own=0)
            for part in self.network.program.parts:
                for field in _convolutions(part):
                    field.small = field.direct = 0
                    field.make_plan = partial(_OwnPlan, self.ranks, self._halo)
            self.reach = _shells(self.network.program) * network.cutoff
            for name, value in _identity(network).items():
                self.ranks.agree(f"network's {name}", value)

    def predict(self, structure: Structures, *, forces: bool = True, stress: bool = False) -> Prediction:
        """Energy, and what follows from it.

        Parameters
        ----------
        structure : Structures
            One, with the points of this rank, none as well; the same cell on all ranks, periodic along all axes.
        forces, stress : bool
            What is wanted besides.

        Returns
        -------
        Prediction
            Energy and stress of the structure; potentials and forces of the points of this rank.
        """
        with self.ranks.together("predict"):
            given = self.network.as_structures(structure)
            if len(given) != 1 or not given.periodic.all():
                raise NotImplementedError(
                    f"structure: expected one, periodic along all axes, got {len(given)} with periodic="
                    f"{given.periodic.tolist()}; sets of structures are shared out as wholes"
                )
            per_point = {name: getattr(given, name) is not None for name in ("species", "charges")}
            self.ranks.agree("cell, and what is wanted,", (given.cell.tolist(), per_point, forces, stress))
            return self._predict(given, forces, stress)

    def _predict(self, given: Structures, forces: bool, stress: bool) -> Prediction:
        own = self._halo.own = len(given.positions)
        halo = Halo(self.ranks, given.positions, given.cell[0], self.reach, at_least_one=True)
        every = Structures.from_arrays(
            halo.extend(given.positions),
            given.cell[0],
            species=None if given.species is None else halo.extend(given.species),
            charges=None if given.charges is None else halo.extend(given.charges),
        )
        counted = np.arange(own + halo.ghosts) < own
        made = self.network.predict(every, forces=forces, stress=stress, counted=counted)
        result = Prediction(self.ranks.sum(made.energies), made.potentials[:own])
        if made.forces is not None:
            result.forces = halo.collect(made.forces)
        if made.stress is not None:
            result.stress = self.ranks.sum(made.stress)
        return result


def _identity(network: EnergyNetwork) -> dict:
    """What ranks have to agree on: the same energies follow from it, as from a file."""
    try:
        settings = json.loads(json.dumps(network.settings(), default=str))
    except NotImplementedError:  # one that is not stored
        settings = {"kind": network.kind}
    settings.pop("seed", None)  # parameters are compared themselves
    references = None if network.references is None else network.references.energies.tolist()
    lines = [f"{type(step.part).__name__}({', '.join(step.inputs)})" for step in network.program.steps]
    about = {"cutoff": network.cutoff, "dim": network.dim, "dtype": network.dtype.name, "references": references}
    flat = network.parameters.flat.tobytes()
    return about | settings | {"program": _digest(" ".join(lines).encode()), "parameters": _digest(flat)}


def _digest(data: bytes) -> str:
    """Short enough for a message."""
    return sha256(data).hexdigest()[:8]


def _convolutions(part) -> list[Convolution]:
    """The convolutions of a part that looks at all points; an error for others that do."""
    if isinstance(part, Convolution):
        return [part]
    fields = getattr(part, "fields", None)
    if part.whole and not fields:
        raise NotImplementedError(f"network: on several ranks {OF_ALL_POINTS}, got {type(part).__name__}")
    return fields or []


def _shells(program: Program) -> int:
    """How many cutoffs away there are points that an energy depends on, but for convolutions."""
    depth: dict[str, int] = {}
    for step in program.steps:
        below = max((depth.get(name, 0) for name in step.inputs), default=0)
        depth[step.output] = below + _sums_over_neighbours(step.part)
    return max(depth.values(), default=0)


def _sums_over_neighbours(part: Part) -> bool:
    """Whether what points get depends on pairs."""
    return part.rows == "points" and not part.whole and (part.geometry or part.reads == "pairs" or bool(part.pairs))
