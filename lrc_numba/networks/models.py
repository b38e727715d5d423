r"""The full-range network: a short-range one that also reads the LRC layer, eqs (21)–(23) of arXiv 2010.05295.

U = Σᵢ 𝒩(Dᵢ, g_θ(ûᵢ)),   uᵢ^c = Σ_j φ^c(xᵢ − x_j),   φ̂^c(k) = 4πβ_c/(k² + λ_c²) e^{−k²τ²/2} for k ≠ 0, φ̂(0) = 0

The convolution is that of ``long_range.TaperedYukawa``. û = (u − shift)/scale is positive, some spreads above zero, so
that the relus of g_θ can be linear at first; ``start`` draws them so. scale is such that the outputs of g_θ start with
a spread of 1. All that lets blind start values of λ learn.

𝒩 starts as that of a short-range network: its weights of g_θ are zero, and grow as far as the forces ask for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

import numpy as np

from .. import arguments
from ..multipliers.radial import Yukawa
from ..plan import LRCPlan
from . import start
from .checks import as_lengths, check_some
from .energy import ShortRangeNetwork
from .layers.parameters import Parameters
from .layers.perceptron import Perceptron
from .long_range import TaperedYukawa

__all__ = ["FullRangeNetwork"]


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
        longest = float(as_lengths(box, options.get("dim")).max())
        lam = (2.0 / longest, 20.0 / longest) if lam is None else np.atleast_1d(lam)  # half the box, a tenth of that
        self._lam = tuple(arguments.as_positive("lam", float(value), np.inf) for value in lam)
        if not self._lam:
            raise ValueError("lam: expected at least one start value, got none")
        self.post = Perceptron("g", (len(self._lam), 2, 4, 8, 16, 32), activation="relu")
        super().__init__(box, cutoff, dtype=dtype, **options)
        self.modes = modes
        self._kept: tuple | None = None
        self.eps = float(eps) if eps is not None else 1e-5 if self.dtype == np.float32 else 1e-6
        self.plan = LRCPlan(self.box, modes, eps=self.eps, dtype=self.dtype, threads=self.threads, dim=self.dim)
        if np.max(modes) < 3:
            raise ValueError(f"modes: expected three or more along some axis, as k = 0 is left out, got {modes}")
        self._first_layer[0][self.descriptor.width :] = 0.0
        self.parameters["beta"][...], self.parameters["lam"][...] = 1.0, self._lam
        self.long_shift, self.long_scale = np.zeros(len(self._lam), self.dtype), np.ones(len(self._lam), self.dtype)

    def _extra(self) -> int:
        return self.post.sizes[-1]

    def _networks(self) -> tuple[Perceptron, ...]:
        return (*self.descriptor.networks, self.post, self.fitting)

    def _more_shapes(self) -> dict[str, tuple[int, ...]]:
        return {"beta": (len(self._lam),), "lam": (len(self._lam),)}

    @property
    def multiplier(self) -> Yukawa:
        """φ̂ of the channels with their present parameters."""
        beta, lam = (np.array(self.parameters[name], dtype=np.float64) for name in ("beta", "lam"))
        key = (beta.tobytes(), lam.tobytes())
        if self._kept is None or self._kept[0] != key:  # the same object while nothing changed: plans keep its table
            self._kept = (key, TaperedYukawa(beta, lam))
        return self._kept[1]

    def _measure(self, points: np.ndarray) -> None:
        super()._measure(points)
        u = self.plan.set_points(points).convolve(None, self.multiplier).reshape(-1, len(self._lam))
        shift, spread = start.input_scales(u, self.eps)
        inputs = ((u - shift) / spread).astype(self.dtype)
        start.draw_linear_relus(self.post, self.parameters, inputs, self.seed)
        passed = float(np.sqrt((start.centred_outputs(self.post, self.parameters, inputs) ** 2).mean())) or 1.0
        self.long_shift, self.long_scale = shift.astype(self.dtype), (spread * passed).astype(self.dtype)

    def move_kinks(self, points, spreads: float = 20.0) -> None:
        """Continue g_θ beyond the training points as it is among them; to be called after training.

        After a training nearly all kinks of the relus of g_θ lie just beyond its data, which do not determine them, and
        a point in a denser neighbourhood than any there meets another g_θ. Here these kinks move away, see
        ``start.move_kinks``; energies and forces at the points stay the same up to rounding.

        Parameters
        ----------
        points : (B, N, d) or (N, d) array
            Those it was trained with, units of length.
        spreads : float
            How far kinks are to be from them, in standard deviations of what the relu is given.
        """
        spreads = arguments.as_positive("spreads", float(spreads), np.inf)
        array, _ = self._checked(points)
        check_some(array)
        inputs = self._features(array).reshape(-1, len(self._lam))
        rise = start.move_kinks(self.post, self.parameters, inputs, spreads)
        weight, bias = self._first_layer
        bias -= rise @ weight[self.descriptor.width :]

    def _features(self, points: np.ndarray) -> np.ndarray:
        return (self.plan.set_points(points).convolve(None, self.multiplier) - self.long_shift) / self.long_scale

    def _join(self, described: np.ndarray, long, kept: dict) -> np.ndarray:
        read, kept["post"] = self.post.forward(self.parameters, long.reshape(-1, len(self._lam)), kept["space"])
        return np.concatenate([described, read], axis=1)

    def _read_back(self, kept: dict, below: np.ndarray) -> np.ndarray:
        return self.post.vjp(self.parameters, kept["post"], below[:, self.descriptor.width :])

    def _add_long_forces(self, forces: np.ndarray, cotangents: list) -> None:
        bar = np.concatenate(cotangents).reshape(*forces.shape[:2], -1) / self.long_scale
        forces -= self.plan.vjp(None, self.multiplier, bar, wrt=("points",)).points

    def _tangent_features(self, direction: np.ndarray) -> np.ndarray:
        return self.plan.jvp(None, self.multiplier, dpoints=direction) / self.long_scale

    def _join_tangent(self, described: np.ndarray, long, kept: dict) -> np.ndarray:
        tangents = long.reshape(-1, len(self._lam))
        read, kept["post tangents"] = self.post.jvp(self.parameters, kept["post"], tangents, kept["space"])
        return np.concatenate([described, read], axis=1)

    def _dual_long(self, kept: dict, bars: list[np.ndarray], gradient: Parameters) -> tuple | None:
        return self.post.vjp_dual(
            self.parameters, kept["post"], kept["post tangents"], bars[0], bars[1], gradient, inputs_too=True
        )

    def _add_long_gradient(self, gradient: Parameters, direction: np.ndarray, cotangents: list) -> None:
        shape = (*direction.shape[:2], len(self._lam))
        bar, dbar = (np.concatenate([c[i] for c in cotangents]).reshape(shape) / self.long_scale for i in (0, 1))
        tangent = self.plan.parameters_jvp(None, self.multiplier, dbar, dpoints=direction, dcotangent=bar)
        for name in ("beta", "lam"):
            gradient[name][...] += tangent[name]

    @classmethod
    def _made_from(cls, settings: dict, threads: int | None) -> Self:
        network = cls(settings["box"], **cls._options(settings), threads=threads)
        network.long_shift, network.long_scale = (
            np.asarray(settings[name], dtype=network.dtype) for name in ("long_shift", "long_scale")
        )
        shift, scale = network.long_shift, network.long_scale
        if {shift.shape, scale.shape} != {(len(network._lam),)} or not (np.isfinite(shift + scale) & (scale > 0)).all():
            raise ValueError(f"expected {len(network._lam)} finite shifts and positive scales of u")
        return network

    @classmethod
    def _options(cls, settings: dict) -> dict:
        modes = settings["modes"] if isinstance(settings["modes"], int) else tuple(settings["modes"])
        return super()._options(settings) | {"modes": modes, "lam": settings["lam"], "eps": settings["eps"]}

    def _settings(self) -> Iterator[tuple[str, object]]:
        yield from super()._settings()
        modes = int(self.modes) if np.ndim(self.modes) == 0 else [int(m) for m in self.modes]
        yield from (("modes", modes), ("lam", list(self._lam)), ("eps", self.eps))
        yield from (("long_shift", self.long_shift.tolist()), ("long_scale", self.long_scale.tolist()))
