"""What all stages of one call share."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from types import ModuleType

from ..machine.workspace import Workspace
from .grid import Grid

__all__ = ["Context"]


@dataclass
class Context:
    """On what a stage works, and with what.

    Attributes
    ----------
    grid : Grid
        Sizes, window and tables.
    threads : int
        At most so many; they change no result.
    space : Workspace
        Memory for what lies between two loops.
    """

    grid: Grid
    threads: int
    space: Workspace

    @cached_property
    def arrays(self) -> ModuleType:
        """Arrays of the back end, see ``machine.cpu.arrays``."""
        return self.grid.backend.arrays

    @cached_property
    def parallel(self) -> ModuleType:
        """How loops run, see ``machine.cpu.parallel``."""
        return self.grid.backend.parallel

    @cached_property
    def xp(self) -> ModuleType:
        """The namespace of array functions of the back end."""
        return self.arrays.xp

    def loops(self, package: str) -> ModuleType:
        """The loops of the stage with this ``__package__`` for the back end."""
        return self.grid.backend.loops(package)

    def even(self, length: int, smallest: int = 1) -> list[int]:
        """Bounds that cut ``length`` items evenly for the threads, none below ``smallest`` items."""
        return self.parallel.even(length, self.threads, smallest)
