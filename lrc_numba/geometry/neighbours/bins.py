r"""Images of all points in and around the bricks, sorted into bins.

An image is a point moved by whole lattice vectors so that it lies in the brick of its structure or within the cutoff of
it along a periodic axis. Every point has one image in the brick, its home. Bins are upright; along the last axis they
are narrow, so that the images that may be near lie in a few runs of consecutive ones, each as long as the sphere is
there. All that is written has its place from counts that were made before, so threads change nothing. What the arrays
hold is in the glossary of the package.
"""

from __future__ import annotations

import numpy as np

from ...machine.cpu.compile import inlined, kernel
from .lattice import AXES

__all__ = ["EVERY", "FORWARD", "LOWER", "ROWS", "SLACK", "along", "find_images", "least_of", "measure", "sort_images"]

SLACK = 1.0 + 1e-10  # of the cutoff where bins are chosen, against rounding
FINE = 8.0  # bins per cutoff along the last axis
COARSE = 1.0, 2.0  # and along the first ones, where images are few and where there are many
MANY = 30.0  # images in a cube of the cutoff
ROOM = 4.0  # bins per image, at most
ROWS = 64  # of bins that a sphere reaches: 7 along both of the first axes at most, see ``measure``
EVERY, LOWER, FORWARD = 0, 1, 2
HOME, FORWARDS, BACKWARDS = 0, 1, 2
LAST = 2**31 - 1


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
def measure(part, lo, hi, points, offsets, frames, steps, ranks, cutoff, low, width, dense, bins, expected):
    """Where the bins of structures [lo, hi) begin, how long they are and how many; about how many images to expect."""
    y, wraps = np.empty(AXES), np.empty(AXES)
    for b in range(lo, hi):
        s = min(b, len(frames) - 1)
        first, images = AXES - ranks[s], float(max(offsets[b + 1] - offsets[b], 1))
        high = np.zeros(AXES)
        for a in range(AXES):
            low[b, a], high[a] = np.inf, -np.inf
        for i in range(offsets[b], offsets[b + 1] if first > 0 else offsets[b]):
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
            dense[b, a] = 1.0 / width[b, a]


@inlined
def along(value, low, dense, bins):
    """The bin of a coordinate, ``value``, along its axis."""
    return min(max(np.int64((value - low) * dense), 0), bins - 1)


@inlined
def _bin(y, low, dense, bins):
    """The bin of an image among those of its structure."""
    number = 0
    for a in range(AXES):
        number = number * bins[a] + along(y[a], low[a], dense[a], bins[a])
    return number


@inlined
def _range(y, step, margin, per_step):
    """First and last number of steps that lead from y to [−margin, step + margin]; ``per_step`` is 1/step."""
    return np.int64(np.ceil((-margin - y) * per_step)), np.int64(np.floor((step + margin - y) * per_step))


@kernel
def find_images(
    part,
    lo,
    hi,
    points,
    offsets,
    frames,
    steps,
    ranks,
    cutoff,
    kind,
    low,
    dense,
    bins,
    first_bin,
    first_image,
    counts,
    y_of,
    owner,
    steps_of,
    moved,
    bin_of,
    ends,
):
    """Write the images of structures [lo, hi) that are within the ``cutoff`` of the brick, point by point.

    They end at ``ends`` (B,), and are only counted where there is no room before those of the next structure.
    ``counts``, zeros before, gets the number in a bin one entry further on.
    """
    y, wraps, image = np.empty(AXES), np.empty(AXES), np.empty(AXES)
    for b in range(lo, hi):
        s, at, half = min(b, len(frames) - 1), first_image[b], kind == FORWARD
        step, rank, margin = steps[s], ranks[s], cutoff * SLACK
        p0, p1, p2 = 1.0 / step[0, 0], 1.0 / step[1, 1], 1.0 / step[2, 2]  # not looked at along open axes
        for i in range(offsets[b], offsets[b + 1]):
            _in_brick(points, i, frames[s], step, rank, y, wraps)
            w0, w1, w2 = np.int64(wraps[0]), np.int64(wraps[1]), np.int64(wraps[2])
            from_2, to_2 = _range(y[2], step[2, 2], margin, p2) if rank > 0 else (0, 0)
            for m2 in range(max(from_2, 0) if half else from_2, to_2 + 1):
                image[2], y1 = y[2] + m2 * step[2, 2], y[1] + m2 * step[2, 1]
                from_1, to_1 = _range(y1, step[1, 1], margin, p1) if rank > 1 else (0, 0)
                for m1 in range(max(from_1, 0) if half and m2 == 0 else from_1, to_1 + 1):
                    image[1], y0 = y1 + m1 * step[1, 1], y[0] + m2 * step[2, 0] + m1 * step[1, 0]
                    from_0, to_0 = _range(y0, step[0, 0], margin, p0) if rank > 2 else (0, 0)
                    for m0 in range(max(from_0, 0) if half and m2 == 0 and m1 == 0 else from_0, to_0 + 1):
                        image[0] = y0 + m0 * step[0, 0]
                        number = first_bin[b] + _bin(image, low[b], dense[b], bins[b])
                        counts[number + 1] += 1
                        if at < first_image[b + 1]:
                            bin_of[at], owner[at] = number, i
                            y_of[at, 0], y_of[at, 1], y_of[at, 2] = image[0], image[1], image[2]
                            steps_of[at, 0], steps_of[at, 1], steps_of[at, 2] = m0 - w0, m1 - w1, m2 - w2
                            moved[at] = HOME
                            if m0 != 0 or m1 != 0 or m2 != 0:
                                forwards = m2 > 0 or (m2 == 0 and (m1 > 0 or (m1 == 0 and m0 > 0)))
                                moved[at] = FORWARDS if forwards else BACKWARDS
                        at += 1
        ends[b] = at


@inlined
def _order(kind, i, e, moved):
    """What tells whether an image is listed: where it is more than ``least_of`` of the point.

    By LOWER, twice the owner, and one more where it was moved forwards; by FORWARD, its own number where it was not
    moved, and more than all of them where it was.
    """
    if kind == FORWARD:
        return LAST if moved == FORWARDS else e
    return 2 * i + (1 if moved == FORWARDS else 0)


@inlined
def least_of(kind, i, e):
    """See ``_order``, for point i with its home e."""
    return -1 if kind == EVERY else e if kind == FORWARD else 2 * i


@kernel
def sort_images(
    part,
    lo,
    hi,
    offsets,
    numbers,
    kind,
    first_bin,
    first_image,
    ends,
    found_y,
    found_owner,
    steps_of,
    moved,
    bin_of,
    fill,
    y_of,
    owner,
    shift,
    order,
    home,
    homes,
):
    """Put the images of structures [lo, hi) in the order of their bins.

    ``found_y`` and ``found_owner`` are ``y_of`` and ``owner`` of ``find_images``. ``fill`` holds where bins begin, and
    at the end where the next ones do.
    """
    for b in range(lo, hi):
        number, first = numbers[min(b, len(numbers) - 1)], fill[first_bin[b]]
        for at in range(first_image[b], ends[b]):
            i, e = found_owner[at], fill[bin_of[at]]
            fill[bin_of[at]] = e + 1
            y_of[0, e], y_of[1, e], y_of[2, e] = found_y[at, 0], found_y[at, 1], found_y[at, 2]
            owner[e], order[e] = i, _order(kind, i, e, moved[at])
            if moved[at] == HOME:
                home[i] = e
            for c in range(AXES):
                shift[e, c] = (
                    steps_of[at, 0] * number[0, c] + steps_of[at, 1] * number[1, c] + steps_of[at, 2] * number[2, c]
                )
        h = offsets[b]
        for e in range(first, first + ends[b] - first_image[b]):
            if home[owner[e]] == e:
                homes[h] = e
                h += 1
