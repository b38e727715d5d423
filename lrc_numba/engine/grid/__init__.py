"""The oversampled grid: its sizes, its padding, its tiles."""

from .grid import Grid, embed

__all__ = ["Grid", "embed"]
