"""Two channels side by side on the grid, and a multiplier between the transforms: the same numbers as without."""

import numpy as np
import pytest
from measures import MACHINE, relative
from prepared import sorted_points

from lrc_numba import ChannelMatrix, LRCPlan, Table, Yukawa
from lrc_numba.engine import deconvolution, fourier, interpolation
from lrc_numba.engine.context import Context
from lrc_numba.engine.deconvolution import ModeProduct, MultiplierTable
from lrc_numba.engine.grid import Grid
from lrc_numba.engine.points import SortedPoints
from lrc_numba.engine.points import stage as sorting
from lrc_numba.engine.spreading import stage as spreading
from lrc_numba.machine.cpu import parallel
from lrc_numba.machine.cpu.lanes import SIDE
from lrc_numba.machine.workspace import Workspace

# Windows of 3 to 16 nodes; grids of one tile and of several; lengths that are, and are not, a multiple of SIDE.
PROBLEMS = [
    (2, 100, 1e-3),
    (3, 22, 1e-6),
    *(
        pytest.param(*problem, marks=pytest.mark.slow)
        for problem in [(2, 21, 3e-1), (2, 40, 1e-8), (3, 9, 1e-1), (3, 21, 1e-3), (3, 25, 1e-11)]
    ),
]


def _points(dim: int, batch: int) -> np.ndarray:
    """Of which many share a tile."""
    points = np.random.default_rng(dim).random((batch, 5000, dim))
    points[:, 1000:] *= 0.2
    return points


def _plan(dim: int, modes: int, eps: float, batch: int = 2) -> LRCPlan:
    """With these points."""
    return LRCPlan(1.0, modes, eps=eps, dim=dim, threads=1).set_points(_points(dim, batch))


def _sorted(dim: int, modes: int, eps: float, batch: int = 2) -> tuple[Grid, SortedPoints]:
    """The grid of such a plan, and its points."""
    grid = _plan(dim, modes, eps, batch).grid
    return grid, sorted_points(grid, _points(dim, batch))


def _in_pairs(grids: np.ndarray) -> np.ndarray:
    """(B, C, ·, ·, n) as (B, C/2, ·, ·, 2n), ``SIDE`` nodes of each channel in turn."""
    batch, channels, *planes, last = grids.shape
    parts = grids.reshape(batch, channels // 2, 2, *planes, last // SIDE, SIDE)
    return np.ascontiguousarray(np.moveaxis(parts, 2, 5)).reshape(batch, channels // 2, *planes, 2 * last)


@pytest.mark.slow
@pytest.mark.parametrize(("dim", "modes", "eps"), PROBLEMS)
@pytest.mark.parametrize("channels", [2, 4])
def test_spreading_in_pairs(dim, modes, eps, channels, monkeypatch):
    """To the last bit, on any number of threads, with whole and split tiles; padding is folded in."""
    for name in ("SMALLEST_SHARE", "LARGEST_CHUNK"):
        monkeypatch.setattr(sorting, name, 400)
    monkeypatch.setattr(spreading, "SMALLEST_SHARE", 400)
    grid, points = _sorted(dim, modes, eps)
    points.crowded = False
    context = Context(grid, 1, Workspace())
    values = points.gather(context, np.random.default_rng(1).standard_normal((points.count, channels)))
    apart = spreading.spread(context, points, values, np.zeros((2, channels, *grid.layout.padded)))
    inside = (slice(None), slice(None), slice(grid.nodes[0]), slice(grid.nodes[1]))
    wanted = apart[inside][..., : grid.n[-1]]
    assert grid.interleave(channels, reading=False) == 2
    for threads in (1, 3):
        shape = (2, channels // 2, *grid.layout.padded[:2], 2 * grid.layout.padded[2])
        found = spreading.spread(Context(grid, threads, Workspace()), points, values, np.zeros(shape))
        there = points.reached[:, None, : grid.nodes[0], : grid.nodes[1], None]
        padded = _in_pairs(
            np.where(there, np.pad(wanted, [(0, 0)] * 4 + [(0, grid.layout.padded[2] - grid.n[-1])]), 0.0)
        )
        nodes = _in_pairs(
            np.broadcast_to(np.arange(grid.layout.padded[2]) < grid.n[-1], (2, 2, 1, 1, grid.layout.padded[2]))
        )
        np.testing.assert_array_equal(np.where(nodes[:, :1] & there, found[inside], 0.0), padded)


@pytest.mark.slow
@pytest.mark.parametrize(("dim", "modes", "eps"), PROBLEMS)
def test_reading_in_pairs(dim, modes, eps):
    """Values and gradients, to rounding: they are added up in another order."""
    grid, points = _sorted(dim, modes, eps)
    context, generator = Context(grid, 1, Workspace()), np.random.default_rng(2)
    apart = generator.standard_normal((2, 4, *grid.layout.padded))
    weights = generator.standard_normal((points.count, 4))
    together = _in_pairs(apart)
    interpolation.fill(context, points, apart)
    interpolation.fill(context, points, together)
    wanted = interpolation.interpolate(context, points, apart).copy()
    assert relative(interpolation.interpolate(context, points, together), wanted) <= 8 * MACHINE
    for kept in (1, 2, 3, 4):
        results = [interpolation.interpolate_vjp(context, points, a, weights, 1, kept) for a in (apart, together)]
        for one, other in zip(*results, strict=True):
            assert relative(other, one) <= 32 * MACHINE
        assert relative(results[1][0], wanted[:, :kept]) <= 8 * MACHINE


@pytest.mark.slow
@pytest.mark.parametrize("eps", [1e-3, pytest.param(1e-9, marks=pytest.mark.slow)])
@pytest.mark.parametrize("dim", [2, 3])
def test_derivatives_in_pairs(dim, eps, monkeypatch):
    """A gradient, and a convolution of four channels, with pairs wherever they may be and with none at all."""
    found = []
    for most in (1, 2):
        monkeypatch.setattr(
            Grid, "interleave", lambda grid, channels, *, reading, most=most: 1 if channels % 2 else most
        )
        plan = _plan(dim, 20, eps)
        values, cotangent = np.random.default_rng(3).standard_normal((2, 2, 5000, 4))
        matrix = ChannelMatrix(np.random.default_rng(4).standard_normal((4, 4)), Yukawa(1.0, 2.0))
        gradient = plan.vjp(values, matrix, cotangent, wrt=("points", "values"))
        single = plan.vjp(values[..., 0], Yukawa(1.0, 2.0), cotangent[..., 0])
        parts = [(g.output, g.points, g.values) for g in (gradient, single)]
        found.append([plan.convolve(values, matrix), *parts[0], *parts[1]])
    for one, other in zip(*found, strict=True):
        assert relative(other, one) <= 64 * MACHINE


def _tables(grid: Grid, kind: str) -> MultiplierTable:
    """Real for every channel alike; or a full matrix of complex numbers, three channels to two."""
    generator = np.random.default_rng(5)
    if kind == "real":
        return MultiplierTable(Yukawa(1.0, 2.0), grid)
    numbers = generator.standard_normal((2, 2, 3, grid.mode_set.size))
    numbers = (numbers[0] + 1j * numbers[1]).reshape(2, 3, *grid.mode_set.shape)
    return MultiplierTable(Table(numbers, grid.dim), grid)


@pytest.mark.parametrize("kind", ["real", "complex"])
@pytest.mark.parametrize("modes", [(21, 20, 9), (7, 30, 31), (40, 11, 16)])
@pytest.mark.parametrize("dtype", [pytest.param(np.float32, marks=pytest.mark.slow), np.float64])
def test_a_multiplier_between_transforms(modes, kind, dtype, monkeypatch):
    """The bits of three steps, with planes that are left out, forwards and adjoint, on any number of threads."""
    monkeypatch.setattr(parallel, "WORTH_A_THREAD", 1)
    grid = LRCPlan([1.0, 1.3, 0.8], modes, eps=1e-3, dtype=dtype).grid
    table, generator = _tables(grid, kind), np.random.default_rng(6)
    between = 3 if kind == "real" else 2
    channels = 3 + between
    products = [
        ModeProduct(range(3), range(between)),
        ModeProduct(range(3, channels), range(between, channels), adjoint=True),
    ]
    values = generator.standard_normal((2, channels, *grid.layout.padded)).astype(dtype)
    reached = np.ones((2, 2, *grid.layout.padded[:2]), dtype=bool)
    reached[0, 0, 3 : grid.nodes[0] - 2] = reached[1, 1, : grid.nodes[0] // 2] = False
    reached[:, :, grid.nodes[0] :] = False
    context = Context(grid, 1, Workspace())
    product = deconvolution.multiply(
        context, fourier.analyse(context, values.copy(), reached[0], channels), table, products
    )
    wanted = fourier.synthesise(context, product, reached[1], np.full_like(values, 7.0))
    for threads in (1, 2, 5, 100):
        found = np.full_like(values, 7.0)
        fourier.through(Context(grid, threads, Workspace()), values.copy(), tuple(reached), table, products, found)
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_channels_that_are_not_read(batch):
    """Two spread, one wanted: every snapshot has the planes of its own, though there are fewer channels than before."""
    grid, points = _sorted(3, 12, 1e-3, batch)
    context = Context(grid, 1, Workspace())
    values = np.random.default_rng(7).standard_normal((batch, 2, *grid.layout.padded))
    reached, table = (points.reached, points.reached), MultiplierTable(Yukawa(1.0, 2.0), grid)
    both, one = np.zeros_like(values), np.zeros_like(values[:, :1])
    products = [ModeProduct(range(c, c + 1), range(c, c + 1)) for c in (0, 1)]
    fourier.through(context, values.copy(), reached, table, products, both)
    fourier.through(context, values.copy(), reached, table, products[:1], one)
    np.testing.assert_array_equal(one, both[:, :1])


def test_nothing_but_the_output():
    """Where no gradient is wanted there is u, of every snapshot, and nothing else."""
    plan, (values, cotangent) = _plan(3, 12, 1e-3, 3), np.random.default_rng(8).standard_normal((2, 3, 5000))
    found = plan.vjp(values, Yukawa(1.0, 2.0), cotangent, wrt=())
    np.testing.assert_array_equal(found.output, plan.convolve(values, Yukawa(1.0, 2.0)))
    assert found.points is found.values is found.parameters is None
