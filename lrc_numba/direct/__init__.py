"""Explicit sums: over pairs and images or over modes, as references; and over modes with derivatives, for few points.

Nothing here uses grids or windows.
"""

from .plan import DirectPlan
from .sums import convolve, fourier_sum, image_shells, pair_sum

__all__ = ["DirectPlan", "convolve", "fourier_sum", "image_shells", "pair_sum"]
