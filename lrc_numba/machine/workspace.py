"""Memory kept between calls: fresh pages cost as much as the work done on them."""

from __future__ import annotations

from math import prod
from threading import local
from types import ModuleType

import numpy as np

from .cpu import arrays as host

__all__ = ["Workspace", "Workspaces"]


class Workspace:
    """Named arrays that are reused from call to call and grow as needed; their content is not preserved.

    Parameters
    ----------
    arrays : module, optional
        Of a back end: where they live; in the memory of the process by default.
    """

    def __init__(self, arrays: ModuleType = host) -> None:
        self._empty = arrays.empty
        self._arrays: dict[str, np.ndarray] = {}
        self._given: dict[str, np.ndarray] = {}  # as handed out last: mostly the same shape is asked for again

    def take(self, name: str, shape: tuple[int, ...], dtype) -> np.ndarray:
        """A C-contiguous array, uninitialised.

        Parameters
        ----------
        name : str
            Arrays of one name share their memory.
        shape : tuple of int
            Its shape.
        dtype : dtype
            Its dtype.
        """
        given = self._given.get(name)
        if given is not None and given.shape == shape and given.dtype == dtype:
            return given
        size, held = prod(shape), self._arrays.get(name)
        if held is None or held.size < size or held.dtype != dtype:
            given = held = None  # freed before its successor is made
            self._given.pop(name, None)
            self._arrays.pop(name, None)
            held = self._arrays[name] = self._empty(size, dtype)
        given = self._given[name] = held[:size].reshape(shape)
        return given

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_arrays": {}, "_given": {}}  # a copy makes its own

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return sum(array.nbytes for array in self._arrays.values())


class Workspaces:
    """One workspace for each part of a computation whose arrays are read later, and one for each thread.

    A pickle contains none of them.
    """

    def __init__(self) -> None:
        self._of_parts: dict[int, Workspace] = {}
        self._of_threads = local()

    def of(self, part: int | None) -> Workspace:
        """The workspace of a part, or of the calling thread.

        Parameters
        ----------
        part : int, optional
            Any number that distinguishes it from other parts.
        """
        if part is None:
            return self._of_threads.__dict__.setdefault("space", Workspace())
        return self._of_parts.setdefault(part, Workspace())

    def __reduce__(self) -> tuple:
        return Workspaces, ()
