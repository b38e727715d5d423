r"""The search itself: images of all points in and around the bricks, sorted into bins, and who is near whom.

An image is a point moved by whole lattice vectors so that it lies in the brick of its structure or within the cutoff of
it along a periodic axis. Every point has one image in the brick, its home. Bins are upright; along the last axis they
are narrow, so that the images that may be near lie in a few runs of consecutive ones, each as long as the sphere is
there. All that is written has its place from counts that were made before, so threads change nothing.

Arrays that the kernels share, for B structures, n points and E images:

    points      (n, 3)     positions, zeros in front where d < 3
    offsets     (B + 1,)   where the points of a structure begin
    frames, steps, numbers, ranks     of ``lattice``, for every structure or one for all
    low, width  (B, 3)     where bins begin, and how long they are
    bins        (B, 3)     how many along each axis
    expected    (B,)       about how many images there will be
    first_bin   (B + 1,)   where the bins of a structure begin among all
    starts      (…,)       where the images of a bin begin among all of them
    y, y_of     (3, E)     images in the frame of their structure; there are LANES more places than images
    owner       (E + 1,)   the point that an image is of; n at the end
    shift       (E, 3)     whole lattice vectors by which it is moved
    order       (E,)       2 · owner, and one more where it was moved forwards: that tells which of two images of a pair
                           is taken, when a pair is wanted once
    home        (n,)       the image in the brick
    homes       (n,)       these in the order of the images, so that what is near lies in the cache
    structure_of  (n,)     the structure of each point
    listed      (…,)       images near the points, those of point i from ``where[i]`` on, ``counts[i]`` of them
                           and the number E up to a multiple of LANES

Of each kernel, ``part`` is the number of the thread's share, and ``lo``, ``hi`` where it begins and ends.
"""

from __future__ import annotations

import numpy as np

from ...machine.cpu import simd
from ...machine.cpu.compile import inlined, kernel
from ...machine.cpu.simd_compress import LANES, list_near
from .lattice import AXES

__all__ = ["bound", "find", "furthest", "measure", "sort_images", "write_pairs"]

SLACK = 1.0 + 1e-10  # of the cutoff where bins are chosen, against rounding
FINE = 8.0  # bins per cutoff along the last axis
COARSE = 1.0, 2.0  # and along the first ones, where images are few and where there are many
MANY = 30.0  # images in a cube of the cutoff
ROOM = 4.0  # bins per image, at most
EIGHT = (0,) * LANES


@inlined
def _in_brick(points, i, frame, steps, rank, y, wraps):
    """The home of point i in ``y``, and by how many steps it was moved to get there in ``wraps``, backwards."""
    for a in range(AXES):
        y[a] = frame[a, 0] * points[i, 0] + frame[a, 1] * points[i, 1] + frame[a, 2] * points[i, 2]
        wraps[a] = 0.0
    for back in range(rank):
        a = AXES - 1 - back
        wraps[a] = np.floor(y[a] / steps[a, a])
        for c in range(AXES - rank, a + 1):
            y[c] -= wraps[a] * steps[a, c]
        y[a] = min(max(y[a], 0.0), steps[a, a])  # rounding


@kernel
def measure(part, lo, hi, points, offsets, frames, steps, ranks, cutoff, low, width, bins, expected):
    """Where the bins of structures [lo, hi) begin, how long they are and how many; about how many images to expect."""
    y, wraps = np.empty(AXES), np.empty(AXES)
    for b in range(lo, hi):
        s = min(b, len(frames) - 1)
        first, images = AXES - ranks[s], float(max(offsets[b + 1] - offsets[b], 1))
        high = np.zeros(AXES)
        for a in range(AXES):
            low[b, a], high[a] = np.inf, -np.inf
        for i in range(offsets[b], offsets[b + 1]):
            _in_brick(points, i, frames[s], steps[s], ranks[s], y, wraps)
            for a in range(first):
                low[b, a], high[a] = min(low[b, a], y[a]), max(high[a], y[a])
        for a in range(AXES):
            if a >= first:
                low[b, a], high[a] = -cutoff * SLACK, steps[s, a, a] + cutoff * SLACK
                images *= (high[a] - low[b, a]) / steps[s, a, a]
            elif not low[b, a] <= high[a]:
                low[b, a], high[a] = 0.0, 0.0
        expected[b] = images
        room, crowd = ROOM * images + 64.0, images
        for a in range(first, AXES):
            crowd *= cutoff / (high[a] - low[b, a])
        for a in range(AXES):
            per_cutoff = FINE if a == AXES - 1 else COARSE[1] if crowd > MANY else COARSE[0]
            bins[b, a] = np.int64(min((high[a] - low[b, a]) * per_cutoff / cutoff, room)) + 1
        while float(bins[b, 0]) * float(bins[b, 1]) * float(bins[b, 2]) > room:
            longest = np.argmax(bins[b])
            bins[b, longest] = (bins[b, longest] + 1) // 2
        for a in range(AXES):
            width[b, a] = max((high[a] - low[b, a]) / bins[b, a], cutoff if bins[b, a] == 1 else 0.0)


@inlined
def _bin(y, low, width, bins):
    """The bin of an image among those of its structure."""
    number = 0
    for a in range(AXES):
        number = number * bins[a] + min(max(np.int64((y[a] - low[a]) / width[a]), 0), bins[a] - 1)
    return number


@inlined
def _range(y, step, margin):
    """First and last number of steps that lead from y to [−margin, step + margin]."""
    return np.int64(np.ceil((-margin - y) / step)), np.int64(np.floor((step + margin - y) / step))


@kernel
def sort_images(
    part,
    lo,
    hi,
    points,
    offsets,
    frames,
    steps,
    numbers,
    ranks,
    cutoff,
    low,
    width,
    bins,
    first_bin,
    fill,
    y_of,
    owner,
    shift,
    order,
    home,
):
    """Count the images of structures [lo, hi) by bins, or write them where ``owner`` has room for them.

    For counting, ``fill`` holds zeros, to which the number in a bin is added one entry further on. For writing, it
    holds where bins begin, and at the end where the next ones do. An image is within the ``cutoff`` of the brick.
    """
    y, wraps, moved = np.empty(AXES), np.empty(AXES), np.empty(AXES)
    writes = len(owner) > 0
    for b in range(lo, hi):
        s = min(b, len(frames) - 1)
        step, rank, margin, number = steps[s], ranks[s], cutoff * SLACK, numbers[s]
        for i in range(offsets[b], offsets[b + 1]):
            _in_brick(points, i, frames[s], step, rank, y, wraps)
            from_2, to_2 = _range(y[2], step[2, 2], margin) if rank > 0 else (0, 0)
            for m2 in range(from_2, to_2 + 1):
                y1 = y[1] + m2 * step[2, 1]
                from_1, to_1 = _range(y1, step[1, 1], margin) if rank > 1 else (0, 0)
                for m1 in range(from_1, to_1 + 1):
                    y0 = y[0] + m2 * step[2, 0] + m1 * step[1, 0]
                    from_0, to_0 = _range(y0, step[0, 0], margin) if rank > 2 else (0, 0)
                    for m0 in range(from_0, to_0 + 1):
                        moved[0], moved[1] = y0 + m0 * step[0, 0], y1 + m1 * step[1, 1]
                        moved[2] = y[2] + m2 * step[2, 2]
                        at = first_bin[b] + _bin(moved, low[b], width[b], bins[b])
                        if not writes:
                            fill[at + 1] += 1
                            continue
                        e = fill[at]
                        fill[at] = e + 1
                        y_of[0, e], y_of[1, e], y_of[2, e] = moved[0], moved[1], moved[2]
                        forwards = m2 > 0 or (m2 == 0 and (m1 > 0 or (m1 == 0 and m0 > 0)))
                        owner[e], order[e] = i, 2 * i + (1 if forwards else 0)
                        if m0 == 0 and m1 == 0 and m2 == 0:
                            home[i] = e
                        k0, k1, k2 = m0 - np.int64(wraps[0]), m1 - np.int64(wraps[1]), m2 - np.int64(wraps[2])
                        for c in range(AXES):
                            shift[e, c] = k0 * number[0, c] + k1 * number[1, c] + k2 * number[2, c]


@inlined
def _gap(value, low, width, index):
    """How far a coordinate is from the bin ``index``; zero inside."""
    begin = low + index * width
    return max(begin - value, value - begin - width, 0.0)


@inlined
def _ends(value, reach, low, width, bins):
    """First bin within reach of a coordinate, and the one after the last."""
    begin = max(np.int64(np.floor((value - reach - low) / width)), 0)
    return begin, min(np.int64(np.floor((value + reach - low) / width)), bins - 1) + 1


@kernel
def bound(part, lo, hi, homes, owner, structure_of, y, low, width, bins, first_bin, starts, cutoff, most):
    """At most how many images are near each of the ``homes`` [lo, hi), in ``most``: those in a box around the sphere.

    That is about three times as many as there are, of room that nobody touches; sparing it takes longer.
    """
    reach = cutoff * SLACK
    for h in range(lo, hi):
        e = homes[h]
        b = structure_of[owner[e]]
        total = 0
        begin_0, end_0 = _ends(y[0, e], reach, low[b, 0], width[b, 0], bins[b, 0])
        begin_1, end_1 = _ends(y[1, e], reach, low[b, 1], width[b, 1], bins[b, 1])
        begin_2, end_2 = _ends(y[2, e], reach, low[b, 2], width[b, 2], bins[b, 2])
        for b0 in range(begin_0, end_0):
            for b1 in range(begin_1, end_1):
                row = first_bin[b] + (b0 * bins[b, 1] + b1) * bins[b, 2]
                total += starts[row + end_2] - starts[row + begin_2]
        most[h] = total + 2 * LANES  # the last of them may write so many in vain, and the dummy fills up


@inlined
def _squares(x0, x1, x2, k, y0, y1, y2):
    """Squares of the distances of images k to k + 7 from (y0, y1, y2)."""
    d0 = simd.load(x0, k, EIGHT) - simd.fill(y0, EIGHT)
    d1 = simd.load(x1, k, EIGHT) - simd.fill(y1, EIGHT)
    d2 = simd.load(x2, k, EIGHT) - simd.fill(y2, EIGHT)
    return simd.fma(d2, d2, simd.fma(d1, d1, d0 * d0))


@kernel
def find(
    part,
    lo,
    hi,
    homes,
    owner,
    structure_of,
    y,
    order,
    low,
    width,
    bins,
    first_bin,
    starts,
    cutoff,
    full,
    dummy,
    room,
    listed,
    where,
    counts,
):
    """List the images near each of the ``homes`` [lo, hi): from ``where[i]`` on, ``counts[i]`` of them.

    Each list is filled up with the number of the ``dummy`` to a multiple of LANES. Lists follow each other without gaps
    from ``room[lo]`` on, where there is room for what ``bound`` counted. Where it is not ``full``, of two images of a
    pair the one is listed that ``order`` tells.
    """
    reach, square, at = cutoff * SLACK, cutoff * cutoff, room[lo]
    x0, x1, x2 = y[0], y[1], y[2]
    for h in range(lo, hi):
        e = homes[h]
        i = owner[e]
        b = structure_of[i]
        where[i] = at
        y0, y1, y2 = x0[e], x1[e], x2[e]
        least, own = (-1, e) if full else (2 * i, -1)
        begin_0, end_0 = _ends(y0, reach, low[b, 0], width[b, 0], bins[b, 0])
        begin_1, end_1 = _ends(y1, reach, low[b, 1], width[b, 1], bins[b, 1])
        for b0 in range(begin_0, end_0):
            gap_0 = _gap(y0, low[b, 0], width[b, 0], b0)
            for b1 in range(begin_1, end_1):
                gap_1 = _gap(y1, low[b, 1], width[b, 1], b1)
                left = reach * reach - gap_0 * gap_0 - gap_1 * gap_1
                if left <= 0.0:
                    continue
                begin_2, end_2 = _ends(y2, np.sqrt(left), low[b, 2], width[b, 2], bins[b, 2])
                if begin_2 >= end_2:
                    continue
                row = first_bin[b] + (b0 * bins[b, 1] + b1) * bins[b, 2]
                end = starts[row + end_2]
                for k in range(starts[row + begin_2], end, LANES):
                    squares = _squares(x0, x1, x2, k, y0, y1, y2)
                    at += list_near(squares, square, order, least, k, end, own, listed, at)
        counts[i] = at - where[i]
        while (at - where[i]) % LANES:
            listed[at] = dummy
            at += 1


@kernel
def write_pairs(
    part, lo, hi, points, cells, structure_of, home, owner, shift, where, listed, to, first, second, apart, distance
):
    """Write the pairs of points [lo, hi), those of point i from ``to[i]`` on.

    Parameters
    ----------
    part, lo, hi, points, structure_of, home, owner, shift, where, listed
        See the module.
    cells : (B or 1, 3, 3) float64
        Lattice vectors, zeros along open axes.
    to : (n + 1,) int64
        Where the pairs of a point begin.
    first, second, apart, distance : (P,), (P,), (P, d), (P,)
        Written: i, j, x_i − x_j − shift·cell and its norm.
    """
    dim = apart.shape[1]
    for i in range(lo, hi):
        cell, e = cells[min(structure_of[i], len(cells) - 1)], home[i]
        x0, x1, x2, h0, h1, h2 = points[i, 0], points[i, 1], points[i, 2], shift[e, 0], shift[e, 1], shift[e, 2]
        a00, a01, a02 = cell[0, 0], cell[0, 1], cell[0, 2]
        a10, a11, a12 = cell[1, 0], cell[1, 1], cell[1, 2]
        a20, a21, a22 = cell[2, 0], cell[2, 1], cell[2, 2]
        begin = where[i] - to[i]
        for p in range(to[i], to[i + 1]):
            k = listed[begin + p]
            j = owner[k]
            s0, s1, s2 = shift[k, 0] - h0, shift[k, 1] - h1, shift[k, 2] - h2
            d0 = x0 - points[j, 0] - (s0 * a00 + s1 * a10 + s2 * a20)
            d1 = x1 - points[j, 1] - (s0 * a01 + s1 * a11 + s2 * a21)
            d2 = x2 - points[j, 2] - (s0 * a02 + s1 * a12 + s2 * a22)
            if dim == 3:
                apart[p, 0] = d0
            if dim >= 2:
                apart[p, dim - 2] = d1
            apart[p, dim - 1] = d2
            first[p], second[p], distance[p] = i, j, np.sqrt(d0 * d0 + d1 * d1 + d2 * d2)


@kernel
def furthest(part, lo, hi, points, old, strains, structure_of, squares):
    """The largest |x − x_old F|² of points [lo, hi), in ``squares[part]``.

    Parameters
    ----------
    part, lo, hi, points, structure_of
        See the module.
    old : (n, 3) float64
        x_old.
    strains : (B or 1, 3, 3) float64
        F of each structure, or one for all.
    squares : (parts,) float64
        Written.
    """
    largest = 0.0
    if len(strains) == 1 and (strains[0] == np.eye(AXES)).all():
        for i in range(lo, hi):
            d0, d1, d2 = points[i, 0] - old[i, 0], points[i, 1] - old[i, 1], points[i, 2] - old[i, 2]
            largest = max(largest, d0 * d0 + d1 * d1 + d2 * d2)
        squares[part] = largest
        return
    for i in range(lo, hi):
        strain, square = strains[min(structure_of[i], len(strains) - 1)], 0.0
        for a in range(AXES):
            before = old[i, 0] * strain[0, a] + old[i, 1] * strain[1, a] + old[i, 2] * strain[2, a]
            square += (points[i, a] - before) ** 2
        largest = max(largest, square)
    squares[part] = largest
