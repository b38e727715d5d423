"""The same convolution by three libraries: ours, FINUFFT and ducc0. Used by ``benchmark``.

The peers are used as a careful user would use them, so that what is measured is the libraries:

* complex copies of the values and coordinates in the peer's units exist before the clock starts, results stay complex;
* all arrays that a call returns are allocated beforehand;
* what happens between the transforms is compiled and runs on the same number of threads;
* FINUFFT's plans live on between calls and points; one plan does both directions (``execute_adjoint``), or one plan for
  each number of transforms at once, whichever is faster; ducc0 works through a plan or by plain calls, whichever is
  faster. ``VARIANTS`` names them, the benchmark tries them on each problem.

Operations, for real values f, g and a kernel with φ̂(k) = 4π/(k² + λ²) on a unit box:

    convolution   u = Σ_j f_j φ(x_i − x_j)                         1 type-1 and 1 type-2 transform
    gradient      u and g_i ∇u_i + f_i ∇v_i, v being the
                  convolution of g: what ``LRCPlan.vjp`` returns   2 type-1 and 1 + 2d type-2
    packed        the same; the peers transform f + ig at once,
                  and read ∇u and ∇v as real and imaginary parts   1 type-1 and 1 + d type-2
    channels      four values to four, with a dense 4 × 4 matrix   4 type-1 and 4 type-2

One trick is left to "packed": two real fields can share one complex transform, and halve the number of transforms of a
gradient, and as well of channels (not written out here).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numba import njit

from lrc_numba import ChannelMatrix, LRCPlan, Yukawa
from lrc_numba.machine.cpu import parallel

from .common import draw_points, relative_error

__all__ = ["LIBRARIES", "OPERATIONS", "VARIANTS", "Problem", "error", "open_library", "reference"]

OPERATIONS = ("convolution", "gradient", "packed", "channels")
LIBRARIES = ("lrc_numba", "finufft", "ducc0")
VARIANTS = {"lrc_numba": ("plan",), "finufft": ("one plan", "batched"), "ducc0": ("plan", "calls")}
BETA, LAMBDA, CHANNELS = 1.0, 2.0, 4
_COMPILE = {"nogil": True, "error_model": "numpy", "fastmath": True, "cache": True}


# ---------------------------------------------------------------------- what is asked
@dataclass(frozen=True)
class Problem:
    """Points and values, drawn from a seed that the other attributes decide.

    Attributes
    ----------
    operation : {"convolution", "gradient", "packed", "channels"}
        See the module.
    dim, count, modes : int
        Dimensions d, points N, modes per axis (odd).
    distribution : {"uniform", "clustered"}
        See ``common.draw_points``.
    """

    operation: str
    dim: int
    count: int
    modes: int
    distribution: str

    @cached_property
    def points(self) -> np.ndarray:
        """(N, d), in a unit box; clustered ones may stick out."""
        seed = [self.dim, self.count, self.modes, self.distribution == "clustered"]
        return draw_points(self.distribution, self.count, self.dim, 1.0, np.random.default_rng(seed))

    @cached_property
    def values(self) -> np.ndarray:
        """(C, N) standard normal numbers: f; f and g; or four channels."""
        rows = {"convolution": 1, "channels": CHANNELS}.get(self.operation, 2)
        return np.random.default_rng([self.count, rows]).standard_normal((rows, self.count))

    @property
    def has_gradient(self) -> bool:
        """Whether a gradient is wanted."""
        return self.operation in ("gradient", "packed")

    @cached_property
    def matrix(self) -> np.ndarray:
        """(4, 4), for channels."""
        return np.random.default_rng(4).standard_normal((CHANNELS, CHANNELS))

    @cached_property
    def wavevectors(self) -> np.ndarray:
        """(d, modes^d): k = 2πn, n from −K to K along every axis."""
        top = (self.modes - 1) // 2
        axes = np.meshgrid(*[2 * np.pi * np.arange(-top, top + 1.0)] * self.dim, indexing="ij")
        return np.stack([axis.ravel() for axis in axes])

    @cached_property
    def phi(self) -> np.ndarray:
        """(modes^d,): φ̂(k), written out here so that it does not depend on ours."""
        return 4 * np.pi * BETA / ((self.wavevectors**2).sum(axis=0) + LAMBDA**2)

    @property
    def transforms(self) -> tuple[int, int]:
        """How many type-1 and type-2 transforms the peers do."""
        n = len(self.values)
        return {"gradient": (2, 1 + 2 * self.dim), "packed": (1, 1 + self.dim)}.get(self.operation, (n, n))


def error(result: tuple[np.ndarray, ...], truth: tuple[np.ndarray, ...]) -> float:
    """The largest of the relative ℓ² errors of the parts of a result: of u, and of the gradient where there is one."""
    return max(relative_error(r, t) for r, t in zip(result, truth, strict=True))


# ---------------------------------------------------------------------- between the transforms
@njit(**_COMPILE)
def _scale(part, lo, hi, modes, phi, out):
    for c in range(out.shape[0]):
        for k in range(lo, hi):
            out[c, k] = phi[k] * modes[c, k]


@njit(**_COMPILE)
def _mix(part, lo, hi, modes, phi, matrix, out):
    for k in range(lo, hi):
        for o in range(out.shape[0]):
            total = 0j
            for i in range(modes.shape[0]):
                total += matrix[o, i] * modes[i, k]
            out[o, k] = phi[k] * total


@njit(**_COMPILE)
def _slopes(part, lo, hi, modes, phi, wavevectors, out):
    """φ̂F; then ik φ̂F for every row of ``modes``, axis by axis."""
    dim = len(wavevectors)
    for c in range(modes.shape[0]):
        for a in range(dim):
            for k in range(lo, hi):
                value = phi[k] * modes[c, k]
                out[1 + c * dim + a, k] = complex(-wavevectors[a, k] * value.imag, wavevectors[a, k] * value.real)
    for k in range(lo, hi):
        out[0, k] = phi[k] * modes[0, k]


@njit(**_COMPILE)
def _combine(part, lo, hi, fields, values, dim, packed, out):
    """g ∇u + f ∇v, (N, d)."""
    for i in range(lo, hi):
        for a in range(dim):
            if packed:
                out[i, a] = values[1, i] * fields[1 + a, i].real + values[0, i] * fields[1 + a, i].imag
            else:
                out[i, a] = values[1, i] * fields[1 + a, i].real + values[0, i] * fields[1 + dim + a, i].real


# ---------------------------------------------------------------------- the libraries
class Ours:
    """lrc_numba."""

    def __init__(self, problem: Problem, eps: float, threads: int, variant: str):
        self.problem = problem
        self.plan = LRCPlan(1.0, problem.modes, eps=eps, dim=problem.dim, threads=threads)
        self.kernel = Yukawa(BETA, LAMBDA)
        if problem.operation == "channels":
            self.kernel = ChannelMatrix(problem.matrix, self.kernel)
            self.values = np.ascontiguousarray(problem.values.T)

    def set_points(self) -> None:
        """Fold and sort."""
        self.plan.set_points(self.problem.points)

    def apply(self) -> tuple[np.ndarray, ...]:
        """u, and the gradient where it is wanted."""
        if self.problem.has_gradient:
            f, g = self.problem.values
            gradient = self.plan.vjp(f, self.kernel, g, wrt=("points",))
            return gradient.output, gradient.points
        if self.problem.operation == "channels":
            return (self.plan.convolve(self.values, self.kernel).T,)
        return (self.plan.convolve(self.problem.values[0], self.kernel),)


class Peer:
    """What the peers have in common: arrays, and what is done with modes and with results."""

    def __init__(self, problem: Problem, eps: float, threads: int, variant: str):
        self.problem, self.eps, self.threads, self.variant = problem, eps, threads, variant
        self.shape = (problem.modes,) * problem.dim
        n_in, n_out = problem.transforms
        values = problem.values[0] + 1j * problem.values[1] if problem.operation == "packed" else problem.values
        self.strengths = np.ascontiguousarray(np.reshape(values, (n_in, -1)).astype(np.complex128))
        self.modes = np.zeros((n_in, *self.shape), dtype=np.complex128)
        self.multiplied = np.zeros((n_out, *self.shape), dtype=np.complex128)
        self.fields = np.zeros((n_out, problem.count), dtype=np.complex128)
        self.slopes = np.zeros((problem.count, problem.dim))
        problem.phi, problem.wavevectors  # noqa: B018 computed now

    def multiply(self) -> None:
        """``modes`` to ``multiplied``."""
        p = self.problem
        modes, out = self.modes.reshape(len(self.modes), -1), self.multiplied.reshape(len(self.multiplied), -1)
        bounds = parallel.even(modes.shape[1], self.threads, 1 << 13)
        if p.has_gradient:
            parallel.run(_slopes, bounds, modes, p.phi, p.wavevectors, out)
        elif p.operation == "channels":
            parallel.run(_mix, bounds, modes, p.phi, p.matrix, out)
        else:
            parallel.run(_scale, bounds, modes, p.phi, out)

    def result(self) -> tuple[np.ndarray, ...]:
        """From ``fields``."""
        p = self.problem
        if not p.has_gradient:
            return (self.fields.real if p.operation == "channels" else self.fields[0].real,)
        bounds = parallel.even(p.count, self.threads, 1 << 13)
        parallel.run(_combine, bounds, self.fields, p.values, p.dim, p.operation == "packed", self.slopes)
        return self.fields[0].real, self.slopes

    def analyse(self) -> None:
        """``strengths`` to ``modes``."""
        raise NotImplementedError

    def synthesise(self) -> None:
        """``multiplied`` to ``fields``."""
        raise NotImplementedError

    def apply(self) -> tuple[np.ndarray, ...]:
        """u, and the gradient where it is wanted."""
        self.analyse()
        self.multiply()
        self.synthesise()
        return self.result()


class Finufft(Peer):
    """FINUFFT: "one plan" for a single transform in both directions, or "batched", several at once."""

    def __init__(self, problem: Problem, eps: float, threads: int, variant: str):
        import finufft

        super().__init__(problem, eps, threads, variant)
        angles = 2 * np.pi * problem.points
        angles -= 2 * np.pi * np.round(angles / (2 * np.pi))
        self.axes = [np.ascontiguousarray(angles[:, a]) for a in range(problem.dim)]
        n_in, n_out = problem.transforms
        batched = variant == "batched"
        options = {"eps": eps, "nthreads": threads}
        self.forward = finufft.Plan(1, self.shape, n_trans=n_in if batched else 1, isign=-1, **options)
        self.back = None
        if batched and (n_in != n_out or n_in == 1):
            self.back = finufft.Plan(2, self.shape, n_trans=n_out, isign=1, **options)

    def set_points(self) -> None:
        """Sort, for every plan."""
        self.forward.setpts(*self.axes)
        if self.back is not None:
            self.back.setpts(*self.axes)

    def _in_turn(self, transform, inputs: np.ndarray, outputs: np.ndarray) -> None:
        if self.variant == "batched" and len(inputs) > 1:
            transform(inputs, out=outputs)
            return
        for array, out in zip(inputs, outputs, strict=True):
            transform(array, out=out)

    def analyse(self) -> None:
        """Type 1."""
        self._in_turn(self.forward.execute, self.strengths, self.modes)

    def synthesise(self) -> None:
        """Type 2."""
        transform = self.forward.execute_adjoint if self.back is None else self.back.execute
        self._in_turn(transform, self.multiplied, self.fields)


class Ducc0(Peer):
    """ducc0: a "plan" for both directions, or plain "calls"."""

    def __init__(self, problem: Problem, eps: float, threads: int, variant: str):
        super().__init__(problem, eps, threads, variant)
        self.options = {"epsilon": eps, "nthreads": threads, "periodicity": 1.0}
        self.plan = None

    def set_points(self) -> None:
        """Make a plan."""
        from ducc0 import nufft

        if self.variant == "plan":
            points, more = self.problem.points, self.problem.has_gradient
            self.plan = nufft.plan(nu2u=not more, coord=points, grid_shape=self.shape, **self.options)

    def analyse(self) -> None:
        """Type 1."""
        from ducc0 import nufft

        if self.plan is not None:
            self.plan.nu2u(forward=True, points=self.strengths, out=self.modes)
        else:
            arrays = {"points": self.strengths, "coord": self.problem.points, "out": self.modes}
            nufft.nu2u(forward=True, **arrays, **self.options)

    def synthesise(self) -> None:
        """Type 2."""
        from ducc0 import nufft

        if self.plan is not None:
            self.plan.u2nu(forward=False, grid=self.multiplied, out=self.fields)
        else:
            arrays = {"grid": self.multiplied, "coord": self.problem.points, "out": self.fields}
            nufft.u2nu(forward=False, **arrays, **self.options)


def open_library(name: str, problem: Problem, eps: float, threads: int, variant: str | None = None) -> Ours | Peer:
    """Ready for ``set_points`` and ``apply``; a ValueError or RuntimeError where the library refuses eps.

    Parameters
    ----------
    name : {"lrc_numba", "finufft", "ducc0"}
        Which.
    problem : Problem
        What to compute.
    eps : float
        The library's own accuracy parameter.
    threads : int
        At most so many.
    variant : str, optional
        One of ``VARIANTS[name]``, the first by default.
    """
    kinds = {"lrc_numba": Ours, "finufft": Finufft, "ducc0": Ducc0}
    return kinds[name](problem, eps, threads, variant or VARIANTS[name][0])


def reference(problem: Problem, threads: int) -> tuple[np.ndarray, ...]:
    """The result by ducc0 at its tightest eps, of which rounding leaves about 1e-13."""
    from ducc0 import nufft

    eps = 1.05 * nufft.bestEpsilon(ndim=problem.dim, singleprec=False)
    exact = open_library("ducc0", problem, eps, threads)
    exact.set_points()
    return tuple(np.array(part) for part in exact.apply())
