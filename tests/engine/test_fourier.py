"""The transforms of our own against NumPy's, for every shape of grid they may meet."""

from __future__ import annotations

import numpy as np
import pytest
from measures import MACHINE, relative

from lrc_numba import LRCPlan
from lrc_numba.engine import fourier
from lrc_numba.engine.context import Context
from lrc_numba.engine.fourier.fft import passes
from lrc_numba.engine.grid import embed
from lrc_numba.engine.grid.sizes import LONGEST_LINE
from lrc_numba.geometry.modes import mode_numbers
from lrc_numba.machine.cpu import parallel
from lrc_numba.machine.workspace import Workspace

SHAPES = [
    (1, (1,)),
    (1, (2,)),
    (1, (7,)),
    (1, (10,)),
    (1, (501,)),
    (1, (4001,)),
    (2, (63, 63)),
    (2, (3, 50)),
    (2, (21, 16)),
    (3, (1, 1, 1)),
    (3, (11, 8, 9)),
    (3, (31, 20, 47)),
    (3, (40, 2, 30)),
]


def _plan(dim: int, modes: tuple[int, ...], dtype) -> LRCPlan:
    return LRCPlan(np.ones(dim), modes, eps=1e-3, dtype=dtype)


def _everywhere(grids: np.ndarray) -> np.ndarray:
    """All rows matter."""
    return np.ones((grids.shape[0], *grids.shape[2:4]), dtype=bool)


def _inside(grid, shape: tuple[int, ...]) -> np.ndarray:
    """Rows that are not padding."""
    inside = np.zeros(shape[:4], dtype=bool)
    inside[..., : grid.nodes[0], : grid.nodes[1]] = True
    return inside


def _folded(grid, values: np.ndarray) -> np.ndarray:
    """Nodes with the padding of the last axis, as far as windows reach, added where it belongs."""
    last = grid.nodes[2]
    folded = values[..., :last].astype(float)
    for node in range(last, last + grid.support[2] - 1 if grid.folds_rows else last):
        folded[..., node % last] += values[..., node]
    return folded[..., : grid.nodes[0], : grid.nodes[1], :]


def _indices(modes: tuple[int, ...]) -> tuple[np.ndarray, ...]:
    """Where the kept modes stand in NumPy's ``rfftn``."""
    return np.ix_(*[mode_numbers(m, half=a == len(modes) - 1) for a, m in enumerate(modes)])


@pytest.mark.parametrize("dtype", [pytest.param(np.float32, marks=pytest.mark.slow), np.float64])
@pytest.mark.parametrize(("dim", "modes"), SHAPES)
def test_against_numpy(dim, modes, dtype):
    """Kept modes are those of ``rfftn``, and back, padding with them, with any number of threads to the last bit."""
    grid = _plan(dim, modes, dtype).grid
    generator = np.random.default_rng(dim)
    values = generator.standard_normal((2, 3, *grid.layout.padded)).astype(dtype)
    first, second, last = grid.nodes
    inside = (..., slice(first), slice(second), slice(last))
    # log₂ of the number of nodes butterflies, each with a rounding or two.
    bound = 8 * float(np.finfo(dtype).eps) * np.log2(8 * first * second * last)
    full = np.fft.rfftn(_folded(grid, values).reshape(2, 3, *grid.n), axes=range(-dim, 0))
    wanted = full[(..., *_indices(modes))].reshape(2, 3, *embed(grid.mode_set.shape, 1))
    found, again = [], []
    for threads in (1, 2, 5):
        context = Context(grid, threads, Workspace())
        out = fourier.analyse(context, values.copy(), _everywhere(values), 3)
        back = np.zeros_like(values)
        fourier.synthesise(context, out, _everywhere(back), back)
        found.append(out)
        again.append(back[inside].copy())
        rows = back[:, :, :first, :second]
        for node in range(last, last + grid.tables.polynomials.shape[1] - 1 if grid.folds_rows else last):
            np.testing.assert_array_equal(rows[..., node], rows[..., node % last])
    assert relative(found[0], wanted) <= bound
    wide = np.zeros_like(full)
    wide[(..., *_indices(modes))] = wanted.reshape(2, 3, *grid.mode_set.shape)
    expected = np.fft.irfftn(wide, s=grid.n, axes=range(-dim, 0), norm="forward").reshape(again[0].shape)
    assert relative(again[0], expected) <= bound
    for out, back in zip(found[1:], again[1:], strict=True):
        np.testing.assert_array_equal(out, found[0])
        np.testing.assert_array_equal(back, again[0])


@pytest.mark.parametrize(("dim", "modes"), [(2, (75, 21)), (3, (30, 21, 9))])
def test_rows_are_left_out(dim, modes, monkeypatch):
    """What is not reached is neither read nor written: zeros there, and whatever is there, make the same bits."""
    monkeypatch.setattr(parallel, "WORTH_A_THREAD", 1)
    plan = _plan(dim, modes, np.float64)
    grid = plan.grid
    generator = np.random.default_rng(dim)
    values = generator.standard_normal((2, 3, *grid.layout.padded))
    reached = np.zeros((2, *grid.layout.padded[:2]), dtype=bool)
    reached[0, -3 % grid.nodes[0] :, 16:32] = True
    reached[1, : grid.nodes[0] // 2, : min(16, grid.nodes[1])] = True
    reached[1, 0, (grid.nodes[1] - 1) // 16 * 16 : grid.nodes[1]] = True  # the last ones, maybe fewer
    there = np.broadcast_to(reached[:, None], values.shape[:4])
    zeros, junk = (np.where(there[..., None], values, other) for other in (0.0, np.nan))
    context = Context(grid, 1, Workspace())
    wanted = fourier.analyse(context, zeros, _everywhere(zeros), 3)
    full = fourier.synthesise(context, wanted, _everywhere(zeros), np.zeros_like(values))
    inside = there & _inside(grid, values.shape)
    assert grid.nodes[1] % 16
    for threads in (1, 2, 5, 200):  # the last, rows and columns apart
        space = Workspace()
        for name in ("rows", "planes"):
            space.take(name, (10 * values.size,), np.dtype(complex)).fill(np.nan)
        context = Context(grid, threads, space)
        found = fourier.analyse(context, junk, reached, 3)
        np.testing.assert_array_equal(found, wanted)
        back = fourier.synthesise(context, found, reached, np.full_like(values, np.nan))
        np.testing.assert_array_equal(back[inside][:, : grid.n[-1]], full[inside][:, : grid.n[-1]])
        assert np.isnan(back[~inside]).all()


@pytest.mark.parametrize("modes", [31, 2999])
@pytest.mark.parametrize("dtype", [pytest.param(np.float32, marks=pytest.mark.slow), np.float64])
def test_lines_are_shared_out_and_stand_alone(modes, dtype, monkeypatch):
    """A line among 25, whoever does them, and alone: the same bits, there and back."""
    grid = LRCPlan(1.0, modes, eps=1e-3, dim=1, dtype=dtype).set_points(np.zeros((1, 1), dtype)).grid
    assert grid.n[0] <= LONGEST_LINE
    monkeypatch.setattr(parallel, "WORTH_A_THREAD", 1)
    values = np.random.default_rng(0).standard_normal((5, 5, *grid.layout.padded)).astype(dtype)

    def there_and_back(some: np.ndarray, threads: int) -> tuple[np.ndarray, np.ndarray]:
        context = Context(grid, threads, Workspace())
        out = fourier.analyse(context, some, _everywhere(some), some.shape[1])
        back = fourier.synthesise(context, out, _everywhere(some), np.zeros_like(some))
        return out, back[..., : grid.n[0]]

    wanted = there_and_back(values, 1)
    alone = there_and_back(values[4:, 3:4].copy(), 1)
    for one, two, other in zip(wanted, there_and_back(values, 4), alone, strict=True):
        np.testing.assert_array_equal(two, one)
        np.testing.assert_array_equal(other, one[4:, 3:4])


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 6, 8, 30, 36, 100, 128, 135, 250])
def test_eight_transforms(length):
    """``passes.transform`` is the discrete Fourier transform of eight signals, forwards and backwards."""
    generator = np.random.default_rng(length)
    signals = generator.standard_normal((8, length)) + 1j * generator.standard_normal((8, length))
    radices, twiddles = passes.plan(length, np.dtype(float))
    for sign, wanted in ((1.0, np.fft.fft(signals)), (-1.0, np.fft.ifft(signals, norm="forward"))):
        work = np.zeros((2, 16 * length))
        work[0].reshape(length, 2, 8)[:] = np.stack([signals.real.T, signals.imag.T], axis=1)
        result = work[passes.transform(work, length, radices, twiddles, sign)].reshape(length, 2, 8)
        found = (result[:, 0] + 1j * result[:, 1]).T
        assert relative(found, wanted) <= 8 * MACHINE * np.log2(2 * length)


def test_other_lengths_are_refused():
    """A prime above 5 is not for these transforms."""
    with pytest.raises(ValueError, match="length: expected a product of 2, 3 and 5, got 14"):
        passes.plan(14, np.dtype(float))
