"""What all stages of one call share."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from ..machine.workspace import Workspace
from .grid import Grid

__all__ = ["Context", "Ranks"]


class Ranks(Protocol):
    """Processes that share the points of a convolution, each with its own of them."""

    def sum(self, array: np.ndarray) -> np.ndarray:
        """The sum over processes, in place, the same bits on each.

        Parameters
        ----------
        array : contiguous real or complex array
            Of the same shape on each of them.
        """

    def total(self, count: int) -> int:
        """The sum over processes of a number of points."""


class Context:
    """The grid, the threads and the memory that a stage works with.

    Parameters
    ----------
    grid : Grid
        Sizes, window and tables.
    threads : int
        At most so many; they change no result.
    space : Workspace
        Memory for what lies between two loops.
    parallel : module or Recording, optional
        How loops run; as the back end does by default.
    ranks : Ranks, optional
        Processes that share the points; by default there is this one.

    Attributes
    ----------
    arrays, parallel : module
        Of the back end: where arrays live, and how loops run.
    xp : module
        Its array functions, NumPy's or CuPy's.
    loops : function
        Takes the ``__package__`` of a stage to its loops for the back end.
    """

    def __init__(self, grid: Grid, threads: int, space: Workspace, parallel=None, ranks: Ranks | None = None):
        self.grid, self.threads, self.space, self.ranks = grid, threads, space, ranks
        self.arrays, self.loops = grid.backend.arrays, grid.backend.loops
        self.parallel = parallel or grid.backend.parallel
        self.xp = self.arrays.xp

    def __reduce__(self) -> tuple:
        return Context, (self.grid, self.threads, self.space, None, self.ranks)  # modules have no pickle

    def over_ranks(self, array: np.ndarray) -> np.ndarray:
        """What is linear in the points of this process, of the points of all: the array itself, summed over ranks.

        Parameters
        ----------
        array : array
            Changed where there are several.
        """
        return array if self.ranks is None else self.ranks.sum(array)

    def even(self, length: int, smallest: int = 1) -> list[int]:
        """Bounds that cut items evenly for the threads.

        Parameters
        ----------
        length : int
            How many items.
        smallest : int
            Items that are worth a thread.
        """
        return self.parallel.even(length, self.threads, smallest)
