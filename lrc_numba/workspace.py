"""Memory kept between calls: fresh pages cost as much as the work done on them."""

from __future__ import annotations

from math import prod

import numpy as np

from .backends import Backend, load

__all__ = ["Workspace"]


class Workspace:
    """Named arrays that are handed out again, grown where they are too small. What they hold is not kept.

    Parameters
    ----------
    backend : Backend, optional
        Where they live; in the memory of the process by default.
    """

    def __init__(self, backend: Backend | None = None) -> None:
        self._backend = backend or load("cpu")
        self._arrays: dict[str, np.ndarray] = {}

    def take(self, name: str, shape: tuple[int, ...], dtype) -> np.ndarray:
        """A C-contiguous array with whatever is in it.

        Parameters
        ----------
        name : str
            Arrays of one name share their memory.
        shape : tuple of int
            Its shape.
        dtype : dtype
            Its dtype.
        """
        size, held = prod(shape), self._arrays.get(name)
        if held is None or held.size < size or held.dtype != dtype:
            self._arrays.pop(name, None)  # freed before its successor is made
            held = self._arrays[name] = self._backend.arrays.empty(size, dtype)
        return held[:size].reshape(shape)

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return sum(array.nbytes for array in self._arrays.values())
