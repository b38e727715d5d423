"""The oversampled grid: its sizes and window, how it lies in memory, its tables."""

from .grid import Grid
from .layout import Layout, embed
from .sizes import good_size
from .tables import Tables

__all__ = ["Grid", "Layout", "Tables", "embed", "good_size"]
