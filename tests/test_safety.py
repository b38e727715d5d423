"""No access beyond an array, no race, no stale state: what a wrong number would not show."""

from __future__ import annotations

import copy
import gc
import mmap
import os
import pickle
import subprocess
import sys
from itertools import pairwise, product
from math import prod
from unittest.mock import Mock

import numpy as np
import pytest
from measures import relative

from lrc_numba import ChannelMatrix, Gaussian, InversePower, LRCPlan, Yukawa, direct, lrc_convolve
from lrc_numba.engine.grid.cache_layout import spread_out, unevenness
from lrc_numba.engine.grid.grid import Grid
from lrc_numba.engine.operator import Operator
from lrc_numba.engine.points import cpu_schedule as schedule
from lrc_numba.engine.points.indexing import START, STOP
from lrc_numba.engine.spreading.cpu import spread
from lrc_numba.engine.window.choose import MAX_WIDTH, Window
from lrc_numba.geometry.cell import Cell
from lrc_numba.machine import memory
from lrc_numba.machine.cpu import arrays
from lrc_numba.machine.cpu.compile import _uncollected
from lrc_numba.machine.cpu.lanes import vector_lanes


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("dim", [1, 2, 3])
def test_every_window_stays_inside_the_padding(dim, dtype, monkeypatch):
    """For every width: stores end inside the padded grid, tiles reach to the next ones only, scratch holds a tile."""
    for width in range(2, MAX_WIDTH + 1):
        fake = Window("kaiser_bessel", width, (1.0, 1.0), np.zeros((4, width)))
        monkeypatch.setattr("lrc_numba.engine.grid.grid.choose_window", lambda *_, window=fake: window)
        for modes in (1, 2, 3, 5, 9, 16, 31, 63):
            grid = Grid(Cell(1.0, dim), (modes,) * dim, 1e-6, "kaiser_bessel", np.dtype(dtype), 1000)
            reach = [*grid.support[:2], vector_lanes(width)]
            for axis in range(3):
                assert grid.nodes[axis] - 1 + reach[axis] <= grid.layout.padded[axis]
                assert min(grid.layout.tile[axis], grid.nodes[axis]) + reach[axis] - 1 <= grid.layout.block[axis]
            for axis in range(3 - dim, 3):
                assert grid.layout.tiles[axis] == 1 or reach[axis] - 1 <= grid.layout.tile[axis]
            # Rows are read and written by eights in the transforms.
            assert -(-grid.nodes[2] // 8) * 8 <= grid.layout.padded[2]


CROWDED = """
import numpy as np
from lrc_numba import Gaussian, LRCPlan
from lrc_numba.engine.spreading import cpu as spreading
generator = np.random.default_rng(0)
for dim, modes in ((1, 33), (2, 17), (3, 9)):
    points = generator.random((2, 12000, dim)) * np.array([0.05, 1.0, 0.4])[:dim]
    values = generator.standard_normal((2, 12000))
    plan = LRCPlan(1.0, modes, dim=dim, threads=2).set_points(points)
    gradient = plan.vjp(values, Gaussian(0.1), values)
    found = gradient.output, gradient.points, gradient.values, plan.jvp(values, Gaussian(0.1), points, values)
    print(*(float(np.linalg.norm(part)) for part in found))
print(sum(spreading.spread.stats.cache_hits.values()))
"""


def _run(code: str, tmp_path, **environment: str) -> str:
    """Standard output of a fresh process with a cache of its own."""
    variables = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)} | environment
    done = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_bounds_are_checked(tmp_path):
    """Numba's own bounds check finds nothing, with crowded tiles in every dimension; vectors it does not see."""
    assert len(_run(CROWDED, tmp_path, NUMBA_BOUNDSCHECK="1").splitlines()) == 4


SIMPLER = {"scalars": {"LRC_NUMBA_VECTORS": "0"}, "no fused": {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}}


@pytest.mark.parametrize("way", SIMPLER)
def test_on_simpler_processors(way, tmp_path):
    """Scalars instead of vectors, or nothing fused: the same numbers, and not what was compiled for this processor."""
    code = CROWDED.replace("((1, 33), (2, 17), (3, 9))", "((2, 17),)").replace("dim=dim", "dim=dim, eps=1e-8")
    simple, usual = (_run(code, tmp_path, **environment).split() for environment in (SIMPLER[way], {}))
    # Lanes are added up in another order; sums of some thousand terms.
    np.testing.assert_allclose([float(x) for x in simple[:-1]], [float(x) for x in usual[:-1]], rtol=1e-12)
    assert simple[-1] == usual[-1] == "0"  # found in the cache


def test_garbage_waits_while_a_kernel_is_compiled():
    """And is looked for again after, also where compiling fails."""
    assert gc.isenabled()
    assert not _uncollected(gc.isenabled)()
    assert gc.isenabled()
    with pytest.raises(ZeroDivisionError):
        _uncollected(divmod)(1, 0)
    assert gc.isenabled()
    assert spread.compile.__wrapped__.__self__ is spread


def test_switched_off_compilation_is_an_error():
    code = "import lrc_numba.engine.spreading.cpu"
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert "RuntimeError: lrc_numba has to be compiled, but NUMBA_DISABLE_JIT is set" in done.stderr


MIXED = {"seams": (schedule, "MANY_SLABS", 0), "parities": (schedule, "MANY_SHARES", 0)}


@pytest.mark.parametrize("way", MIXED)
@pytest.mark.parametrize(("dim", "modes"), [(1, 15001), (2, 161), (3, 41)])
def test_threads_change_nothing_on_many_tiles(dim, modes, way, monkeypatch):
    """Crowded tiles beside others, several snapshots, tiles in every dimension, both ways to share slabs out."""
    monkeypatch.setattr(arrays, "ONE_TILE", dict.fromkeys((1, 2, 3), 0))
    monkeypatch.setattr(*MIXED[way])
    monkeypatch.setattr("lrc_numba.engine.spreading.stage.SMALLEST_SHARE", 10)
    monkeypatch.setattr("lrc_numba.engine.points.stage.SMALLEST_SHARE", 10)
    for name in ("SMALLEST_CLEAR", "SMALLEST_MERGE"):
        monkeypatch.setattr(f"lrc_numba.engine.spreading.stage.{name}", 10)
    generator = np.random.default_rng(dim)
    # Three snapshots, so that parts of the counting sort begin inside one.
    points = generator.random((3, 9000, dim))
    points[:, :4000] = 0.45 + 0.02 * generator.standard_normal((3, 4000, dim))
    values = generator.standard_normal((3, 9000))
    results = []
    for threads in (1, 2, 3, 7):
        plan = LRCPlan(1.0, modes, dim=dim, eps=1e-4, threads=threads).set_points(points)
        assert prod(plan.grid.layout.tiles) > 1
        results.append((plan.convolve(values, Gaussian(0.05)), plan.vjp(values, Gaussian(0.05), values).points))
    for found in results[1:]:
        for one, other in zip(found, results[0], strict=True):
            np.testing.assert_array_equal(one, other)


def test_crowded_tiles_are_shared_out():
    """A cluster across several slabs: each thread gets about half of the points."""
    generator = np.random.default_rng(0)
    points = 0.5 + 0.1 * generator.standard_normal((200_000, 3))
    plan = LRCPlan(1.0, 41, eps=1e-3, dim=3, threads=2)
    operator = Operator(plan.grid, threads=2, spectral=False)
    sources = operator.sort("points", points, 1)
    split, bounds = sources.split, sources.share(operator.context, sources.split, 100)
    sizes = [int((split[lo:hi, STOP] - split[lo:hi, START]).sum()) for lo, hi in pairwise(bounds)]
    assert len(sizes) == 2
    assert max(sizes) <= 0.55 * sum(sizes)


@pytest.mark.parametrize(("batch", "count", "modes"), [(8, 20000, 33), (64, 4200, 15)])
def test_crowded_snapshots_do_not_race(batch, count, modes):
    """Crowded tiles of many snapshots, again and again on two threads: always the bits of one thread."""
    points = np.random.default_rng(0).random((batch, count, 1))
    plans = [LRCPlan(1.0, modes, dim=1, threads=threads).set_points(points) for threads in (1, 2)]
    wanted = plans[0].convolve(None, Gaussian(0.1))
    for _ in range(60):
        np.testing.assert_array_equal(plans[1].convolve(None, Gaussian(0.1)), wanted)


@pytest.mark.parametrize("far", [1e17, 1e19, -1e300])
def test_points_without_a_place_are_refused(far):
    """A coordinate so large that its place in the cell is lost raises; the plan goes on with the points it had."""
    plan = LRCPlan(1.0, 15, dim=2).set_points(np.full((4, 2), 0.3))
    before = plan.convolve(None, Gaussian(0.1))
    with pytest.raises(ValueError, match="points: expected coordinates below"):
        plan.set_points(np.array([[far, 0.3]] * 4))
    np.testing.assert_array_equal(plan.convolve(None, Gaussian(0.1)), before)


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_neutral_charges_keep_eps(dim):
    """Charges that cancel and a kernel that is largest at k = 0: eps still holds against the norm of u itself."""
    modes, kernel = {1: 63, 2: 31, 3: 15}[dim], Yukawa(1.0, 0.3)
    for seed in range(5):
        points = np.random.default_rng(seed).random((100, dim))
        values = np.where(np.arange(100) % 2, 1.0, -1.0)
        wanted = direct.convolve(points, values, kernel, box=1.0, modes=modes)
        for eps in (1e-2, 1e-5, 1e-9):
            assert relative(lrc_convolve(points, values, kernel, box=1.0, modes=modes, eps=eps), wanted) <= eps


def test_float32_volumes():
    """1/V may be out of the range of float32 as long as φ̂/V is not; where it is, an error and no NaN."""
    points, ones = np.random.default_rng(0).random((20, 3)).astype(np.float32), np.ones(20, dtype=np.float32)
    scaled = (points * np.float32(1e15)).astype(np.float32)
    option = {"modes": 5, "eps": 1e-4}
    small = lrc_convolve(points, ones, Yukawa(1.0, 1.0), box=1.0, **option)
    large = lrc_convolve(scaled, ones, Yukawa(1e15, 1e-15), box=1e15, **option)
    # φ scales as the inverse length times β; coordinates are rounded once more by the scaling.
    assert relative(large, small) <= 1e-3
    with pytest.raises(ValueError, match=r"multiplier: .*too large for float32"):
        lrc_convolve(points, ones, Yukawa(1e39, 1.0), box=1.0, **option)


@pytest.mark.parametrize(("dim", "modes"), [(2, 15), (3, 31)])
def test_a_plan_is_fixed(dim, modes):
    """Its choices cannot be assigned to; copies do not share its workspace, nor take it along."""
    points = np.random.default_rng(0).random((30, dim))
    plan = LRCPlan(1.0, modes, dim=dim).set_points(points)
    wanted = plan.convolve(None, Gaussian(0.1))
    with pytest.raises(AttributeError, match="eps: a plan is fixed"):
        plan.eps = 1e-3
    plan.vjp(None, Gaussian(0.1), np.ones(30))
    # A workspace for f and g side by side, the largest that was needed; the multiplier's table comes with the plan.
    assert len(pickle.dumps(plan)) < plan.grid.memory(30, 1, 2) + 10**6 * (dim == 2)
    for other in (copy.copy(plan), copy.deepcopy(plan), pickle.loads(pickle.dumps(plan))):
        np.testing.assert_array_equal(other.convolve(None, Gaussian(0.1)), wanted)
        other.set_points(points[::-1] * 0.5)
        np.testing.assert_array_equal(plan.convolve(None, Gaussian(0.1)), wanted)


def test_a_changed_multiplier_is_noticed():
    """Also where what changed is not a parameter."""
    points = np.random.default_rng(0).random((30, 3))
    plan, kernel = LRCPlan(1.0, 9, dim=3).set_points(points), InversePower(1.0, 0.1)
    plan.convolve(None, kernel)
    kernel.exponent = 0.5
    found = plan.convolve(None, kernel)
    np.testing.assert_array_equal(found, plan.convolve(None, InversePower(0.5, 0.1)))


@pytest.mark.parametrize("count", [None, 7])
@pytest.mark.parametrize(("modes", "gradient"), [(15, "exact"), (15, "spectral"), (201, "exact")])
def test_only_what_is_wanted_is_computed(count, modes, gradient):
    """``wrt`` may be one name; the others are None, and those asked for do not change, nor does u."""
    generator, kernel = np.random.default_rng(0), ChannelMatrix(np.arange(6.0).reshape(3, 2), Gaussian(0.1))
    points, values = generator.random((30, 2)), generator.standard_normal((30, 2))
    targets = None if count is None else generator.random((count, 2))
    plan = LRCPlan(1.0, modes, dim=2, gradient=gradient).set_points(points, targets)
    assert (prod(plan.grid.tiles) == 1) == (modes == 15)  # points on one tile are not sorted
    cotangent, exclude = generator.standard_normal((count or 30, 3)), {"exclude_self": count is None}
    everything = plan.vjp(values, kernel, cotangent, **exclude)
    assert relative(plan.vjp(values, kernel, cotangent, wrt=(), **exclude).output, everything.output) <= 1e-14
    for name in ("points", "values", "parameters"):
        one = plan.vjp(values, kernel, cotangent, wrt=name, **exclude)
        given = {key for key in ("points", "values", "parameters") if getattr(one, key) is not None}
        assert given == {name}
        assert relative(one.output, everything.output) <= 1e-14
        for key, found in one.parameters.items() if name == "parameters" else [(None, getattr(one, name))]:
            wanted = getattr(everything, name) if key is None else everything.parameters[key]
            assert relative(found, wanted) <= 1e-14


@pytest.mark.parametrize(("dim", "modes"), [(1, 15), (2, 201)])
def test_results_are_the_users(dim, modes):
    """No later call changes a result, whether points are sorted (here in 2-D) or not."""
    points, values = np.random.default_rng(0).random((50, dim)), np.random.default_rng(1).random((2, 50))
    plan, kernel = LRCPlan(1.0, modes, dim=dim).set_points(points), Gaussian(0.1)
    assert (prod(plan.grid.tiles) == 1) == (dim == 1)

    def everything(f: np.ndarray) -> list[np.ndarray]:
        """All results of one plan for some values."""
        gradient, less = plan.vjp(f, kernel, f), plan.vjp(f, kernel, f, wrt="points")
        found = [gradient.output, gradient.points, gradient.values, less.output, less.points]
        return [*found, plan.convolve(f, kernel), plan.jvp(f, kernel, points, f)]

    first = everything(values[0])
    kept = [array.copy() for array in first]
    others = everything(values[1])
    for one, same, other in zip(first, kept, others, strict=True):
        np.testing.assert_array_equal(one, same)
        assert not np.shares_memory(one, other)
        assert not np.shares_memory(one, values)


def test_memory_is_asked_for_before_a_refusal(monkeypatch):
    """What was free a moment ago lets a small need pass, but refuses none, nor lets a large one pass."""
    asked, clock = [], [0.0]

    def free() -> int:
        asked.append(clock[0])
        return 2**34

    monkeypatch.setattr(memory.time, "monotonic", lambda: clock[0])
    for now, needed, count in ((0.0, 2**25, 1), (0.01, 2**25, 1), (0.02, 2**33, 2), (0.03, 2**20, 2), (9.0, 2**25, 3)):
        clock[0] = now
        memory.check_memory("points", "these", needed, free)
        assert len(asked) == count
    with pytest.raises(MemoryError, match="points: these needs about 64 GiB, and 16 GiB are free"):
        memory.check_memory("points", "these", 2**36, free)
    assert len(asked) == 4


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("gradient", ["exact", "spectral"])
@pytest.mark.parametrize("apart", [True, False])
@pytest.mark.parametrize(("dim", "modes", "batch"), [(2, 201, 1), (2, (300, 260), 3), (3, 41, 2), (3, (21, 60, 30), 1)])
def test_rows_without_points_are_left_out(dim, modes, batch, apart, gradient, dtype):
    """Points in one corner, across the edges of the cell: whatever is in the rows that they do not reach, and with all
    rows taken to be reached, there are the same bits."""
    generator, kernel = np.random.default_rng(dim), Gaussian(0.1)
    points, targets = (0.02 * generator.standard_normal((batch, n, dim)) + at for n, at in ((50, 0.99), (30, 0.4)))
    points[-1] += 0.5  # snapshots reach other rows
    points, targets, values = (some.astype(dtype) for some in (points, targets, generator.random((batch, 50, 2))))
    tangents = [generator.random(some.shape).astype(dtype) for some in (points, targets)]
    cotangent = generator.random((*(targets if apart else points).shape[:2], 2)).astype(dtype)

    def everything(plan: LRCPlan) -> list[np.ndarray]:
        plan.set_points(points, targets if apart else None)
        if plan.threads == 1:
            for found in (plan._sources, plan._targets):
                found.reached.fill(True)
        else:
            assert 0 < plan._sources.reached.mean() < 0.6
            for name, room in plan._operator.space._arrays.items():
                if room.dtype.kind in "fc" and "coordinates" not in name:
                    room.fill(np.nan)
        back = plan.vjp(values, kernel, cotangent)
        moved = plan.jvp(values, kernel, tangents[0], values, dtargets=tangents[1] if apart else None)
        return [back.output, back.points, back.values, moved, *([back.targets] if apart else [])]

    plans = [LRCPlan(1.0, modes, eps=1e-3, dim=dim, dtype=dtype, threads=n, gradient=gradient) for n in (1, 2)]
    for plan in plans:
        everything(plan)  # the workspace is as large as it gets
    for one, other in zip(*(everything(plan) for plan in plans), strict=True):
        assert np.isfinite(one).all()
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("threads", [1, 2])
def test_no_snapshots(dim, threads):
    """Nothing comes of nothing, and no error."""
    plan = LRCPlan(1.0, 21, threads=threads).set_points(np.zeros((0, 5, dim)))
    values = np.zeros((0, 5))
    assert plan.convolve(values, Gaussian(0.1)).shape == (0, 5)
    assert plan.vjp(values, Gaussian(0.1), values).points.shape == (0, 5, dim)


def _loads(plane, row, width, length):
    """How many lines of each set of a cache hold what is under a window, over all places where one may begin."""
    loads = [0] * 64
    for start, a, b in product(range(0, 64, 8), range(width), range(width)):
        begin = start + a * plane + b * row
        for line in {byte // 64 for byte in range(begin, begin + length)}:
            loads[line % 64] += 1
    return loads


@pytest.mark.parametrize("sizes", [(40960, 640, 5, 64), (43520, 640, 5, 64), (67584, 768, 7, 64), (58240, 832, 11, 96)])
def test_unevenness_is_that_of_lines_counted_one_by_one(sizes):
    loads = np.array(_loads(*sizes))
    assert unevenness(*sizes, 64) == pytest.approx((loads**2).mean() / loads.mean() ** 2 - 1)


@pytest.mark.parametrize(("rows", "last", "width"), [(64, 80, 5), (95, 112, 6), (86, 96, 7), (87, 96, 8)])
def test_what_lies_under_a_window_goes_to_all_sets_of_a_cache(rows, last, width):
    """Planes of whole pages, as 64 rows of 80 numbers are, would send all of them to the same few."""
    more, longer = spread_out(rows, last, width, 64, 64, 8)
    assert rows <= more < rows + 5
    assert longer in (last, last + 8)
    chosen, least = (unevenness(8 * m * n, 8 * n, width, 64, 64) for m, n in ((more, longer), (rows, last)))
    assert chosen < 0.2 * least  # 0 to 0.15: so few lines are never quite even
    assert spread_out(rows, last, width, 64, 1, 8) == (rows, last)


def test_grids_are_padded_for_the_cache():
    grid = Grid(Cell(1.0, 3), (31,) * 3, 4.6e-3, "kaiser_bessel", np.dtype(np.float64), 100_000)
    second, last = grid.nodes[1] + grid.support[1] - 1, grid.layout.padded[2]
    width = grid.window.width
    chosen, least = (unevenness(8 * rows * last, 8 * last, width, 64, 64) for rows in (grid.layout.padded[1], second))
    assert chosen < 0.2 * least  # 0.13


def test_large_arrays_are_in_large_pages(monkeypatch):
    with pytest.raises((MemoryError, ValueError)):
        arrays.empty(1 << 60, np.float32)
    if not hasattr(mmap, "MADV_HUGEPAGE"):
        pytest.skip("this system has no large pages to ask for")
    asked = Mock()

    class Spy(mmap.mmap):
        def __new__(cls, *positional, **named):
            asked.flags = named["flags"]
            return super().__new__(cls, *positional, **named)

        def madvise(self, *arguments):
            asked(*arguments)

    monkeypatch.setattr(arrays.mmap, "mmap", Spy)
    large = arrays.empty(5 << 17, np.float64)
    large[:] = 1.0
    assert large.ctypes.data % (1 << 21) == 0
    assert asked.flags & mmap.MAP_PRIVATE
    assert asked.call_args.args[0] == mmap.MADV_HUGEPAGE
    assert asked.call_args.args[2] == 2 << 21
    asked.side_effect = OSError("no large pages")
    assert arrays.empty(5 << 17, np.float64).shape == (5 << 17,)
    assert asked.call_count == 2
