"""Where arrays live: in the memory of the device, or, in the simulator, in that of the process."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ..memory import available_memory as host_memory
from .compile import SIMULATED, fft, xp

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

SETS = 1  # of the cache: windows are added up in memory that has none
ONE_TILE = {1: 0, 2: 0, 3: 0}  # bytes: a tile must fit into the memory that a block shares, so a grid is never one
ONE_TILE_OF_FEW = ONE_TILE
OWN_TRANSFORMS = False  # all are a library's


def asarray(array: np.ndarray) -> np.ndarray:
    """A host array as one of the back end."""
    return xp.asarray(array)


def to_host(array: np.ndarray) -> np.ndarray:
    """An array of the back end as one of the host."""
    return array if SIMULATED or isinstance(array, np.ndarray) else xp.asnumpy(array)


def empty(size: int, dtype) -> np.ndarray:
    """Uninitialised numbers."""
    return xp.empty(size, dtype=dtype)


def result(shape: tuple[int, ...], dtype) -> np.ndarray:
    """An uninitialised array that the user keeps; CuPy reuses the memory of those that were released.

    Parameters
    ----------
    shape : tuple of int
        Its shape.
    dtype : dtype
        Of its numbers.
    """
    return xp.empty(shape, dtype=dtype)


def shape(value) -> tuple[int, ...]:
    """The shape of an array_like argument."""
    interface = getattr(value, "__cuda_array_interface__", None)
    return tuple(interface["shape"]) if interface else np.shape(value)


def take(name: str, value) -> np.ndarray:
    """An array_like argument: what is on the device as it is, all else as a host array.

    Parameters
    ----------
    name : str
        Of the argument, for messages.
    value : array_like
        The argument.
    """
    if not hasattr(value, "__cuda_array_interface__"):
        return np.asarray(value)
    if not SIMULATED:
        return xp.asarray(value)
    return np.asarray(_Simulated(value))


class _Simulated:
    """A simulator's device array as one of the host, in whose memory it is."""

    def __init__(self, value) -> None:
        self.owner = value
        interface = dict(value.__cuda_array_interface__)
        self.__array_interface__ = {k: interface.get(k) for k in ("shape", "typestr", "data", "strides")} | {
            "version": 3
        }


def require(value, dtype: np.dtype) -> np.ndarray:
    """``value`` as a C-contiguous, native array of ``dtype`` that may be written to, on the device."""
    if SIMULATED:
        return np.require(value, dtype, ["C", "A", "W"])
    if isinstance(value, np.ndarray):
        value = np.require(value, dtype, ["C", "A", "W"])
    return xp.ascontiguousarray(xp.asarray(value, dtype=dtype))


def available_memory() -> int:
    """Bytes that are free on the device."""
    return (
        host_memory() if SIMULATED else int(xp.cuda.runtime.memGetInfo()[0]) + xp.get_default_memory_pool().free_bytes()
    )


@lru_cache(maxsize=4)
def _kept_plan(lengths: tuple[int, ...], dtype: str, shape, axes: tuple[int, ...], kind: str, stream: tuple[int, int]):
    """A plan of cuFFT for one device and stream: two streams must not use its work area at the same time."""
    return fft.get_fft_plan(xp.empty(lengths, dtype=dtype), shape=shape, axes=axes, value_type=kind)


def _plan(values: np.ndarray, shape: tuple[int, ...] | None, axes: tuple[int, ...], kind: str):
    """A plan that is kept; None where CuPy makes its own.

    That is along one axis, for which CuPy keeps plans; where an axis between others has been left out; and where an
    array is contiguous in the orders of Fortran and C.
    """
    if len(axes) == 1 or axes != tuple(range(-len(axes), 0)) or values.flags.f_contiguous:
        return None
    stream = xp.cuda.Device().id, xp.cuda.get_current_stream().ptr
    return _kept_plan(values.shape, values.dtype.name, shape, axes, kind, stream)


def _long(lengths: tuple[int, ...], axes: tuple[int, ...]) -> tuple[int, ...]:
    """The axes longer than 1, and always the last, of which half is kept."""
    return tuple(axis for axis in axes[:-1] if lengths[axis] > 1) + axes[-1:]


def rfftn(values: np.ndarray, axes: tuple[int, ...], threads: int) -> np.ndarray:
    """Real to complex with the sign −, half of the last axis.

    Parameters
    ----------
    values : (B, C, *n) float32 or float64
        Transformed.
    axes : tuple of int
        Which axes, the last one being the array's.
    threads : int
        Without meaning here.

    Returns
    -------
    ndarray
        (B, C, …, n // 2 + 1), complex64 or complex128.
    """
    if not values.size:
        half = (*values.shape[:-1], values.shape[-1] // 2 + 1)
        return xp.zeros(half, dtype=np.result_type(values.dtype, np.complex64))
    axes = _long(values.shape, axes)
    if SIMULATED:
        return fft.rfftn(values, axes=axes)
    values = xp.ascontiguousarray(values)
    return fft.rfftn(values, axes=axes, plan=_plan(values, None, axes, "R2C"))


def irfftn(modes: np.ndarray, shape: tuple[int, ...], axes: tuple[int, ...], threads: int) -> np.ndarray:
    """Complex to real with the sign + and no factor.

    Parameters
    ----------
    modes : (B, C, …, n // 2 + 1) complex64 or complex128
        Transformed; undefined afterwards.
    shape : tuple of int
        Lengths of the axes of the result.
    axes : tuple of int
        Which axes, the last one being the array's.
    threads : int
        Without meaning here.

    Returns
    -------
    ndarray
        (B, C, *shape), float32 or float64.
    """
    if not modes.size:
        return xp.zeros((*modes.shape[: -len(axes)], *shape), dtype=modes.real.dtype)
    lengths = dict(zip(axes, shape, strict=True))
    axes = _long(modes.shape, axes)
    shape = tuple(lengths[axis] for axis in axes)
    if SIMULATED:
        return fft.irfftn(modes, s=shape, axes=axes, norm="forward")
    plan = _plan(modes, shape, axes, "C2R")
    return fft.irfftn(modes, s=shape, axes=axes, norm="forward", overwrite_x=True, plan=plan)
