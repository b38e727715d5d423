r"""The short-range network for the energy of a configuration, U = Σᵢ 𝒩(Dᵢ), eq. (15) of arXiv 2010.05295.

Forces are F = −∂U/∂x. With B snapshots, and a weight w ≥ 0 of the energies, the loss is

    L = 1/B Σ_b [ Σᵢ ‖Fᵢ − Fᵢ*‖² + w (U − U*)² ]

and its gradient needs no second-order differentiation: with s = 2 (F − F*)/B and e_b = 2w (U − U*)/B

    ∂L/∂θ = ∂/∂θ [ Σ_b e_b U(x_b) − d/dε U(x + ε s) ]

which is one forward pass of (value, tangent along s) and one reverse pass of both with respect to θ alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np

from .. import arguments
from ..geometry.neighbours import Pairs, find_pairs
from ..machine.cpu import parallel
from ..machine.memory import available_memory, check_memory
from ..machine.workspace import Workspace, Workspaces
from .checks import as_energies, as_forces, as_lengths, check_some
from .layers.parameters import Parameters
from .layers.perceptron import Perceptron
from .short_range import Descriptor, Scales
from .start import start_near_linear
from .storage import read_network, write_network

__all__ = ["ShortRangeNetwork"]

FITTING = (32,) * 6
POINTS_AT_ONCE = 320  # of several snapshots, in one pass of the interpreter; the same for any number of threads


class ShortRangeNetwork:
    """U = Σᵢ 𝒩(Dᵢ) of the neighbours within a cutoff.

    Parameters
    ----------
    box : float or (d,) array
        Box lengths.
    cutoff : float
        R, at most half the shortest box length.
    dim : int
        d; only needed where ``box`` is a number.
    cutoff_kind : {"smooth", "paper"}
        Whether contributions vanish at R, see ``short_range``.
    scales : Scales, optional
        Normalisation of the neighbours; ``set_scales`` measures it.
    dtype : float32 or float64
        Of points, parameters and results.
    seed : int
        Of the initial weights.
    threads : int, optional
        At most so many, which share the snapshots; results do not depend on it.

    Attributes
    ----------
    parameters : Parameters
        One flat vector with named views.

    Notes
    -----
    A network keeps memory between calls: one network serves one thread of the user's at a time.

    Raises
    ------
    ValueError, TypeError
        Naming the argument, what came and what was expected.
    """

    kind = "short-range"

    def __init__(
        self,
        box,
        cutoff: float,
        *,
        dim: int | None = None,
        cutoff_kind: str = "smooth",
        scales: Scales | None = None,
        dtype=np.float64,
        seed: int = 0,
        threads: int | None = None,
    ):
        self.box = as_lengths(box, dim)
        cutoff = arguments.as_positive("cutoff", cutoff, np.inf)
        if cutoff > self.box.min() / 2:
            raise ValueError(f"cutoff: expected at most half the shortest box length {self.box.min():g}, got {cutoff}")
        self.cutoff_kind = arguments.as_choice("cutoff_kind", cutoff_kind, ("smooth", "paper"))
        self.dim, self.dtype, self.seed = len(self.box), arguments.as_dtype(dtype), int(seed)
        self.threads = arguments.as_threads(threads, parallel.available_threads())
        self._spaces = Workspaces()
        self.descriptor = Descriptor(self.dim, cutoff, cutoff_kind == "smooth", scales or Scales())
        self.fitting = Perceptron(
            "fit", (self.descriptor.width + self._extra(), *FITTING, 1), residual=True, linear_end=True
        )
        shapes = {name: shape for network in self._networks() for name, shape in network.shapes().items()}
        self.parameters = Parameters(shapes | self._more_shapes(), self.dtype)
        generator = np.random.default_rng(seed)
        for network in self._networks():
            network.initialise(self.parameters, generator)
        self._start = start_near_linear(*self._first_layer, generator)

    # ------------------------------------------------------------------ what a full-range network adds
    def _extra(self) -> int:
        """Number of features per point besides the descriptor."""
        return 0

    def _networks(self) -> tuple[Perceptron, ...]:
        return (*self.descriptor.networks, self.fitting)

    def _more_shapes(self) -> dict[str, tuple[int, ...]]:
        return {}

    # ------------------------------------------------------------------ points
    def _checked(self, points) -> tuple[np.ndarray, bool]:
        """Checked points (B, N, d), and whether they had a batch axis."""
        array = arguments.as_points("points", points, self.dtype, self.dim)
        return (array[None], False) if array.ndim == 2 else (array, True)

    def _parts(self, points: np.ndarray) -> list[slice]:
        """Snapshots split into parts: at least two, if there are two snapshots; each part is one job of a thread."""
        most = max(1, min(POINTS_AT_ONCE // max(1, points.shape[1]), -(-len(points) // 2)))
        return [slice(lo, min(lo + most, len(points))) for lo in range(0, len(points), most)]

    def _each(self, function, parts: list) -> list:
        """Apply ``function`` to every part, on threads; results in the order of the parts."""
        results: list = [None] * len(parts)

        def _share(_: int, lo: int, hi: int) -> None:
            """One thread's parts."""
            for i in range(lo, hi):
                results[i] = function(parts[i])

        parallel.run(_share, parallel.even(len(parts), self.threads))
        return results

    def _pairs(self, points: np.ndarray, start: int = 0) -> Pairs:
        batch, count, dim = points.shape
        offsets = np.arange(batch + 1) * count
        pairs = find_pairs(points.reshape(-1, dim), self.descriptor.cutoff, self.box, offsets=offsets, threads=1)
        pairs.check_apart(1e-6 * self.descriptor.cutoff, start)
        return pairs

    def set_scales(self, points) -> None:
        """Normalise the inputs by snapshots (B, N, d); to be called before training, as it writes parameters.

        The first biases of 𝒩 start as they were drawn less what the mean of its inputs gives, so that no tanh is
        saturated from the start; a full-range network also draws g_θ here, see ``start``.
        """
        array, _ = self._checked(points)
        check_some(array)
        self._measure(array)
        long, parts = self._features(array), self._parts(array)
        work = lambda part: self._inputs(array, long, part, self._spaces.of(None))[0].sum(axis=0)  # noqa: E731
        mean = sum(self._each(work, parts)) / (array.shape[0] * array.shape[1])
        self._first_layer[1][...] = self._start - mean @ self._first_layer[0]

    def _measure(self, points: np.ndarray) -> None:
        self.descriptor.scales = Scales.of(self._pairs(points), self.dim)

    @property
    def _first_layer(self) -> tuple[np.ndarray, np.ndarray]:
        """Weights and biases of the first layer of 𝒩."""
        return self.parameters[f"{self.fitting.name}.weight0"], self.parameters[f"{self.fitting.name}.bias0"]

    # ------------------------------------------------------------------ values
    def _features(self, points: np.ndarray) -> np.ndarray | None:
        """Long-range features of the points, (B, N, C), of a full-range network."""
        return None

    def _inputs(self, points: np.ndarray, long, part: slice, space: Workspace, tapes=1) -> tuple[np.ndarray, dict]:
        """Inputs of 𝒩 for a part of the snapshots, (n, features), and its tapes; ``tapes`` is 2 with tangents."""
        points, long = points[part], None if long is None else long[part]
        count = points.shape[0] * points.shape[1]
        pairs = self._pairs(points, part.start)
        needed = tapes * self.descriptor.memory(len(pairs), self.dtype.itemsize) - space.nbytes
        check_memory("points", f"{points.shape} with {len(pairs)} pairs within the cutoff", needed, available_memory)
        described, tape = self.descriptor.forward(self.parameters, pairs, count, space)
        kept: dict[str, Any] = {"descriptor": tape, "space": space}
        return self._join(described, long, kept), kept

    def _forward(self, points: np.ndarray, long, part: slice, space: Workspace, tapes=1) -> tuple[np.ndarray, dict]:
        """𝒩 (n,) for a part of the snapshots, and its tapes."""
        inputs, kept = self._inputs(points, long, part, space, tapes)
        out, kept["fitting"] = self.fitting.forward(self.parameters, inputs, space)
        return out[:, 0].copy(), kept

    def _join(self, described: np.ndarray, long, kept: dict) -> np.ndarray:
        return described

    def potential(self, points) -> np.ndarray:
        """𝒩 of every point, (N,) or (B, N)."""
        array, batched = self._checked(points)
        long = self._features(array)
        work = lambda part: self._forward(array, long, part, self._spaces.of(None))[0]  # noqa: E731
        potentials = self._each(work, self._parts(array))
        out = np.concatenate(potentials or [np.zeros(0, self.dtype)]).reshape(array.shape[:2])
        return out if batched else out[0]

    def energy(self, points) -> np.ndarray | float:
        """U of every snapshot, (B,), or a number."""
        out = self.potential(points)
        return out.sum(axis=-1) if out.ndim == 2 else float(out.sum())

    def energy_forces(self, points) -> tuple[np.ndarray | float, np.ndarray]:
        """U, and F = −∂U/∂x of the shape of the points."""
        array, batched = self._checked(points)
        energies, forces, _ = self._energy_forces(array, keep=False)
        return (energies, forces) if batched else (float(energies[0]), forces[0])

    def _energy_forces(self, points: np.ndarray, keep: bool) -> tuple[np.ndarray, np.ndarray, list[dict]]:
        """U, F and, where they are to be kept, the tapes of all parts."""
        parts, long = self._parts(points), self._features(points)

        def work(part: slice) -> tuple:
            """𝒩 of a part, its gradient by way of D alone, ū, and the tape."""
            space = self._spaces.of(part.start if keep else None)
            out, kept = self._forward(points, long, part, space, 2 if keep else 1)
            below = self.fitting.vjp(self.parameters, kept["fitting"], np.ones((len(out), 1), dtype=self.dtype))
            width = self.descriptor.width
            bar = np.ascontiguousarray(below[:, :width])
            gradient = self.descriptor.vjp(self.parameters, kept["descriptor"], bar, space)
            return out, gradient, self._read_back(kept, below), kept if keep else None

        if not points.size:
            return np.zeros(len(points), self.dtype), np.zeros(points.shape, self.dtype), []
        potentials, gradients, cotangents, tapes = zip(*self._each(work, parts), strict=True)
        energies = np.concatenate(potentials).reshape(points.shape[:2]).sum(axis=1)
        forces = -np.concatenate(gradients).reshape(points.shape)
        self._add_long_forces(forces, list(cotangents))
        return energies, forces, list(tapes)

    def _read_back(self, kept: dict, below: np.ndarray) -> np.ndarray | None:
        """ū from the cotangent of the inputs of 𝒩."""
        return None

    def _add_long_forces(self, forces: np.ndarray, cotangents: list) -> None:
        """Subtract the gradient by way of u, in place."""

    # ------------------------------------------------------------------ the loss
    def loss_gradient(self, points, forces, energies=None, weight: float = 1.0) -> tuple[float, np.ndarray]:
        """L = mean over snapshots of Σ‖F − F*‖² + w (U − U*)², and ∂L/∂θ.

        Parameters
        ----------
        points : (N, d) or (B, N, d)
            Snapshots.
        forces : array of the shape of the points
            F*.
        energies : (B,) array or float, optional
            U*; without them there is no second term.
        weight : float
            w.

        Returns
        -------
        float, (n_parameters,) ndarray
            The loss, and its gradient in the order of ``parameters``.
        """
        array, _ = self._checked(points)
        check_some(array)
        wanted = as_forces(forces, np.shape(points), self.dtype)
        own_energies, own_forces, tapes = self._energy_forces(array, keep=True)
        difference = own_forces - wanted
        loss = float((difference**2).sum() / len(array))
        direction = difference * (2.0 / len(array))
        excess = np.zeros(len(array), dtype=self.dtype)
        if energies is not None:
            excess = (own_energies - as_energies(energies, len(array), weight)).astype(self.dtype)
            loss += float(weight * (excess**2).sum() / len(array))
            excess *= 2.0 * weight / len(array)
        gradient = Parameters(self.parameters.shapes, self.dtype)
        long = self._tangent_features(direction)
        jobs = list(zip(self._parts(array), tapes, strict=True))
        results = self._each(
            lambda job: self._dual(direction[job[0]], excess[job[0]], None if long is None else long[job[0]], job[1]),
            jobs,
        )
        for flat, _ in results:
            gradient.flat += flat
        self._add_long_gradient(gradient, direction, [r[1] for r in results])
        return loss, gradient.flat

    def fix_energies(self, points, energies) -> float:
        """Shift the zero of the energy, which forces do not determine, to where the mean of U − U* is 0.

        The last bias of 𝒩 is changed, so every point carries the same share. Returns the change of U, its mean over
        the snapshots.

        Parameters
        ----------
        points : (N, d) or (B, N, d)
            Snapshots.
        energies : float or (B,)
            U*.
        """
        array, _ = self._checked(points)
        check_some(array)
        wanted = as_energies(energies, len(array))
        change = float(np.mean(wanted - self.energy(array)))
        self.parameters[self.fitting.last_bias][...] += change / array.shape[1]
        return change

    def _dual(
        self, direction: np.ndarray, excess: np.ndarray, long: np.ndarray | None, kept: dict
    ) -> tuple[np.ndarray, tuple | None]:
        """Gradient of Σ e U − U̇ along a direction for a part of the snapshots; cotangents of u and of u̇."""
        gradient, views = Parameters(self.parameters.shapes, self.dtype), self.parameters
        flat = direction.reshape(-1, self.dim)
        space = kept["space"]
        described, tangents_of_d = self.descriptor.jvp(views, kept["descriptor"], flat, space)
        inputs = self._join_tangent(described, long, kept)
        out, tangents = self.fitting.jvp(views, kept["fitting"], inputs, space)
        bar, dbar = np.repeat(excess, direction.shape[1])[:, None], -np.ones_like(out)
        below = self.fitting.vjp_dual(views, kept["fitting"], tangents, bar, dbar, gradient, inputs_too=True)
        width = self.descriptor.width
        bars = [np.ascontiguousarray(b[:, :width]) for b in below]
        self.descriptor.vjp_dual(views, kept["descriptor"], tangents_of_d, bars[0], bars[1], gradient, space)
        return gradient.flat, self._dual_long(kept, [b[:, width:] for b in below], gradient)

    def _tangent_features(self, direction: np.ndarray) -> np.ndarray | None:
        return None

    def _join_tangent(self, described: np.ndarray, long, kept: dict) -> np.ndarray:
        return described

    def _dual_long(self, kept: dict, bars: list[np.ndarray], gradient: Parameters) -> tuple | None:
        return None

    def _add_long_gradient(self, gradient: Parameters, direction: np.ndarray, cotangents: list) -> None:
        """Add the gradient of the multiplier's parameters."""

    # ------------------------------------------------------------------ files
    def save(self, path: str | Path) -> None:
        """Write an ``.npz`` with everything that makes the network again, atomically; see ``storage``.

        Parameters
        ----------
        path : str or Path
            Replaced where it exists.
        """
        write_network(path, self.settings(), self.parameters.flat)

    @classmethod
    def load(cls, path: str | Path, *, threads: int | None = None) -> Self:
        """The network that ``save`` wrote.

        Parameters
        ----------
        path : str or Path
            The file.
        threads : int, optional
            As for a new network.

        Raises
        ------
        ValueError
            Naming the file: where it is damaged, of another version, or of a network of another kind.
        """
        settings, flat = read_network(path, cls.kind)
        try:
            network = cls._made_from(settings, threads)
        except (KeyError, TypeError, ValueError) as wrong:
            raise ValueError(f"path: the settings in {path} make no network ({wrong!r})") from wrong
        own = network.parameters.flat
        if flat.shape != own.shape or flat.dtype != own.dtype or not np.isfinite(flat).all():
            raise ValueError(
                f"path: expected {own.size} finite parameters in {own.dtype} in {path}, got shape {flat.shape} in "
                f"{flat.dtype}, {int((~np.isfinite(flat)).sum())} of them no numbers"
            )
        network.parameters.flat[...] = flat
        return network

    @classmethod
    def _made_from(cls, settings: dict, threads: int | None) -> Self:
        return cls(settings["box"], **cls._options(settings), threads=threads)

    @classmethod
    def _options(cls, settings: dict) -> dict:
        """Arguments of the constructor, but for box and threads."""
        names = ("cutoff", "dim", "cutoff_kind", "dtype", "seed")
        return {name: settings[name] for name in names} | {"scales": Scales(**settings["scales"])}

    def settings(self) -> dict:
        """Settings that make the same network again, apart from the parameters, as JSON can hold them."""
        return dict(self._settings())

    def _settings(self) -> Iterator[tuple[str, object]]:
        yield from (("kind", self.kind), ("box", self.box.tolist()), ("cutoff", self.descriptor.cutoff))
        yield from (("cutoff_kind", self.cutoff_kind), ("dim", self.dim), ("dtype", self.dtype.name))
        yield from (("seed", self.seed), ("scales", vars(self.descriptor.scales)))
