"""Where arrays live: in the memory of the process."""

from __future__ import annotations

import mmap
from collections import deque
from contextlib import suppress
from math import prod

import numpy as np
import numpy as xp
from scipy import fft

from ..memory import available_memory as host_memory

__all__ = [
    "asarray",
    "available_memory",
    "empty",
    "irfftn",
    "require",
    "result",
    "rfftn",
    "shape",
    "take",
    "to_host",
    "xp",
]

HUGE = 1 << 21  # bytes of a large page
LINE = 64  # bytes of a line of a cache
SETS = 64  # of the cache next to a core
ONE_TILE = {1: 1 << 18, 2: 1 << 17, 3: 1 << 17}  # bytes of a grid so small that sorting takes longer than it saves
ONE_TILE_OF_FEW = ONE_TILE | {3: 1 << 20}  # where there are few points: loops then are the same in every call
OWN_TRANSFORMS = True  # those of ``engine.fourier.fft``, where they can do the length
RETURNED = 4  # blocks of memory that are kept, as many as one call returns large arrays
_returned: deque[np.ndarray] = deque(maxlen=RETURNED)


def asarray(array: np.ndarray) -> np.ndarray:
    """A host array as one of the back end."""
    return array


def to_host(array: np.ndarray) -> np.ndarray:
    """An array of the back end as one of the host."""
    return array


def empty(size: int, dtype) -> np.ndarray:
    """Uninitialised numbers, in large pages where there are many of them and the system has such pages.

    Access to a grid is random, and a processor keeps the addresses of no more than some thousand pages. NumPy asks for
    large pages too, but only memory that begins at a multiple of their size is in one. Smaller arrays begin at a cache
    line.
    """
    length = size * np.dtype(dtype).itemsize
    if length >= HUGE and hasattr(mmap, "MADV_HUGEPAGE"):
        with suppress(OSError, OverflowError):  # NumPy says that there is no memory; a system may have no large pages
            memory = mmap.mmap(-1, length + HUGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
            start = -np.frombuffer(memory, dtype=np.uint8).ctypes.data % HUGE
            memory.madvise(mmap.MADV_HUGEPAGE, start, length // HUGE * HUGE)  # the rest in small ones, as it is needed
            return np.frombuffer(memory, dtype=dtype, count=size, offset=start)
    room = np.empty(length + LINE, dtype=np.uint8)
    return room[-room.ctypes.data % LINE :][:length].view(dtype)


class _Lent:
    """Memory lent to a result, which is kept for another one when the last array that shares it is gone."""

    def __init__(self, memory: np.ndarray) -> None:
        self.__array_interface__ = memory.__array_interface__
        self._memory = memory

    def __del__(self, returned=_returned) -> None:
        returned.append(self._memory)


def result(shape: tuple[int, ...], dtype) -> np.ndarray:
    """An uninitialised array that the user keeps.

    Fresh pages cost as much as the work done on them, and results are mostly released before the next ones of the same
    size are needed. So large ones reuse the memory of results that were released.

    Parameters
    ----------
    shape : tuple of int
        Its shape.
    dtype : dtype
        Of its numbers.
    """
    length = prod(shape) * np.dtype(dtype).itemsize
    if length < HUGE:
        return np.empty(shape, dtype=dtype)
    memory = None
    with suppress(IndexError):  # another thread may have taken it
        for _ in range(len(_returned)):
            memory = _returned.popleft()
            if memory.nbytes == length:
                break
            _returned.append(memory)
            memory = None
    return np.asarray(_Lent(empty(length, np.uint8) if memory is None else memory)).view(dtype).reshape(shape)


def shape(value) -> tuple[int, ...]:
    """The shape of an array_like argument."""
    if not hasattr(value, "shape") and hasattr(value, "__cuda_array_interface__"):
        return tuple(value.__cuda_array_interface__["shape"])
    return np.shape(value)


def take(name: str, value) -> np.ndarray:
    """An array_like argument as an array; one on a device raises TypeError, as it would be copied without notice.

    Parameters
    ----------
    name : str
        Of the argument, for the message.
    value : array_like
        The argument.
    """
    if hasattr(value, "__cuda_array_interface__") and not hasattr(value, "__array__"):
        raise TypeError(f"{name}: expected an array in the memory of the host for backend='cpu', got one on a device")
    return np.asarray(value)


def require(value, dtype: np.dtype) -> np.ndarray:
    """``value`` as a C-contiguous, native array of ``dtype`` that may be written to."""
    if type(value) is np.ndarray and value.dtype == dtype and value.flags.carray:
        return value  # this test takes less time than ``np.require``
    return np.require(value, dtype, ["C", "A", "W"])


def available_memory() -> int:
    """Bytes that are free."""
    return host_memory()


def rfftn(values: np.ndarray, axes: tuple[int, ...], threads: int) -> np.ndarray:
    """Real to complex with the sign −, half of the last axis.

    Parameters
    ----------
    values : (B, C, *n) float32 or float64
        Transformed.
    axes : tuple of int
        Which axes.
    threads : int
        At most so many.

    Returns
    -------
    ndarray
        (B, C, …, n // 2 + 1), complex64 or complex128.
    """
    return fft.rfftn(values, axes=axes, workers=threads)


def irfftn(modes: np.ndarray, shape: tuple[int, ...], axes: tuple[int, ...], threads: int) -> np.ndarray:
    """Complex to real with the sign + and no factor.

    Parameters
    ----------
    modes : (B, C, …, n // 2 + 1) complex64 or complex128
        Transformed.
    shape : tuple of int
        Lengths of the axes of the result.
    axes : tuple of int
        Which axes.
    threads : int
        At most so many.

    Returns
    -------
    ndarray
        (B, C, *shape), float32 or float64.
    """
    return fft.irfftn(modes, s=shape, axes=axes, workers=threads, norm="forward")
