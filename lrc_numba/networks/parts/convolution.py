r"""The long-range convolution as a part, u_i^c = Σ_j φ^c(x_i − x_j) f_j^c over all points of a structure and images.

A convolution belongs to no box. Its kernel ends its Fourier series at a wavenumber, a length of its own; how many modes
that takes follows from the cell of each structure; in a small one it may be k = 0 alone, of which a periodic kernel has
nothing. Structures that share a cell are snapshots of one plan; where their numbers of points differ, the shorter ones
are filled up with points that carry nothing.

Strain. Under x → x(1 + ε) fractional coordinates stay, and only φ̂/V changes: u̇ is the sum over a, b of ε_ab times the
convolution with M_ab = −δ_ab φ̂ − 2 (dφ̂/dk²) k_a k_b: exactly, for the operator that is computed.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations_with_replacement
from math import prod
from typing import Any

import numpy as np

from ... import arguments
from ...geometry.structures import Structures
from ...multipliers.multiplier import Multiplier
from ...plan import Linearised, LRCPlan, check_eps
from ..layers.parameters import Parameters
from .linearised import LinearisedSums
from .mode_sums import ModePlan
from .part import Motion, Part, Scene, Tape
from .series_end import SeriesEnd
from .small import SmallPlan, Tables, modes_worth_a_grid, points_worth_a_grid
from .strained import Strained
from .surroundings import Placed, channels_of, charges_of, check_features, near_origin, open_size

__all__ = ["Convolution", "SeriesEnd", "Strained"]

PLANS, HELD = 64, 2**28  # kept, of as many cells; and bytes of theirs, but for those of one call
STEP = 0.5  # of sizes of structures without cells, in margins
FREE = b""  # where a cell is expected, of small structures without images

Plan = LRCPlan | SmallPlan | ModePlan


def _matrix(cell: bytes, dim: int) -> np.ndarray | None:
    """Lattice vectors (d, d); None of ``FREE``."""
    return None if cell == FREE else np.frombuffer(cell).reshape(dim, dim)


@dataclass
class _Group:
    """Structures of one cell: a plan and a kernel, and where their points are among all and among the snapshots."""

    cell: np.ndarray | None
    plan: Plan
    multiplier: Multiplier
    structures: np.ndarray
    rows: np.ndarray
    places: np.ndarray
    shape: tuple[int, int]
    linearised: Linearised | LinearisedSums | None = None

    def linear_in(self, f) -> Linearised | LinearisedSums:
        """The convolution of f with what its derivatives share."""
        if self.linearised is None:
            self.linearised = self.plan.linearise(f, self.multiplier)
        return self.linearised

    @cached_property
    def whole(self) -> bool:
        """Whether these are all points, in order, and no structure is filled up: then nothing has to be copied."""
        count = self.shape[0] * self.shape[1]
        return len(self.rows) == count and bool((self.rows == np.arange(count)).all())

    def spread(self, values: np.ndarray | None) -> np.ndarray | None:
        """(B, N, C) from (n, C), zeros where there are no points."""
        if values is None:
            return None
        if self.whole and len(values) == len(self.rows):
            return values.reshape(*self.shape, values.shape[1])
        out = np.zeros((self.shape[0] * self.shape[1], values.shape[1]), dtype=values.dtype)
        out[self.places] = values[self.rows]
        return out.reshape(*self.shape, values.shape[1])

    def collect(self, values: np.ndarray) -> np.ndarray:
        """(n of the group, C) from (B, N, C)."""
        rows = values.reshape(-1, values.shape[-1])
        return rows if self.whole else rows[self.places]


class Convolution(Part):
    """u (n, C) of values that are ones, charges or learned features.

    Parameters
    ----------
    kernel : object
        ``names``: those of its parameters. ``shapes()``, ``initialise(parameters, generator)``, and
        ``multiplier(parameters)``, of shape (C,) for ones and charges, () or (C, C) diagonal for features. ``sigma``:
        the length it is smeared with at the start, None where it needs periodic images. ``stretch(parameters)`` and
        ``widening(parameters)``: how much longer it is now; the series ends, and images are apart, accordingly.
        ``ends_by_itself``, if it is there and true: without images nothing has to be cut off.
    end : SeriesEnd
        Where the series ends.
    eps : float
        Accuracy of the convolution, that of plans; its derivatives are exact at any.
    values : {"ones", "charges", "features"}
        f; features are its second input.
    small : int
        Structures of so many points or fewer are convolved by matrices, see ``small``, in a cell of fewer where there
        are few channels; the kernel has to be one for all channels then, and without images it needs ``free`` and
        ``free_derivatives``.
    direct : int
        With so many stored modes or fewer they are summed one by one, for many channels and points; see
        ``small.modes_worth_a_grid``. The same kernels.
    extent : float, optional
        The largest structure without images, units of length: what its padded box is made for. By default boxes follow
        from the structures, in steps.
    """

    whole = geometry = True
    reads = rows = "points"

    def __init__(
        self,
        kernel,
        end: SeriesEnd,
        eps: float,
        values: str = "ones",
        small: int = 0,
        direct: int = 0,
        extent: float | None = None,
    ):
        if values not in ("ones", "charges", "features"):
            raise ValueError(f"values: expected 'ones', 'charges' or 'features', got {values!r}")
        self.kernel, self.end, self.values = kernel, end, values
        self.eps = arguments.as_positive("eps", eps, 1.0)
        self.small, self.direct = arguments.as_count("small", small, 0), arguments.as_count("direct", direct, 0)
        self.extent = None if extent is None else arguments.as_positive("extent", extent, np.inf)
        self._plans: OrderedDict[tuple, Plan] = OrderedDict()
        self._tables, self._placed = Tables(), Placed()
        self.make_plan: Callable[..., Any] = LRCPlan  # for periodic cells

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_plans": OrderedDict(), "_tables": Tables(), "_placed": Placed()}

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return self.kernel.shapes()

    def initialise(self, parameters: Parameters, generator: np.random.Generator) -> None:
        self.kernel.initialise(parameters, generator)

    # ------------------------------------------------------------------ plans
    def check(self, dtype: np.dtype) -> None:
        check_eps(self.eps, dtype)  # also of structures that are convolved by matrices: others may follow

    def check_structures(self, structures: Structures) -> None:
        for b in np.flatnonzero(~structures.periodic.all(axis=1)):
            open_size(structures, int(b), self.kernel.sigma is None, self.extent)
        if self.values == "charges":
            charges_of(structures)

    def check_settings(self, cell: np.ndarray, dtype: np.dtype, threads: int) -> None:
        """Raise what a plan for a cell raises, such as a ValueError for an eps that its modes put out of reach.

        Parameters
        ----------
        cell : (d, d)
            Lattice vectors.
        dtype : dtype
            Of the network.
        threads : int
            Of the network.
        """
        scene = Scene(Structures.from_arrays(np.zeros((0, len(cell))), cell), None, dtype, threads)  # type: ignore[arg-type]
        self._plan((cell.tobytes(), None), scene, 1.0, False, 0)

    def _plan(self, surroundings: tuple, scene: Scene, stretch: float, small: bool, most_modes: int) -> Plan:
        """The plan of a cell, or of none, as ``_surroundings`` tells it."""
        # A group each: plans hold points.
        key = surroundings, stretch, scene.dtype.str, scene.threads, small, most_modes
        plan = self._plans.pop(key, None)
        if plan is None:
            plan = self._new_plan(surroundings[0], scene, stretch, small, most_modes)
        self._plans[key] = plan
        return plan

    def _forget(self, in_use: int) -> None:
        """Drop the plans that were used longest ago, where they are too many or hold too much."""
        held = sum(plan.nbytes for plan in self._plans.values())
        while len(self._plans) > in_use and (len(self._plans) > PLANS or held > HELD):
            held -= self._plans.popitem(last=False)[1].nbytes

    def _new_plan(self, cell: bytes, scene: Scene, stretch: float, small: bool, most_modes: int) -> Plan:
        dim, dtype = scene.structures.dim, scene.dtype
        matrix = _matrix(cell, dim)
        if matrix is None:
            return SmallPlan(None, (1,) * dim, dtype, self._tables)
        modes = self.end.modes(matrix, stretch)
        if small:
            return SmallPlan(matrix, modes, dtype, self._tables)
        if prod(modes) <= 2 * most_modes:
            return ModePlan(matrix, modes, dtype)
        return self.make_plan(matrix, modes, eps=self.eps, dtype=dtype, threads=scene.threads, dim=dim)

    def _groups(self, tape: Tape, channels: int) -> list[_Group]:
        """Structures that share a plan and a kernel."""
        scene = tape.scene
        structures = scene.structures
        stretch, widening = self.kernel.stretch(tape.parameters), self.kernel.widening(tape.parameters)
        members = dict[tuple, list[int]]()
        for b in range(len(structures)):
            members.setdefault(self._surroundings(structures, b, widening), []).append(b)
        groups = []
        for surroundings, several in members.items():
            chosen = np.array(several)
            counts = structures.counts[chosen]
            most = int(counts.max())
            if not most:
                continue
            rows = np.concatenate([np.arange(structures.offsets[b], structures.offsets[b + 1]) for b in chosen])
            places = np.concatenate([i * most + np.arange(count) for i, count in enumerate(counts)])
            most_modes = modes_worth_a_grid(self.direct, most, channels)
            small = most <= (self.small if surroundings[0] == FREE else points_worth_a_grid(self.small, channels))
            with tape.parameters.blamed(self.kernel.names.values()):
                multiplier = self.kernel.multiplier(tape.parameters, surroundings[1])
                try:
                    plan = self._plan(surroundings, scene, stretch, small, most_modes)
                except MemoryError as error:
                    open_one = not structures.periodic[several[0]].all()
                    remedy = "; its padded box is as large as that asks, look for points far away" if open_one else ""
                    raise MemoryError(f"{error}, of structure {several[0]}{remedy}") from error
            cell = _matrix(surroundings[0], structures.dim)
            groups.append(_Group(cell, plan, multiplier, chosen, rows, places, (len(chosen), most)))
            self._forget(len(groups))  # before the next one takes memory
        return groups

    def _surroundings(self, structures: Structures, b: int, widening: float) -> tuple:
        """The cell in which structure b is convolved, and where the kernel is cut off, if it has no periodic images.

        Small structures without images need no cell; those of about as many points go together.
        """
        if structures.periodic[b].all():
            return structures.cell[b].tobytes(), None
        size, count = open_size(structures, b, self.kernel.sigma is None, self.extent), int(structures.counts[b])
        if count <= self.small:
            return FREE, None, (count - 1).bit_length()
        margin = widening * self.margin()
        diameter = self.extent or STEP * np.ceil(size / (STEP * margin)) * margin  # few sizes, so few plans
        radius = float(diameter + margin)
        side = radius if getattr(self.kernel, "ends_by_itself", False) else diameter + radius + margin
        return np.diag(np.full(structures.dim, side)).tobytes(), radius

    def margin(self) -> float:
        """The distance over which the smearing of a kernel falls below ``eps``, in units of length."""
        return (np.sqrt(2 * np.log(1 / self.eps)) + 1.0) * self.kernel.sigma

    def _given(self, tape: Tape, features) -> np.ndarray | None:
        """f (n, C_in); None where it is ones, a plan takes it so, and no structure is filled up."""
        structures = tape.scene.structures
        if self.values == "features":
            return features
        if self.values == "charges":
            return charges_of(structures).astype(tape.scene.dtype)[:, None]
        counts = structures.counts
        if not self.small and (counts == counts[0]).all() and channels_of(self.kernel.multiplier(tape.parameters)):
            return None  # a plan adds the axis of channels
        return np.ones((len(structures.positions), 1), tape.scene.dtype)

    # ------------------------------------------------------------------ the passes
    def forward(self, tape: Tape, _, features=None):
        scene, kept = tape.scene, tape.kept
        check_features(self.values, features, scene.count)
        kept["groups"] = self._groups(tape, 1 if features is None else features.shape[1])
        kept["given"] = given = self._given(tape, features)
        kept["f"] = [group.spread(given) for group in kept["groups"]]
        positions, out = scene.structures.positions.astype(scene.dtype, copy=False), None
        for group, f in zip(kept["groups"], kept["f"], strict=True):
            if self._placed.first(group.plan, scene):
                if scene.dtype != np.float64:
                    counts = scene.structures.counts[group.structures]
                    positions[group.rows] = near_origin(scene.structures.positions[group.rows], counts, group.cell)
                group.plan.set_points(group.spread(positions))
            # Where derivatives follow, they are at these points.
            u = group.linear_in(f).output if tape.keep else group.plan.convolve(f, group.multiplier)
            out = self._put(out, group, u, scene)
        if out is None:  # of no points
            channels = (*channels_of(self.kernel.multiplier(tape.parameters)), 1)
            out = np.zeros((0, channels[0] if features is None else features.shape[1]), scene.dtype)
        return out

    @staticmethod
    def _put(out: np.ndarray | None, group: _Group, values: np.ndarray, scene: Scene) -> np.ndarray:
        if out is None:
            if group.whole and scene.count == len(group.rows):
                return group.collect(values)
            out = np.zeros((scene.count, values.shape[-1]), dtype=values.dtype)
        out[group.rows] = group.collect(values)
        return out

    def _directions(self, tape: Tape, motion: Motion | None, features) -> list[tuple]:
        """ẋ, ḟ and ε for every group, None where nothing moves."""
        moved = None if motion is None else motion.points
        strain = None if motion is None or motion.strain is None or not motion.strain.any() else motion.strain
        if strain is not None:
            strain = strain.astype(tape.scene.dtype, copy=False)
        return [
            (group.spread(moved), group.spread(features), None if strain is None else strain[group.structures])
            for group in tape.kept["groups"]
        ]

    def jvp(self, tape: Tape, motion, dfeatures=None):
        kept, out = tape.kept, None
        kept["directions"] = self._directions(tape, motion, dfeatures)
        for group, f, (dx, df, strain) in zip(kept["groups"], kept["f"], kept["directions"], strict=True):
            moved = group.linear_in(f).jvp(dpoints=dx, dvalues=df)
            for rate, strained in self._components(group.multiplier, strain):
                moved = moved + rate * group.plan.convolve(f, strained)
            out = self._put(out, group, moved, tape.scene)
        return out

    @staticmethod
    def _components(multiplier, strain: np.ndarray | None):
        """Of every component of the strain of some structures its size (B, 1, 1), and its kernel."""
        if strain is None:
            return
        for a, b in combinations_with_replacement(range(strain.shape[1]), 2):
            rate = strain[:, a, b] if a == b else strain[:, a, b] + strain[:, b, a]
            if rate.any():
                yield rate[:, None, None], Strained(multiplier, a, b)

    def vjp(self, tape: Tape, bar, gradient: Parameters | None = None) -> tuple:
        kept, scene, of_features = tape.kept, tape.scene, None
        motion = Motion(np.zeros(scene.structures.positions.shape, dtype=bar.dtype))
        if tape.strained:
            motion.strain = np.zeros(scene.structures.cell.shape)
        features = self.values == "features" and tape.wanted[-1]
        wrt = {"points"} if tape.wanted[0] else set()
        wrt |= {"values"} if features else set()
        wrt |= {"parameters"} if gradient is not None and self.kernel.names else set()
        for group, f in zip(kept["groups"], kept["f"], strict=True):
            u_bar = group.spread(bar)
            if group.linearised is not None:
                result = group.linearised.vjp(u_bar, wrt=wrt)
            else:
                result = group.plan.vjp(f, group.multiplier, u_bar, wrt=wrt)
            if tape.wanted[0]:
                motion.points[group.rows] = group.collect(result.points)
            if features:
                of_features = self._put(of_features, group, result.values, scene)
            if gradient is not None and "parameters" in wrt:
                self._add(gradient, result.parameters)
            if motion.strain is not None:
                motion.strain[group.structures] = self._strain_bar(group, f, u_bar, scene.structures.dim)
        return (motion, of_features)[: len(tape.wanted)]

    @staticmethod
    def _strain_bar(group: _Group, f, bar: np.ndarray, dim: int) -> np.ndarray:
        """The gradient by the strain of every structure of a group, (B, d, d)."""
        out = np.zeros((len(bar), dim, dim))
        for a, b in combinations_with_replacement(range(dim), 2):
            moved = group.plan.convolve(f, Strained(group.multiplier, a, b))
            out[:, a, b] = out[:, b, a] = np.einsum("bnc,bnc->b", bar, moved)
        return out

    def _add(self, gradient: Parameters, parts: dict[str, np.ndarray]) -> None:
        for name, own in self.kernel.names.items():
            gradient[own][...] += parts[name]

    def vjp_dual(self, tape: Tape, bar, dbar, gradient: Parameters) -> tuple[tuple, tuple]:
        kept, below, dbelow = tape.kept, None, None
        features = self.values == "features" and tape.wanted[-1]
        wrt = {name for name, wanted in (("values", features), ("parameters", self.kernel.names)) if wanted}
        for group, f, (_, _, strain) in zip(kept["groups"], kept["f"], kept["directions"], strict=True):
            plan, multiplier = group.plan, group.multiplier
            u_bar, du_bar = group.spread(bar), group.spread(dbar)
            result = group.linear_in(f).vjp_jvp(du_bar, u_bar, wrt=wrt)
            if self.kernel.names:
                self._add(gradient, result.parameters_tangent)
            for rate, strained in self._components(multiplier, strain) if self.kernel.names else ():
                scaled = (rate * du_bar).astype(du_bar.dtype, copy=False)
                self._add(gradient, plan.vjp(f, strained, scaled, wrt=("parameters",)).parameters)
            if not features:
                continue
            of_f = result.values_tangent
            for rate, strained in self._components(multiplier, strain):
                of_f = of_f + rate * plan.convolve(du_bar, strained)
            below = self._put(below, group, of_f, tape.scene)
            dbelow = self._put(dbelow, group, result.values, tape.scene)
        return (None, below)[: len(tape.wanted)], (None, dbelow)[: len(tape.wanted)]
