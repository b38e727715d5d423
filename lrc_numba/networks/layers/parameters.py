"""All parameters of a network in one flat vector, with named views of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from math import prod

import numpy as np

__all__ = ["Parameters"]


class Parameters(Mapping):
    """A mapping from names to views of one flat vector; writing to a view writes to the vector.

    Parameters
    ----------
    shapes : dict of str to tuple of int
        Shapes by name, in order.
    dtype : dtype
        float32 or float64.

    Attributes
    ----------
    flat : (n,) ndarray
        All parameters; what is assigned to it is copied into the vector, which stays the same one.
    shapes : dict
        As given.
    offsets : dict of str to int
        Where each begins in ``flat``.
    tables : dict of str to ndarray
        Tables that networks compute from the offsets once.
    """

    def __init__(self, shapes: dict[str, tuple[int, ...]], dtype):
        self.shapes = dict(shapes)
        self.offsets: dict[str, int] = {}
        self.tables: dict[str, np.ndarray] = {}
        size = 0
        for name, shape in self.shapes.items():
            self.offsets[name] = size
            size += prod(shape)
        self._flat = np.zeros(size, dtype=dtype)
        self._views: dict[str, np.ndarray] = {}  # those that were asked for

    @property
    def flat(self) -> np.ndarray:
        """All parameters, (n,)."""
        return self._flat

    @flat.setter
    def flat(self, values) -> None:
        if values is self._flat:  # after an operation in place
            return
        given = np.asarray(values)
        if given.shape != self._flat.shape or given.dtype.kind not in "fiu":
            expected = f"{self._flat.size} numbers, shape {self._flat.shape}"
            raise ValueError(f"parameters: expected {expected}, got shape {given.shape} of {given.dtype}")
        if not np.isfinite(given).all():
            raise ValueError(f"parameters: expected finite numbers, got {int((~np.isfinite(given)).sum())} others")
        self._flat[...] = given

    def check_finite(self) -> None:
        """Raise a ValueError where some are no numbers."""
        finite = np.isfinite(self.flat)
        if not finite.all():
            raise ValueError(f"parameters: expected finite numbers, got {int((~finite).sum())} others")

    @contextmanager
    def blamed(self, names: Iterable[str]) -> Iterator[None]:
        """Errors inside begin with the names and values of the parameters that led to them.

        Parameters
        ----------
        names : iterable of str
            Few numbers, such as the width of a kernel; of none, errors stay as they are.
        """
        try:
            yield
        except (MemoryError, ValueError) as wrong:
            values = ", ".join(f"{name} = {self[name].tolist()}" for name in names)
            if not values:
                raise
            kind = MemoryError if isinstance(wrong, MemoryError) else ValueError
            raise kind(f"{values}: {wrong}") from wrong

    def like(self) -> Parameters:
        """Zeros of the same layout, for a gradient."""
        other = object.__new__(Parameters)
        other.shapes, other.offsets, other.tables = self.shapes, self.offsets, self.tables
        other._flat, other._views = np.zeros_like(self.flat), {}
        return other

    def __getstate__(self) -> tuple:
        return self.shapes, self.flat  # copies have views of their own

    def __setstate__(self, state: tuple) -> None:
        self.__init__(state[0], state[1].dtype)  # type: ignore[misc]
        self.flat[...] = state[1]

    def __getitem__(self, name: str) -> np.ndarray:
        view = self._views.get(name)
        if view is None:
            at, shape = self.offsets[name], self.shapes[name]
            view = self._views[name] = self._flat[at : at + prod(shape)].reshape(shape)
        return view

    def __iter__(self) -> Iterator[str]:
        return iter(self.shapes)

    def __len__(self) -> int:
        return len(self.shapes)

    def __repr__(self) -> str:
        rows = [f"  {name:14} {shape}" for name, shape in self.shapes.items()]
        return "\n".join([f"Parameters: {self.flat.size} numbers, {self.flat.dtype}", *rows])
