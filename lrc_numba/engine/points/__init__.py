"""Points made ready for the grid: folded, sorted, cut into chunks."""

from .stage import SortedPoints, sort_points

__all__ = ["SortedPoints", "sort_points"]
