"""Results belong to the user; their memory is used again when nobody holds them any longer."""

from threading import Thread

import numpy as np
import pytest

from lrc_numba import LRCPlan, Yukawa
from lrc_numba.machine.cpu import arrays

LARGE = arrays.HUGE // 8  # numbers


@pytest.fixture(autouse=True)
def _nothing_is_kept():
    arrays._returned.clear()


def _address(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]


def test_memory_is_used_again_and_not_before():
    """A view, a transpose, a buffer: whatever shares the memory keeps it."""
    first = arrays.result((LARGE, 2), np.float64)
    address = _address(first)
    assert first.flags.writeable
    assert first.flags.c_contiguous
    for keep in (lambda a: a[5:, 1], lambda a: a.T.reshape(2, -1)[0], memoryview, lambda a: a.view(np.int64)):
        held = keep(first)
        del first
        assert _address(arrays.result((LARGE, 2), np.float64)) != address
        arrays._returned.clear()
        del held
        first = arrays.result((LARGE, 2), np.float64)
        assert _address(first) == address


def test_other_sizes_have_memory_of_their_own():
    first = arrays.result((LARGE,), np.float64)
    address = _address(first)
    del first
    larger, small = arrays.result((LARGE + 1,), np.float64), arrays.result((LARGE - 1,), np.float64)
    assert _address(larger) != address
    assert small.base is None  # NumPy's own
    assert _address(arrays.result((2 * LARGE,), np.float32)) == address  # as many bytes


def test_little_is_kept():
    held = [arrays.result((LARGE,), np.float64) for _ in range(3 * arrays.RETURNED)]
    assert len({_address(array) for array in held}) == len(held)
    held.clear()
    assert len(arrays._returned) == arrays.RETURNED


@pytest.mark.parametrize("gradient", ["exact", "spectral"])
def test_results_stay_as_they_are(gradient):
    """What a plan returned is not touched by its later calls, as long as somebody holds it."""
    generator = np.random.default_rng(0)
    points, f, g = generator.random((LARGE, 1)), *generator.standard_normal((2, LARGE))
    plan = LRCPlan(1.0, 31, eps=1e-3, gradient=gradient).set_points(points)
    found, copies = [], []
    for i in range(4):
        u, slopes = plan.convolve(i * f, Yukawa(1.0, 2.0)), plan.vjp(i * f, Yukawa(1.0, 2.0), g)
        new = [u, slopes.output[3:], slopes.points[:, 0], slopes.values]
        found, copies = found[-4:] + new, copies[-4:] + [array.copy() for array in new]
        del u, slopes
        for array, copy in zip(found, copies, strict=True):
            np.testing.assert_array_equal(array, copy)


def test_threads_never_share():
    """Results that several threads take and drop."""
    wrong = []

    def _take(own: int) -> None:
        for i in range(200):
            array = arrays.result((LARGE,), np.float64)
            array[::4096] = value = 1000 * own + i
            other = arrays.result((LARGE,), np.float64)
            other[::4096] = -value
            wrong.extend(own for a, v in ((array, value), (other, -value)) if (a[::4096] != v).any())

    threads = [Thread(target=_take, args=(own,)) for own in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
