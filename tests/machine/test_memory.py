"""Memory is asked for before a refusal, and large arrays are in large pages."""

from __future__ import annotations

import mmap
from unittest.mock import Mock

import numpy as np
import pytest

from lrc_numba.machine import memory
from lrc_numba.machine.cpu import arrays


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
