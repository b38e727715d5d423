"""Neighbours: every pair of points closer than a cutoff, in any lattice, for batches of structures.

``find_pairs`` gives the pairs as arrays; a ``NeighbourList`` keeps them, found with a skin, and gives the pairs of
moved points until one of them has moved too far, or the ``ImageLists`` behind them, for loops that need no arrays of
pairs. Cost is linear in the number of points at fixed density. The search is in ``search``, and why skewed cells cost
no more than boxes in ``lattice``.

Arrays that the kernels share, for B structures, n points and E images:

    points      (n, 3)     positions, zeros in front where d < 3
    offsets     (B + 1,)   where the points of a structure begin
    cutoff      float      beyond which pairs are not wanted
    frames, steps, numbers, ranks     of ``lattice``, for every structure or one for all
    low, width  (B, 3)     where bins begin, and how long they are
    dense       (B, 3)     bins per length
    bins        (B, 3)     how many along each axis
    expected    (B,)       about how many images there will be
    first_bin   (B + 1,)   where the bins of a structure begin among all
    kind        int        which of two images of a pair are listed: EVERY, LOWER or FORWARD
    first_image (B + 1,)   where the images of a structure are written when they are found, with room for all
    steps_of    (…, 3)     by how many steps they were moved from where their points are,
    moved       (…,)       HOME, FORWARDS or BACKWARDS, from the home, and
    bin_of      (…,)       their bins, among all
    starts      (…,)       where the images of a bin begin among all of them
    y, y_of     (3, E)     images in the frame of their structure; there are LANES more places than images
    owner       (E + 1,)   the point that an image is of; n at the end
    shift       (E, 3)     whole lattice vectors by which it is moved
    order       (E,)       tells which of two images of a pair is taken, see ``least_of``
    home        (n,)       the image in the brick
    homes       (n,)       these in the order of the images, so that what is near lies in the cache
    structure_of  (n,)     the structure of each point
    listed      (…,)       images near the points, those of point i from ``where[i]`` on, ``counts[i]`` of them
                           and the number E up to a multiple of LANES

Of each kernel, ``part`` is the number of the thread's share, and ``lo``, ``hi`` where it begins and ends.
"""

from .find import NeighbourList, find_pairs
from .images import ImageLists
from .pairs import Pairs, coincident, scatter_add

__all__ = ["ImageLists", "NeighbourList", "Pairs", "coincident", "find_pairs", "scatter_add"]
