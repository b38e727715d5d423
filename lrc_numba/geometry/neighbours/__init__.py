"""Neighbours: every pair of points closer than a cutoff, in any lattice, for batches of structures.

``find_pairs`` gives the pairs as arrays; a ``NeighbourList`` keeps them, found with a skin, and gives the pairs of
moved points until one of them has moved too far, or the ``ImageLists`` behind them, for loops that need no arrays of
pairs. Cost is linear in the number of points at fixed density. The search is in ``search``, and why skewed cells cost
no more than boxes in ``lattice``.
"""

from .find import NeighbourList, find_pairs
from .images import ImageLists
from .pairs import Pairs, coincident, scatter_add

__all__ = ["ImageLists", "NeighbourList", "Pairs", "coincident", "find_pairs", "scatter_add"]
