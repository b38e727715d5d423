"""Checks of what a user passes in. Each message names the argument, what came and what was expected."""

from __future__ import annotations

import numbers
from math import isfinite
from types import ModuleType

import numpy as np

from .machine.cpu import arrays as host

__all__ = [
    "all_finite",
    "as_array",
    "as_bool",
    "as_choice",
    "as_dtype",
    "as_modes",
    "as_points",
    "as_positive",
    "as_seed",
    "as_threads",
    "common_dtype",
    "is_masked",
    "measured_array",
    "points_shape",
    "refuse_masked",
    "sum_of_squares",
]

REAL = (np.dtype(np.float32), np.dtype(np.float64))
BLOCK = 8192  # numbers whose squares are added up at once; of more, BLAS would wake threads of its own


def as_array(name: str, value, dtype: np.dtype, arrays: ModuleType = host) -> np.ndarray:
    """``value`` as a C-contiguous, native, finite array of ``dtype``, copied only where it must be.

    Integers and Python lists are converted. An array of another floating-point type is refused: silently losing or
    inventing digits is worse. So is a masked array, see ``refuse_masked``.

    Parameters
    ----------
    name : str
        What to call it in a message.
    value : array_like
        What came.
    dtype : dtype
        float32 or float64.
    arrays : module
        Of the back end that works on it.

    Raises
    ------
    TypeError, ValueError
        For another kind of numbers and for masked arrays; for NaN and infinity.
    """
    return measured_array(name, value, dtype, arrays)[0]


def measured_array(name: str, value, dtype: np.dtype, arrays: ModuleType = host) -> tuple[np.ndarray, float]:
    """The same array, and the sum of its squares, which bounds every entry; infinite where that overflows.

    Parameters
    ----------
    name, value, dtype, arrays
        As for ``as_array``.
    """
    if type(value) is not np.ndarray:
        refuse_masked(name, value)
    given = arrays.take(name, value)
    if given.dtype != dtype and not _converts(given.dtype, dtype, _dtype(value)):
        raise TypeError(f"{name}: expected {dtype.name} (in which is computed) or integers, got {given.dtype}")
    if given.dtype == dtype:
        array = arrays.require(given, dtype)
    else:
        with np.errstate(over="ignore"):  # what becomes infinite is an error below
            array = arrays.require(given, dtype)
    squares = sum_of_squares(array, arrays)
    if not isfinite(squares) and not (finite := arrays.xp.isfinite(array)).all():
        first = tuple(int(i) for i in arrays.xp.argwhere(~finite)[0])
        raise ValueError(f"{name}: expected finite numbers, got {array[first]} at index {first}")
    return array, squares


def refuse_masked(name: str, value) -> None:
    """A TypeError for a masked array, or a list that holds one: whatever a mask hides would be used as a number.

    Also where nothing is masked: whether a call is right is not to depend on the data.

    Parameters
    ----------
    name : str
        What to call it in a message.
    value : object
        What came.
    """
    if is_masked(value):
        raise TypeError(f"{name}: expected no mask, got a masked array; fill it first, as by its method filled")


def is_masked(value: object) -> bool:
    """Whether ``value`` is a masked array, or a list that holds one."""
    if isinstance(value, (list, tuple)):
        return any(type(entry) is not float and type(entry) is not np.ndarray and is_masked(entry) for entry in value)
    return isinstance(value, np.ma.MaskedArray)


def sum_of_squares(array, arrays: ModuleType = host) -> float:
    """Σ |a|²: finite only where all numbers are; infinite, and no warning, where it overflows.

    Parameters
    ----------
    array : array of floats
        On the host, or where the back end works.
    arrays : module
        Of the back end.
    """
    flat = array.reshape(-1)  # ``vdot`` is quicker than a sum of few numbers, and does not warn
    if not isinstance(flat, np.ndarray):
        return float(arrays.xp.vdot(flat, flat))
    if flat.size <= BLOCK:
        return float(np.vdot(flat, flat))
    blocks = (flat[start : start + BLOCK] for start in range(0, flat.size, BLOCK))
    return sum(float(np.vdot(block, block)) for block in blocks)


def all_finite(array, arrays: ModuleType = host) -> bool:
    """Whether no number of an array of floats is infinite or NaN.

    Parameters
    ----------
    array, arrays
        As for ``sum_of_squares``.
    """
    if isfinite(sum_of_squares(array, arrays)):
        return True
    xp = np if isinstance(array, (np.ndarray, np.generic)) else arrays.xp
    return bool(xp.isfinite(array).all())


def _converts(given: np.dtype, dtype: np.dtype, named: np.dtype | None) -> bool:
    """Whether numbers become ``dtype`` without a loss that was not asked for; ``named`` is None for Python's own."""
    return given.kind in "iu" or (given.kind == "f" and (named is None or given.newbyteorder("=") == dtype))


def _dtype(value) -> np.dtype | None:
    """The dtype of an array, on the host or on a device; None of what has none, numbers and lists."""
    interface = getattr(value, "__cuda_array_interface__", None)
    if interface is not None:
        return np.dtype(interface["typestr"])
    dtype = getattr(value, "dtype", None)
    return dtype if dtype is None or isinstance(dtype, np.dtype) else np.asarray(value).dtype  # of another library


def common_dtype(**arrays) -> np.dtype:
    """float32 if every array that has a floating dtype has float32, else float64; a mixture is a TypeError.

    Complex numbers count as their parts where no others have such a dtype.
    """
    given = {name: _dtype(array) for name, array in arrays.items()}
    floats = {name: dtype for name, dtype in given.items() if dtype is not None and dtype.kind == "f"}
    kinds = {d.newbyteorder("=") for d in floats.values()}
    if not kinds:
        parts = (np.empty(0, d).real.dtype for d in given.values() if d is not None and d.kind == "c")
        kinds = {d.newbyteorder("=") for d in parts}
    if len(kinds) > 1:
        raise TypeError(f"expected one floating-point dtype, got {', '.join(f'{n}: {d}' for n, d in floats.items())}")
    return as_dtype(kinds.pop()) if kinds else np.dtype(np.float64)


def as_dtype(dtype) -> np.dtype:
    """float32 or float64."""
    try:
        checked = np.dtype(dtype)
    except TypeError:
        raise TypeError(f"dtype: expected float32 or float64, got {dtype!r}") from None
    if checked not in REAL:
        raise TypeError(f"dtype: expected float32 or float64, got {checked}")
    return checked


def as_points(name: str, value, dtype: np.dtype, dim: int | None, arrays: ModuleType = host) -> np.ndarray:
    """(N, d) or (B, N, d) with d = ``dim``, or any d in 1, 2, 3 when that is None.

    Parameters
    ----------
    name : str
        What to call it in a message.
    value : array_like
        What came, units of length.
    dtype : dtype
        float32 or float64.
    dim : int or None
        d.
    arrays : module
        Of the back end that works on them.
    """
    points_shape(name, value, dim, arrays)
    return as_array(name, value, dtype, arrays)


def points_shape(name: str, value, dim: int | None, arrays: ModuleType = host) -> tuple[int, ...]:
    """The shape of ``value``, where it is one that points can have.

    Parameters
    ----------
    name, value, dim, arrays
        As for ``as_points``.
    """
    try:
        shape = arrays.shape(value)
    except ValueError:
        raise ValueError(f"{name}: expected shape (N, d) or (B, N, d), got rows of different lengths") from None
    if len(shape) not in (2, 3) or shape[-1] not in ((1, 2, 3) if dim is None else (dim,)):
        wanted = "1, 2 or 3" if dim is None else str(dim)
        raise ValueError(f"{name}: expected shape (N, d) or (B, N, d) with d = {wanted}, got {shape}")
    return shape


def as_modes(modes, dim: int, name: str = "modes") -> tuple[int, ...]:
    """One positive integer for every axis, or d of them.

    Parameters
    ----------
    modes : int or d ints
        What came.
    dim : int
        d.
    name : str
        What to call it in a message.
    """
    refuse_masked(name, modes)
    modes = modes.tolist() if isinstance(modes, (np.ndarray, np.integer)) else modes
    given = modes if isinstance(modes, (tuple, list)) else (modes,) * dim
    if not all(isinstance(m, numbers.Integral) and not isinstance(m, bool) for m in given):
        raise TypeError(f"{name}: expected an int or {dim} ints, got {modes!r}")
    if len(given) != dim:
        raise ValueError(f"{name}: expected an int or {dim} ints for points in {dim} dimension(s), got {modes!r}")
    if min(given) < 1:
        raise ValueError(f"{name}: expected at least one {name[:-1]} per axis, got {modes!r}")
    return tuple(int(m) for m in given)


def as_positive(name: str, value, below: float) -> float:
    """A finite number in (0, ``below``).

    Parameters
    ----------
    name : str
        What to call it in a message.
    value : float
        What came.
    below : float
        Upper bound, excluded.
    """
    if not isinstance(value, (int, float, np.integer, np.floating)) or isinstance(value, bool):
        raise TypeError(f"{name}: expected a number, got {type(value).__name__}")
    if not 0 < value < below:
        raise ValueError(f"{name}: expected a number above 0 and below {below:g}, got {value}")
    return float(value)


def as_real(name: str, value) -> float:
    """A finite number.

    Parameters
    ----------
    name : str
        What to call it in a message.
    value : float
        What came.
    """
    if not isinstance(value, (int, float, np.integer, np.floating)) or isinstance(value, bool):
        raise TypeError(f"{name}: expected a number, got {type(value).__name__}")
    if not np.isfinite(value):
        raise ValueError(f"{name}: expected a finite number, got {value}")
    return float(value)


def as_count(name: str, value, least: int, multiple: int = 1) -> int:
    """An integer of at least ``least`` that is a multiple of a number.

    Parameters
    ----------
    name : str
        What to call it in a message.
    value : int
        What came.
    least, multiple : int
        The bounds.
    """
    is_integer = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not is_integer or value < least or value % multiple:
        least_of = {0: "zero", 1: "one"}.get(least, str(least))
        what = f"a multiple of {multiple}" if multiple > 1 else f"an integer of at least {least_of}"
        raise ValueError(f"{name}: expected {what}, got {value!r}")
    return int(value)


def as_bool(name: str, value) -> bool:
    """True or False; a word such as "no" is neither.

    Parameters
    ----------
    name : str
        What to call it in a message.
    value : bool
        What came.
    """
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name}: expected True or False, got {value!r}")
    return bool(value)


def as_choice(name: str, value, choices: tuple[str, ...]) -> str:
    """One of ``choices``.

    Parameters
    ----------
    name : str
        What to call it in a message.
    value : str
        What came.
    choices : tuple of str
        What is allowed.
    """
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name}: expected one of {', '.join(map(repr, choices))}, got {value!r}")
    return value


def as_seed(seed) -> int:
    """An integer from 0 on."""
    if not isinstance(seed, numbers.Integral) or isinstance(seed, bool) or seed < 0:
        raise ValueError(f"seed: expected an integer from 0 on, got {seed!r}")
    return int(seed)


def as_threads(threads, available: int) -> int:
    """A positive integer, or None for all available processors."""
    if threads is None:
        return available
    if not isinstance(threads, numbers.Integral) or isinstance(threads, bool):
        raise TypeError(f"threads: expected an int or None, got {threads!r}")
    if threads < 1:
        raise ValueError(f"threads: expected at least 1, got {threads}")
    return int(threads)
