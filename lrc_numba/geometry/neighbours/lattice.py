r"""A cell as a brick: coordinates in which the images of a point lie in an upright box, however skewed the lattice is.

The periodic vectors are shortened by adding whole multiples of each other, which changes no lattice, and turned by a
rotation Q so that each of them has components along its own axis and the ones before it alone,

    b_a = Σ_c numbers_ac a_c        Q b_a = (0, …, steps_aa, 0, …) + components along earlier periodic axes.

Then every point has one image in the brick 0 ≤ y_a < steps_aa, found from the last axis to the first; a brick with a
margin holds as many images as its volume says, in a triclinic cell as in a box. The periodic axes are the last ones;
what is left of the three axes is open.
"""

from __future__ import annotations

import numpy as np

from ...machine.cpu.compile import inlined, kernel

__all__ = ["AXES", "make_bricks"]

AXES = 3
ROUNDS = 10_000  # far more than any lattice needs whose numbers fit into 64 bits


@inlined
def _dot(left, i, right, j):
    return left[i, 0] * right[j, 0] + left[i, 1] * right[j, 1] + left[i, 2] * right[j, 2]


@inlined
def _shorten(vectors, numbers, rank):
    """Subtract multiples of vectors from each other as long as that makes one of the first ``rank`` shorter."""
    for _ in range(ROUNDS):
        changed = False
        for a in range(rank):
            for b in range(rank):
                if a == b:
                    continue
                times = np.round(_dot(vectors, a, vectors, b) / _dot(vectors, a, vectors, a))
                if times == 0.0:
                    continue
                before = _dot(vectors, b, vectors, b)
                for c in range(AXES):
                    vectors[b, c] -= times * vectors[a, c]
                if not _dot(vectors, b, vectors, b) < before * (1.0 - 1e-12):
                    for c in range(AXES):
                        vectors[b, c] += times * vectors[a, c]
                    continue
                for c in range(AXES):
                    numbers[b, c] -= np.int64(times) * numbers[a, c]
                changed = True
        if not changed:
            return


@inlined
def _remove_components(frame, first, row):
    """Make a row of the frame orthogonal to the rows from ``first`` on that come before it; twice, for rounding."""
    for _ in range(2):
        for before in range(first, row):
            along = _dot(frame, row, frame, before)
            for c in range(AXES):
                frame[row, c] -= along * frame[before, c]


@inlined
def _normalise(frame, row):
    length = np.sqrt(_dot(frame, row, frame, row))
    for c in range(AXES):
        frame[row, c] /= length
    return length


@inlined
def _complete(frame, rank):
    """Fill the rows before the last ``rank`` ones: of the axes, those that are least like what is there already."""
    taken = 0  # bits
    for open_axis in range(AXES - rank):
        row = AXES - rank - 1 - open_axis
        best, most = 0, -1.0
        for axis in range(AXES - 1, -1, -1):
            if taken >> axis & 1:
                continue
            inside = 0.0
            for later in range(row + 1, AXES):
                inside += frame[later, axis] ** 2
            if 1.0 - inside > most + 1e-9:
                best, most = axis, 1.0 - inside
        taken |= 1 << best
        for c in range(AXES):
            frame[row, c] = 1.0 if c == best else 0.0
        for _ in range(2):
            for later in range(row + 1, AXES):
                along = _dot(frame, row, frame, later)
                for c in range(AXES):
                    frame[row, c] -= along * frame[later, c]
        _normalise(frame, row)


@kernel
def make_bricks(part, lo, hi, cells, periodic, frames, steps, numbers, ranks):
    """Bricks of the cells [lo, hi).

    Parameters
    ----------
    part, lo, hi : int
        Which cells.
    cells : (B, 3, 3) float64
        Rows are lattice vectors; those of axes that are not periodic are not looked at.
    periodic : (B, 3) bool
        Along which of them.
    frames : (B, 3, 3) float64
        Q, written: y = Q x.
    steps : (B, 3, 3) float64
        Q b_a in row a, written; zeros in the rows of open axes.
    numbers : (B, 3, 3) int64
        b_a in units of the lattice vectors, written.
    ranks : (B,) int64
        Number of periodic axes, written.
    """
    for b in range(lo, hi):
        vectors, number = np.zeros((AXES, AXES)), np.zeros((AXES, AXES), dtype=np.int64)
        rank = 0
        for axis in range(AXES):
            if periodic[b, axis]:
                vectors[rank] = cells[b, axis]
                number[rank, axis] = 1
                rank += 1
        _shorten(vectors, number, rank)
        frame, first = frames[b], AXES - rank
        steps[b], numbers[b], ranks[b] = 0.0, 0, rank
        for a in range(rank):
            row = first + a
            frame[row] = vectors[a]
            _remove_components(frame, first, row)
            _normalise(frame, row)
            numbers[b, row] = number[a]
            for c in range(first, row + 1):
                steps[b, row, c] = _dot(frame, c, vectors, a)
        _complete(frame, rank)
