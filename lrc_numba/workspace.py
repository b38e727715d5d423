"""Memory kept between calls: fresh pages cost as much as the work done on them."""

from __future__ import annotations

from math import prod

import numpy as np

__all__ = ["Workspace"]


class Workspace:
    """Named arrays that are handed out again, grown where they are too small. What they hold is not kept."""

    def __init__(self) -> None:
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
            held = self._arrays[name] = np.empty(size, dtype=dtype)
        return held[:size].reshape(shape)

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return sum(array.nbytes for array in self._arrays.values())
