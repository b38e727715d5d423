"""The oversampled grid: its sizes and window, how it lies in memory, its tables."""

from .grid import Grid
from .layout import Layout, embed
from .tables import Tables

__all__ = ["Grid", "Layout", "Tables", "embed"]
