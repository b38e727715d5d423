"""The loops over pairs of one list with one form and one charge per point, and what lies between them."""

from __future__ import annotations

import numpy as np

from ..geometry.neighbours import ImageLists
from ..machine.cpu import parallel
from ..machine.cpu.recording import Recording
from ..machine.cpu.simd_pairs import aligned
from .pair_kernels import fold, sum_full, sum_half
from .radial_form import RadialForm

__all__ = ["WORTH_A_THREAD", "PairLoops"]

WORTH_A_THREAD = 1000  # vectors of eight pairs
HALF_SHARES, WORTH_A_SHARE = 2, 4000  # at most, and vectors; whatever the number of threads, so that all get the same


class PairLoops:
    """Sums over pairs, made at once and again where ``again`` is called.

    Parameters
    ----------
    lists : ImageLists
        Half or full.
    form : RadialForm
        v.
    points : (n, 3) float64
        Positions; where the loops run again, those that are there by then.
    cells : (1 or B, 3, 3) float64
        Lattice vectors, the same whenever the loops run.
    charges : (n,) float64
        q, likewise.
    virial : bool
        Whether the strains are wanted.

    Attributes
    ----------
    lists : ImageLists
        As given.
    potential, gradient, strains, closest : arrays
        See ``pair_kernels``.
    again : function
        Overwrites them.
    """

    def __init__(self, lists: ImageLists, form: RadialForm, points, cells, charges, virial: bool):
        count, recording = len(points), Recording()
        self.lists, self.again = lists, recording.again
        self.potential, self.gradient = np.empty(count), np.empty((count, 3))
        self.strains = np.empty((count if virial else 0, 6))
        rows = lists.place(points, cells, charges, recording)
        inputs = (rows, *lists.for_loops(), *form.for_loops, (0,) * virial)
        if lists.full:
            shares = lists.shares(WORTH_A_THREAD)
            self.closest = np.empty(len(shares) - 1)
            recording.run(sum_full, shares, *inputs, self.potential, self.gradient, self.strains, self.closest)
            return
        # Shares depend on the lists alone, not on the number of threads.
        bounds = np.array(parallel.weighted(lists.work[:-1], int(lists.work[-1]), HALF_SHARES, WORTH_A_SHARE))
        halves = len(bounds) - 1
        sums, self.closest = aligned(halves, 4 * (count + 1)), np.empty(halves)
        sums.fill(0.0)
        each = parallel.even(halves, lists.threads)
        recording.run(sum_half, each, *inputs, lists.ranks, bounds, sums, self.strains, self.closest)
        results = (sums, self.potential, self.gradient)
        recording.run(fold, parallel.even(count, lists.threads, 5000), lists.homes, lists.owner, *results)
