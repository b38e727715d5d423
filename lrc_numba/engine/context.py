"""What all stages of one call share."""

from __future__ import annotations

from ..machine.workspace import Workspace
from .grid import Grid

__all__ = ["Context"]


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

    Attributes
    ----------
    arrays, parallel : module
        Of the back end: where arrays live, and how loops run.
    xp : module
        Its array functions, NumPy's or CuPy's.
    loops : function
        Takes the ``__package__`` of a stage to its loops for the back end.
    """

    def __init__(self, grid: Grid, threads: int, space: Workspace, parallel=None):
        self.grid, self.threads, self.space = grid, threads, space
        self.arrays, self.loops = grid.backend.arrays, grid.backend.loops
        self.parallel = parallel or grid.backend.parallel
        self.xp = self.arrays.xp

    def __reduce__(self) -> tuple:
        return Context, (self.grid, self.threads, self.space)  # modules have no pickle

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
