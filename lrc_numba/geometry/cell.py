"""The periodic cell: a box or a general lattice."""

from __future__ import annotations

import numpy as np

from ..arguments import refuse_masked

__all__ = ["Cell", "as_box", "minimum_image", "reduced_lattice", "skewness"]

MOST_STEPS = 200  # of a reduction, each of which shortens a vector
SHORTER = 1e-9  # of its square, at least


def as_box(box) -> np.ndarray:
    """A float64 copy of ``box``, checked as far as possible without the number of dimensions.

    Parameters
    ----------
    box : float, (d,) or (d, d) array
        As for ``Cell``.

    Raises
    ------
    ValueError, TypeError
        As ``Cell``.
    """
    refuse_masked("box", box)
    try:
        array = np.asarray(box)
    except ValueError:
        raise ValueError(f"box: expected a scalar, d lengths or d lattice vectors, got {box!r}") from None
    if array.dtype.kind not in "iuf":
        raise TypeError(f"box: expected real numbers, got {type(box).__name__} with dtype {array.dtype}")
    array = array.astype(np.float64)
    if not np.isfinite(array).all():
        raise ValueError(f"box: expected finite numbers, got {box}")
    if array.ndim < 2 and not (array > 0).all():
        raise ValueError(f"box: expected positive lengths, got {box}")
    return array


class Cell:
    """A periodic cell in 1, 2 or 3 dimensions.

    Parameters
    ----------
    box : float, (d,) or (d, d) array
        One length for every axis, a length per axis, or a lattice whose rows are the lattice vectors (as in ASE).
        Units of length.
    dim : int
        The number of dimensions d, which a scalar ``box`` does not tell.

    Attributes
    ----------
    matrix : (d, d) float64
        Rows are the lattice vectors.
    inverse : (d, d) float64
        ``points @ inverse`` are fractional coordinates.
    reciprocal : (d, d) float64
        Rows are the reciprocal vectors with the 2π: ``n @ reciprocal`` is the wavevector of mode n.
    volume : float
        Length, area or volume.
    smallest_height : float
        The smallest distance between opposite faces, units of length.
    orthogonal : bool
        Whether the lattice vectors lie along the axes.

    Raises
    ------
    ValueError
        For a wrong shape, lengths that are not positive and finite, or a singular lattice.
    TypeError
        When ``box`` is not made of real numbers, or is a masked array.
    """

    def __init__(self, box, dim: int):
        array = as_box(box)
        if array.shape == (dim, dim):
            matrix = array
        elif array.shape in ((), (dim,)):
            matrix = np.diag(np.broadcast_to(array, (dim,))).copy()
        else:
            raise ValueError(
                f"box: expected a scalar, shape ({dim},) or ({dim}, {dim}) for points in {dim} dimension(s), "
                f"got shape {array.shape}"
            )
        self.dim = dim
        self.matrix = matrix
        with np.errstate(over="ignore"):
            self.volume = abs(float(np.linalg.det(matrix)))
        if not 1e-290 < self.volume < 1e290 and np.linalg.matrix_rank(matrix) == dim:
            raise ValueError(f"box: expected lengths whose product is a number, got {box} with volume {self.volume:g}")
        # A cell whose shape loses more than half of the digits cannot keep any promise on accuracy.
        if self.volume == 0.0 or np.linalg.cond(matrix / np.linalg.norm(matrix, axis=1, keepdims=True)) > 1e8:
            raise ValueError(f"box: the lattice vectors are linearly dependent (or nearly so), got {matrix.tolist()}")
        self.inverse = np.linalg.inv(matrix)
        self.reciprocal = 2.0 * np.pi * self.inverse.T
        self.smallest_height = float(self.heights.min())
        self.orthogonal = bool(np.count_nonzero(matrix - np.diag(np.diag(matrix))) == 0)

    def fractional(self, points: np.ndarray) -> np.ndarray:
        """Coordinates in units of the lattice vectors, folded into [0, 1): (..., d) to (..., d)."""
        s = points @ self.inverse
        s = s - np.floor(s)
        return np.where(s >= 1.0, 0.0, s)

    def folded(self, points: np.ndarray) -> np.ndarray:
        """Points moved by whole lattice vectors into the cell; those that are in it keep their bits: (..., d)."""
        return points - np.floor(points @ self.inverse) @ self.matrix

    def minimum_image(self, displacements: np.ndarray) -> np.ndarray:
        """Displacements shifted by whole lattice vectors to fractional coordinates in [−1/2, 1/2]: (..., d).

        The shortest image for a box; for a skewed lattice an image near the shortest one, from which a search over its
        neighbours may start.
        """
        s = displacements @ self.inverse
        return displacements - np.rint(s) @ self.matrix

    @property
    def heights(self) -> np.ndarray:
        """Distances between opposite faces, (d,) in units of length."""
        return 1.0 / np.linalg.norm(self.inverse, axis=0)

    def __repr__(self) -> str:
        if self.orthogonal:
            return f"Cell(box={np.diag(self.matrix).tolist()})"
        return f"Cell(lattice={self.matrix.tolist()})"


def minimum_image(displacement: np.ndarray, box) -> np.ndarray:
    """The shortest of the periodic images of displacements in a box; also compiled into the search for neighbours.

    Parameters
    ----------
    displacement : (…, d) array
        x_i − x_j, units of length.
    box : float or (d,) float64
        Box lengths.
    """
    return displacement - box * np.round(displacement / box)


def skewness(vectors: np.ndarray) -> np.ndarray:
    """The product of the lengths of vectors over the volume they span, 1 where they are orthogonal; (...,).

    Parameters
    ----------
    vectors : (..., n, d) array
        n ≤ d rows, units of length.
    """
    volume2 = np.linalg.det(vectors @ np.swapaxes(vectors, -1, -2))
    return np.linalg.norm(vectors, axis=-1).prod(axis=-1) / np.sqrt(np.maximum(volume2, np.finfo(np.float64).tiny))


def reduced_lattice(vectors: np.ndarray) -> np.ndarray:
    """Short vectors of the same lattice and orientation: others are taken off each while that makes it shorter.

    Parameters
    ----------
    vectors : (n, d) array
        Rows, n ≤ d, linearly independent.
    """
    short = np.array(vectors, dtype=np.float64)
    for _ in range(MOST_STEPS):
        before = short.copy()
        for i in range(len(short)):
            others = np.delete(short, i, axis=0)
            if len(others) == 0:
                continue
            # The nearest combination of the others, rounded, and then each by itself where that gains nothing.
            tried = np.round(np.linalg.lstsq(others.T, short[i], rcond=None)[0]) @ others
            alone = np.round(others @ short[i] / np.sum(others**2, axis=1))[:, None] * others
            candidates = short[i] - np.concatenate([tried[None], alone])
            best = candidates[int(np.argmin(np.sum(candidates**2, axis=1)))]
            if best @ best < short[i] @ short[i] * (1 - SHORTER):
                short[i] = best
        if np.array_equal(before, short):
            break
    return short
