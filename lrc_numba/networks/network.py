r"""Networks for the energy of a configuration: short-range, and full-range with the LRC layer.

    U = Σᵢ 𝒩(Dᵢ)                          short-range, eq. (15)
    U = Σᵢ 𝒩(Dᵢ, g_θ(uᵢ))                 full-range, uᵢ = Σ_j φ_θ(xᵢ − x_j) with the multipliers of eq. (23)

Forces are −∂U/∂x. For the force loss L = mean over snapshots of Σ‖F − F*‖² the gradient needs no second-order
differentiation: with s = 2 (F − F*)/B

    ∂L/∂θ = −∂/∂θ  d/dε U(x + ε s)

which is one forward pass of (value, tangent along s) and one reverse pass of that pair with respect to θ alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any

import numpy as np

from .. import arguments
from ..kernels import Yukawa
from ..plan import LRCPlan
from .descriptors import Descriptor, Scales
from .mlp import Perceptron
from .pairs import Pairs, neighbours
from .parameters import Parameters

__all__ = ["FullRangeNetwork", "ShortRangeNetwork"]

FITTING = (32,) * 6
POINTS_AT_ONCE = 200  # so that what lies between two layers stays in a cache; the same for any number of threads


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
        Whether contributions vanish at R, see ``descriptors``.
    scales : Scales, optional
        Normalisation of the neighbours; ``set_scales`` measures it.
    dtype : float32 or float64
        Of points, parameters and results.
    seed : int
        Of the initial weights.
    threads : int, optional
        At most so many; results do not depend on it.

    Attributes
    ----------
    parameters : Parameters
        One flat vector with named views.

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
        lengths = np.asarray(box, dtype=np.float64)
        dim = dim if dim is not None else lengths.size if lengths.ndim == 1 else 1
        if lengths.ndim > 1 or lengths.size not in (1, dim) or dim not in (1, 2, 3):
            raise ValueError(f"box: expected a length, or d of them with d = 1, 2 or 3, got {box!r} for dim={dim}")
        if not (np.isfinite(lengths).all() and (lengths > 0).all()):
            raise ValueError(f"box: expected positive lengths, got {box!r}")
        self.box = np.broadcast_to(lengths, (dim,)).astype(np.float64)
        cutoff = arguments.as_positive("cutoff", cutoff, np.inf)
        if cutoff > self.box.min() / 2:
            raise ValueError(f"cutoff: expected at most half the shortest box length {self.box.min():g}, got {cutoff}")
        self.cutoff_kind = arguments.as_choice("cutoff_kind", cutoff_kind, ("smooth", "paper"))
        self.dim, self.dtype, self.seed = dim, arguments.as_dtype(dtype), seed
        self.threads = arguments.as_threads(threads, LRCPlan(1.0, 1, dim=1).threads)
        self.descriptor = Descriptor(dim, cutoff, cutoff_kind == "smooth", scales or Scales())
        self.fitting = Perceptron(
            "fit", (self.descriptor.width + self._extra(), *FITTING, 1), residual=True, linear_end=True
        )
        shapes: dict[str, tuple[int, ...]] = {}
        for network in self._networks():
            shapes |= network.shapes()
        self.parameters = Parameters(shapes | self._more_shapes(), self.dtype)
        generator = np.random.default_rng(seed)
        for network in self._networks():
            network.initialise(self.parameters, generator)

    # ------------------------------------------------------------------ what a full-range network adds
    def _extra(self) -> int:
        """Features per point besides the descriptor."""
        return 0

    def _networks(self) -> tuple[Perceptron, ...]:
        return (*self.descriptor.networks, self.fitting)

    def _more_shapes(self) -> dict[str, tuple[int, ...]]:
        return {}

    # ------------------------------------------------------------------ points
    def _checked(self, points) -> tuple[np.ndarray, bool]:
        """(B, N, d), and whether there was a batch axis."""
        array = arguments.as_points("points", points, self.dtype, self.dim)
        return (array[None], False) if array.ndim == 2 else (array, True)

    def _parts(self, points: np.ndarray) -> list[slice]:
        """Snapshots that are worked on together."""
        most = max(1, POINTS_AT_ONCE // max(1, points.shape[1]))
        return [slice(lo, min(lo + most, len(points))) for lo in range(0, len(points), most)]

    def _each(self, function, parts: list) -> list:
        """``function`` of every part, on threads, in the order of the parts."""
        if len(parts) < 2 or self.threads == 1:
            return [function(part) for part in parts]
        return list(self._pool.map(function, parts))

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self.threads, thread_name_prefix="lrc_numba")

    def _pairs(self, points: np.ndarray) -> Pairs:
        pairs = neighbours(points, self.box, self.descriptor.cutoff)
        if len(pairs) and not pairs.distance.min() > 1e-6 * self.descriptor.cutoff:
            p = int(pairs.distance.argmin())
            count = points.shape[1]
            raise ValueError(
                f"points: expected no two of them in one place, got {pairs.first[p] % count} and "
                f"{pairs.second[p] % count} of snapshot {pairs.first[p] // count} {pairs.distance[p]:.1e} apart"
            )
        return pairs

    def set_scales(self, points) -> None:
        """Measure the normalisation of the neighbours on some snapshots, (B, N, d)."""
        array, _ = self._checked(points)
        self.descriptor.scales = Scales.of(self._pairs(array), self.dim)

    # ------------------------------------------------------------------ values
    def _features(self, points: np.ndarray) -> np.ndarray | None:
        """What a full-range network reads at the points, (B, N, C)."""
        return None

    def _forward(self, points: np.ndarray, long: np.ndarray | None) -> tuple[np.ndarray, dict]:
        """𝒩 (n,) of some snapshots, and the tape."""
        count = points.shape[0] * points.shape[1]
        described, tape = self.descriptor.forward(self.parameters, self._pairs(points), count)
        kept: dict[str, Any] = {"descriptor": tape}
        inputs = self._join(described, long, kept)
        out, kept["fitting"] = self.fitting.forward(self.parameters, inputs)
        return out[:, 0], kept

    def _join(self, described: np.ndarray, long, kept: dict) -> np.ndarray:
        return described

    def potential(self, points) -> np.ndarray:
        """𝒩 of every point, (N,) or (B, N)."""
        array, batched = self._checked(points)
        long = self._features(array)
        found = self._each(lambda part: self._forward(array[part], _some(long, part))[0], self._parts(array))
        out = np.concatenate(found or [np.zeros(0, self.dtype)]).reshape(array.shape[:2])
        return out if batched else out[0]

    def energy(self, points) -> np.ndarray | float:
        """U of every snapshot, (B,), or a number."""
        out = self.potential(points)
        return out.sum(axis=-1) if out.ndim == 2 else float(out.sum())

    def energy_forces(self, points) -> tuple[np.ndarray | float, np.ndarray]:
        """U, and F = −∂U/∂x of the shape of the points."""
        array, batched = self._checked(points)
        energies, forces, _ = self._energy_forces(array)
        return (energies, forces) if batched else (float(energies[0]), forces[0])

    def _energy_forces(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[dict]]:
        parts, long = self._parts(points), self._features(points)

        def work(part: slice) -> tuple:
            """𝒩, its gradient in D alone and in g, and the tape, of some snapshots."""
            out, kept = self._forward(points[part], _some(long, part))
            below = self.fitting.vjp(self.parameters, kept["fitting"], np.ones((len(out), 1), dtype=self.dtype))
            width = self.descriptor.width
            moved = self.descriptor.vjp(self.parameters, kept["descriptor"], np.ascontiguousarray(below[:, :width]))
            return out, moved, self._read_back(kept, below), kept

        found = self._each(work, parts)
        potential = np.concatenate([f[0] for f in found]).reshape(points.shape[:2])
        forces = -np.concatenate([f[1] for f in found]).reshape(points.shape)
        self._add_long_forces(forces, [f[2] for f in found])
        return potential.sum(axis=1), forces, [f[3] for f in found]

    def _read_back(self, kept: dict, below: np.ndarray) -> np.ndarray | None:
        """ū from the cotangent of the inputs of 𝒩."""
        return None

    def _add_long_forces(self, forces: np.ndarray, cotangents: list) -> None:
        """Take off the gradient by way of u, in place."""

    # ------------------------------------------------------------------ the loss
    def loss_gradient(self, points, forces) -> tuple[float, np.ndarray]:
        """L = mean over snapshots of Σ‖F − F*‖², and ∂L/∂θ.

        Parameters
        ----------
        points : (N, d) or (B, N, d)
            Snapshots.
        forces : array of the shape of the points
            F*.

        Returns
        -------
        float, (n_parameters,) ndarray
            The loss, and its gradient in the order of ``parameters``.
        """
        array, _ = self._checked(points)
        wanted, _ = self._checked_forces(forces, np.shape(points))
        _, found, tapes = self._energy_forces(array)
        difference = found - wanted
        loss = float((difference**2).sum() / len(array))
        direction = difference * (2.0 / len(array))
        gradient = Parameters(self.parameters.shapes, self.dtype)
        long = self._tangent_features(direction)
        jobs = list(zip(self._parts(array), tapes, strict=True))
        results = self._each(lambda job: self._pair(direction[job[0]], _some(long, job[0]), job[1]), jobs)
        for flat, _ in results:
            gradient.flat += flat
        self._add_long_gradient(gradient, direction, [r[1] for r in results])
        return loss, gradient.flat

    def _checked_forces(self, forces, shape: tuple[int, ...]) -> tuple[np.ndarray, bool]:
        if np.shape(forces) != shape:
            raise ValueError(f"forces: expected the shape of the points, {shape}, got {np.shape(forces)}")
        array = arguments.as_points("forces", forces, self.dtype, self.dim)
        return (array[None], False) if array.ndim == 2 else (array, True)

    def _pair(self, direction: np.ndarray, long: np.ndarray | None, kept: dict) -> tuple[np.ndarray, tuple | None]:
        """Gradient of −U̇ along a direction of some snapshots; cotangents of u and of u̇."""
        gradient, views = Parameters(self.parameters.shapes, self.dtype), self.parameters
        flat = direction.reshape(-1, self.dim)
        described, moved = self.descriptor.jvp(views, kept["descriptor"], flat)
        inputs = self._join_tangent(described, long, kept)
        out, tangents = self.fitting.jvp(views, kept["fitting"], inputs)
        zero, minus = np.zeros_like(out), -np.ones_like(out)
        below = self.fitting.vjp_pair(views, kept["fitting"], tangents, zero, minus, gradient, inputs_too=True)
        width = self.descriptor.width
        bars = [np.ascontiguousarray(b[:, :width]) for b in below or ()]
        self.descriptor.vjp_pair(views, kept["descriptor"], moved, bars[0], bars[1], gradient)
        return gradient.flat, self._pair_long(kept, [b[:, width:] for b in below or ()], gradient)

    def _tangent_features(self, direction: np.ndarray) -> np.ndarray | None:
        return None

    def _join_tangent(self, described: np.ndarray, long, kept: dict) -> np.ndarray:
        return described

    def _pair_long(self, kept: dict, bars: list[np.ndarray], gradient: Parameters) -> tuple | None:
        return None

    def _add_long_gradient(self, gradient: Parameters, direction: np.ndarray, cotangents: list) -> None:
        """Add the gradient of the multiplier's parameters."""

    def _settings(self) -> Iterator[tuple[str, object]]:
        """What makes the same network again."""
        yield from (("kind", self.kind), ("box", self.box.tolist()), ("cutoff", self.descriptor.cutoff))
        yield from (("cutoff_kind", self.cutoff_kind), ("dim", self.dim), ("dtype", self.dtype.name))
        yield from (("seed", self.seed), ("scales", vars(self.descriptor.scales)))


def _some(array: np.ndarray | None, part: slice) -> np.ndarray | None:
    return None if array is None else array[part]


class FullRangeNetwork(ShortRangeNetwork):
    """A short-range network whose 𝒩 also reads g_θ of a trainable long-range convolution.

    Parameters
    ----------
    box, cutoff, dim, cutoff_kind, scales, dtype, seed, threads
        As for ``ShortRangeNetwork``.
    modes : int or d ints
        Of the convolution.
    lam : sequence of float, optional
        Start values λ of the channels, inverse lengths; spread over the box by default. β starts at 1.
    eps : float, optional
        Accuracy of the convolution; its derivatives are exact at any.
    """

    kind = "full-range"

    def __init__(self, box, cutoff: float, modes, *, lam=None, eps: float | None = None, dtype=np.float64, **options):
        if lam is None:  # half the box, and a tenth of that
            lam = (2.0 / np.max(box), 20.0 / np.max(box))
        self._lam = tuple(arguments.as_positive("lam", float(value), np.inf) for value in lam)
        self.post = Perceptron("g", (len(self._lam), 2, 4, 8, 16, 32), activation="relu")
        super().__init__(box, cutoff, dtype=dtype, **options)
        self.modes = modes
        self._kept: tuple | None = None
        self.eps = eps if eps is not None else 1e-5 if self.dtype == np.float32 else 1e-6
        self.plan = LRCPlan(self.box, modes, eps=self.eps, dtype=self.dtype, threads=self.threads, dim=self.dim)
        self.parameters["beta"][...], self.parameters["lam"][...] = 1.0, self._lam
        self.long_mean, self.long_std = np.zeros(len(self._lam), self.dtype), np.ones(len(self._lam), self.dtype)

    def _extra(self) -> int:
        return self.post.sizes[-1]

    def _networks(self) -> tuple[Perceptron, ...]:
        return (*self.descriptor.networks, self.post, self.fitting)

    def _more_shapes(self) -> dict[str, tuple[int, ...]]:
        return {"beta": (len(self._lam),), "lam": (len(self._lam),)}

    @property
    def multiplier(self) -> Yukawa:
        """φ̂ of the channels with the parameters of now."""
        beta, lam = (np.array(self.parameters[name], dtype=np.float64) for name in ("beta", "lam"))
        key = (beta.tobytes(), lam.tobytes())
        if (
            self._kept is None or self._kept[0] != key
        ):  # the same object as long as nothing changed: plans keep its table
            self._kept = (key, Yukawa(beta, lam))
        return self._kept[1]

    def set_scales(self, points) -> None:
        """Measure the normalisation of the neighbours, and that of u with the multipliers of now."""
        super().set_scales(points)
        array, _ = self._checked(points)
        found = self.plan.set_points(array).convolve(None, self.multiplier).reshape(-1, len(self._lam))
        self.long_mean, self.long_std = found.mean(axis=0), np.where(found.std(axis=0) > 0, found.std(axis=0), 1.0)

    def _features(self, points: np.ndarray) -> np.ndarray:
        return (self.plan.set_points(points).convolve(None, self.multiplier) - self.long_mean) / self.long_std

    def _join(self, described: np.ndarray, long, kept: dict) -> np.ndarray:
        read, kept["post"] = self.post.forward(self.parameters, long.reshape(-1, len(self._lam)))
        return np.concatenate([described, read], axis=1)

    def _read_back(self, kept: dict, below: np.ndarray) -> np.ndarray:
        return self.post.vjp(self.parameters, kept["post"], below[:, self.descriptor.width :])

    def _add_long_forces(self, forces: np.ndarray, cotangents: list) -> None:
        bar = np.concatenate(cotangents).reshape(*forces.shape[:2], -1) / self.long_std
        forces -= self.plan.vjp(None, self.multiplier, bar, wrt=("points",)).points

    def _tangent_features(self, direction: np.ndarray) -> np.ndarray:
        return self.plan.jvp(None, self.multiplier, dpoints=direction) / self.long_std

    def _join_tangent(self, described: np.ndarray, long, kept: dict) -> np.ndarray:
        read, kept["post tangents"] = self.post.jvp(self.parameters, kept["post"], long.reshape(-1, len(self._lam)))
        return np.concatenate([described, read], axis=1)

    def _pair_long(self, kept: dict, bars: list[np.ndarray], gradient: Parameters) -> tuple | None:
        return self.post.vjp_pair(
            self.parameters, kept["post"], kept["post tangents"], bars[0], bars[1], gradient, inputs_too=True
        )

    def _add_long_gradient(self, gradient: Parameters, direction: np.ndarray, cotangents: list) -> None:
        shape = (*direction.shape[:2], len(self._lam))
        bar, dbar = (np.concatenate([c[i] for c in cotangents]).reshape(shape) / self.long_std for i in (0, 1))
        found = self.plan.parameters_jvp(None, self.multiplier, dbar, dpoints=direction, dcotangent=bar)
        for name in ("beta", "lam"):
            gradient[name][...] += found[name]

    def _settings(self) -> Iterator[tuple[str, object]]:
        yield from super()._settings()
        yield from (("modes", self.modes), ("lam", list(self._lam)), ("eps", self.eps))
        yield from (("long_mean", self.long_mean.tolist()), ("long_std", self.long_std.tolist()))
