"""Hypothesis strategies shared by all tests: cells, points, values and multipliers of every kind, small enough to sum.

Layouts and sizes are drawn by Hypothesis, the numbers themselves by NumPy from a drawn seed: that is fast, and a
failure still shrinks to the smallest layout. Every width of a window is compiled anew in every dimension, so the usual
problems have few of them; the wide ones, of which the tests are slow, have many.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lrc_numba import (
    ChannelMatrix,
    ExponentialKernel,
    Gaussian,
    InversePower,
    LRCPlan,
    Multiplier,
    Product,
    RadialSpline,
    Sum,
    SumOfGaussians,
    Table,
    Yukawa,
)
from lrc_numba.geometry.cell import Cell
from lrc_numba.geometry.modes import ModeSet

LAYOUTS = ("uniform", "clustered", "lattice", "edge", "outside")
SHAPES = ((), (2,), (2, 3))
# By the size of a problem, modes along the axes, odd and even, different per axis. The usual ones have windows of 8 and
# 10 nodes at eps = 1e-6. One mode (k = 0 alone) and two (no more than one) are in the list for one dimension.
MODES = {
    "usual": {1: ((7,), (12,)), 2: ((5, 8), (11, 7), (1, 11)), 3: ((5, 8, 7), (7, 7, 7))},
    "wide": {
        1: ((1,), (2,), (7,), (12,), (31,)),
        2: ((5, 8), (11, 7), (6, 6), (1, 11)),
        3: ((5, 8, 7), (6, 1, 5), (7, 7, 7)),
    },
    # The first is what is tried first, and is no mode k = 0 alone, which is not transformed.
    "small": {1: ((7,), (2,), (12,), (1,))},
}
FEW = 2  # examples where a kernel runs in the simulator of a GPU
SOME = 12  # examples of a property among usual problems; all that are asked for are tried among wide ones


@dataclass(frozen=True)
class Problem:
    """Everything a convolution needs.

    Attributes
    ----------
    box : float, (d,) or (d, d) array
        As a user would pass it.
    modes : tuple of int
        Per axis.
    points : (N, d) or (B, N, d) array
        Sources.
    values : (N,), (N, C), with B in front, or None
        f.
    multiplier : Multiplier
        φ̂.
    targets : (T, d) or (B, T, d) array or None
        Where u is wanted.
    exclude_self : bool
        Whether to leave out the image of i itself.
    """

    box: object
    modes: tuple[int, ...]
    points: np.ndarray
    values: np.ndarray | None
    multiplier: Multiplier
    targets: np.ndarray | None = None
    exclude_self: bool = False

    @property
    def dim(self) -> int:
        """d."""
        return self.points.shape[-1]

    @property
    def cell(self) -> Cell:
        """The box as a cell."""
        return Cell(self.box, self.dim)

    @property
    def mode_set(self) -> ModeSet:
        """The modes."""
        return ModeSet(self.cell, self.modes)

    @property
    def given(self) -> np.ndarray:
        """f, ones where there are none."""
        return np.ones(self.points.shape[:-1]) if self.values is None else self.values

    def plan(self, backend: str, eps: float = 1e-6, **options) -> LRCPlan:
        """A plan with the points set."""
        plan = LRCPlan(self.box, self.modes, eps=eps, backend=backend, dim=self.dim, **options)
        return plan.set_points(self.points, self.targets)

    def change(self, **changes) -> Problem:
        """The same problem with something replaced."""
        return replace(self, **changes)


def random_numbers(seed: int, *shape: int) -> np.ndarray:
    """Normal numbers from a seed."""
    return np.random.default_rng(seed).standard_normal(shape)


seeds = st.integers(0, 2**16)
dimensions = st.sampled_from((1, 2, 3))


@st.composite
def boxes(draw, dim: int):
    """A scalar, lengths, or a lattice (left- or right-handed) that is far from singular."""
    kind = draw(st.sampled_from(("scalar", "lengths", "lattice")))
    lengths = np.array([draw(st.sampled_from((0.7, 1.0, 1.9))) for _ in range(dim)])
    if kind == "scalar":
        return float(lengths[0])
    if kind == "lengths":
        return lengths
    skew = np.random.default_rng(draw(seeds)).uniform(-0.3, 0.3, (dim, dim))
    lattice = np.diag(lengths) + skew * lengths.min()
    return lattice[::-1].copy() if draw(st.booleans()) else lattice


def layout(kind: str, count: int, cell: Cell, generator: np.random.Generator) -> np.ndarray:
    """(count, d) points: ``uniform``, ``clustered`` in 1% of the box, ``lattice``, on the ``edge``, far ``outside``."""
    dim = cell.dim
    if kind == "lattice":
        per_axis = max(1, int(np.ceil(count ** (1 / dim))))
        axes = np.meshgrid(*[np.arange(per_axis) / per_axis] * dim, indexing="ij")
        return np.stack(axes, axis=-1).reshape(-1, dim)[:count] @ cell.matrix
    inside = generator.random((count, dim))
    if kind == "clustered":
        inside = 0.995 + 0.01 ** (1 / dim) * (inside - 0.5)
    elif kind == "edge":
        nearly = np.array([0.0, 1.0, -1.0, np.nextafter(1.0, 0.0), np.nextafter(0.0, -1.0), 1e-17, -1e-17])
        inside[:, generator.integers(dim)] = generator.choice(nearly, count)
    elif kind == "outside":
        inside += generator.integers(-1000, 1000, (count, dim))
    return inside @ cell.matrix


@st.composite
def multipliers(draw, dim: int, modes: tuple[int, ...], cell: Cell, shape: tuple[int, ...] | None = None):
    """A multiplier of any class with the channel shape asked for, its length scale a fraction of the box."""
    shape = draw(st.sampled_from(SHAPES)) if shape is None else shape
    generator = np.random.default_rng(draw(seeds))
    length = float(cell.heights.min())

    def positive(low=0.5, high=1.5):
        return generator.uniform(low, high, shape)

    scalar = {
        "yukawa": lambda: Yukawa(positive(), positive(3.0, 9.0) / length),
        "exponential": lambda: ExponentialKernel(positive(3.0, 9.0) / length, positive()),
        "gaussian": lambda: Gaussian(positive(0.03, 0.1) * length, positive()),
        "power": lambda: InversePower(dim / 3, positive(0.05, 0.1) * length, positive()),
        "spline": lambda: RadialSpline(generator.uniform(0.5, 1.5, (*shape, 6)), cutoff=60.0 / length),
        "table": lambda: _table(generator, shape, ModeSet(cell, modes), draw(st.booleans())),
        "sum": lambda: Sum(Yukawa(positive(), positive(3.0, 9.0) / length), Gaussian(0.05 * length)),
        "product": lambda: Product(Gaussian(0.03 * length), Yukawa(positive(), positive(3.0, 9.0) / length)),
    }
    if shape == ():
        scalar["gaussians"] = lambda: SumOfGaussians([1.0, 0.3], np.array([0.04, 0.1]) * length)
    if len(shape) == 2:
        scalar["matrix"] = lambda: ChannelMatrix(generator.standard_normal(shape), Gaussian(0.05 * length))
    return scalar[draw(st.sampled_from(sorted(scalar)))]()


def _table(generator: np.random.Generator, shape: tuple[int, ...], modes: ModeSet, is_complex: bool) -> Table:
    """Numbers that know nothing of a kernel, Hermitian where the plane n_d = 0 holds both k and −k."""
    values = generator.uniform(0.5, 1.5, (*shape, *modes.shape)) + 0j
    if is_complex:
        values = values + 1j * generator.uniform(-1, 1, values.shape)
    plane = values[..., 0]
    axes = tuple(range(plane.ndim - modes.dim + 1, plane.ndim))
    mirrored = np.roll(np.flip(plane, axes), 1, axes) if axes else plane
    values[..., 0] = (plane + mirrored.conj()) / 2
    return Table(values if is_complex else values.real, modes.dim)


@st.composite
def problems(
    draw,
    dim: int | None = None,
    shape: tuple[int, ...] | None = None,
    counts=(1, 2, 5, 17),
    batches: bool = True,
    with_targets: bool = True,
    layouts: tuple[str, ...] = LAYOUTS,
    plain_box: bool = False,
    size: str = "usual",
):
    """A problem of any kind; the arguments narrow it down. ``size`` is "usual", "wide" or "small", see ``MODES``."""
    if size == "small":
        dim = 1 if dim is None else dim  # of all dimensions there are other tests in the simulator
        counts = tuple(n for n in counts[::-1] if n < 6) or counts  # the first is what is tried first
    dim = draw(dimensions) if dim is None else dim
    box = 1.3 if plain_box else draw(boxes(dim))
    cell, modes = Cell(box, dim), draw(st.sampled_from(MODES[size][dim]))
    multiplier = draw(multipliers(dim, modes, cell, shape))
    count, kind = draw(st.sampled_from(counts)), draw(st.sampled_from(layouts))
    generator = np.random.default_rng(draw(seeds))
    snapshots = draw(st.sampled_from(((), (1,), (3,)))) if batches else ()

    def place(kind, number):
        blocks = [layout(kind, number, cell, generator) for _ in range(snapshots[0] if snapshots else 1)]
        return np.stack(blocks) if snapshots else blocks[0]

    points = place(kind, count)
    channels = multiplier.values(ModeSet(cell, modes)).shape[:-1]
    c_in = channels[1] if len(channels) == 2 else 1 if len(channels) == 1 else draw(st.sampled_from((1, 3)))
    wanted = [(*points.shape[:-1], c_in)] + ([points.shape[:-1]] if c_in == 1 else [])
    values = generator.standard_normal(draw(st.sampled_from(wanted)))
    targets = place("uniform", draw(st.sampled_from((1, 6)))) if with_targets and draw(st.booleans()) else None
    exclude = targets is None and draw(st.booleans())
    return Problem(box, modes, points, values, multiplier, targets, exclude)


def holds_for(
    examples: int = 20, wide: dict | None = None, drawn: dict | None = None, usual: dict | None = None, **narrow
) -> Callable:
    """A property of problems, tried on each back end with problems of a size that it can bear.

    The decorated function takes ``problem``, what else is ``drawn``, and ``backend``. It becomes a test of the usual
    problems and a slow one of wide ones; in the simulator of a GPU, of few and small ones.

    Parameters
    ----------
    examples : int
        How many wide problems are tried; of usual ones at most ``SOME``.
    wide : dict of str to strategy, optional
        What is drawn otherwise, where problems are wide.
    drawn : dict of str to strategy, optional
        What is drawn besides the problem.
    usual : dict, optional
        For ``problems`` besides ``narrow``, but for wide ones: where many kinds would take long to compile.
    **narrow
        For ``problems``.
    """

    def decorate(function: Callable) -> Callable:
        def tried(size: str, number: int) -> Callable:
            others = (drawn or {}) | (wide or {} if size == "wide" else {})
            kinds = narrow if size == "wide" else narrow | (usual or {})
            return settings(max_examples=number)(given(problem=problems(size=size, **kinds), **others)(function))

        tests = {
            "usual": tried("usual", min(examples, SOME)),
            "wide": tried("wide", examples),
            "small": tried("small", FEW),
        }

        @pytest.mark.property
        @pytest.mark.parametrize("size", ["usual", pytest.param("wide", marks=pytest.mark.slow)])
        def test(size, backend, simulated):
            tests["small" if simulated else size](backend=backend)

        test.__name__, test.__qualname__, test.__doc__ = function.__name__, function.__qualname__, function.__doc__
        test.__module__ = function.__module__
        return test

    return decorate
