r"""Direct sums, as references: an O(N²) sum over pairs and periodic images, and an O(N · modes) Fourier sum.

Both are a few lines of NumPy, simple enough to be checked by reading. Neither uses grids or windows.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .. import arguments
from ..geometry.cell import Cell
from ..geometry.modes import ModeSet
from ..multipliers.multiplier import Multiplier

__all__ = ["convolve", "fourier_sum", "image_shells", "pair_sum"]

_BLOCK = 1 << 22  # numbers held at a time
_MOST_IMAGES = 50_000


def convolve(
    points, values, kernel_or_multiplier, *, box, modes=None, targets=None, exclude_self: bool = False
) -> np.ndarray:
    """u_i = Σ_j φ(x_i − x_j) f_j over all periodic images, directly.

    Parameters
    ----------
    points : (N, d) or (B, N, d) array
        Positions, units of length.
    values : (N,), (N, C), with B in front for snapshots, or None
        f, real or complex; None is ones.
    kernel_or_multiplier : callable or Multiplier
        With ``modes``: a multiplier φ̂. Without: a radial kernel φ(r) or a multiplier that knows its own.
    box : float, (d,) or (d, d) array
        As for ``lrc_convolve``.
    modes : int or d ints, optional
        Sum over these modes (``fourier_sum``); without it over pairs and images (``pair_sum``).
    targets : (T, d) or (B, T, d) array, optional
        Where u is wanted.
    exclude_self : bool
        Leave out i and its images from the sum for i.

    Returns
    -------
    ndarray
        The shape that ``lrc_convolve`` gives, float64; complex128 where ``values`` are complex.

    Raises
    ------
    ValueError, TypeError
        As ``lrc_convolve``; and when the sum over images does not converge.

    Notes
    -----
    Real numbers of any precision are converted to float64.
    """
    dim, x, f, y, has_axis = _checked(points, values, targets, exclude_self)
    snapshot, channel_axis = _one_snapshot(kernel_or_multiplier, Cell(box, dim), modes, exclude_self)
    with np.errstate(over="ignore", invalid="ignore"):  # results are checked below
        results = [snapshot(*arrays) for arrays in zip(x, f, y, strict=True)]
        if not results:  # no snapshots: one without points tells how many channels come out
            results = [snapshot(np.empty((0, dim)), np.empty((0, f.shape[2]), dtype=f.dtype), np.empty((0, dim)))]
    shape = (len(x), y.shape[1], results[0].shape[1])
    out = np.stack(results) if len(x) else np.empty(shape, dtype=results[0].dtype)
    if not np.isfinite(out).all():
        raise ValueError(
            f"values: expected numbers whose results are within the range of float64, got up to {np.abs(f).max():.3g}"
        )
    out = out if np.ndim(points) == 3 else out[0]
    return out if has_axis or channel_axis() else out[..., 0]


def _one_snapshot(kernel, cell: Cell, modes, exclude_self: bool) -> tuple[Callable, Callable]:
    """The sum for (N, d) points, (N, C) values and (T, d) targets; and whether the kernel has channels."""
    if modes is None:
        axes = np.ndim(_radial(kernel, cell.dim)(np.ones(1)))
        return lambda x, f, y: pair_sum(x, f, y, kernel, cell, exclude_self)[0], lambda: axes > 1
    mode_set = ModeSet(cell, arguments.as_modes(modes, cell.dim))
    return (
        lambda x, f, y: fourier_sum(x, f, y, kernel, mode_set, exclude_self),
        lambda: kernel.checked_values(mode_set).ndim > 1,  # after the sum, which says what is wrong with a kernel
    )


def _numbers(name: str, value, kinds: str) -> np.ndarray:
    """A finite array of float64, or of complex128 where the letter for such is among the ``kinds`` allowed."""
    arguments.refuse_masked(name, value)
    given = np.asarray(value)
    if given.dtype.kind not in kinds:
        raise TypeError(f"{name}: expected {'real or complex' if 'c' in kinds else 'real'} numbers, got {given.dtype}")
    if given.dtype.kind != "c":
        with np.errstate(over="ignore"):  # of numbers longer than float64
            return arguments.as_array(name, given.astype(np.float64), np.dtype(np.float64))
    for part in (given.real, given.imag):
        arguments.as_array(name, part.astype(np.float64), np.dtype(np.float64))
    return given.astype(np.complex128)


def _checked(points, values, targets, exclude_self: bool):
    """The dimension; (B, N, d) points, (B, N, C) values and (B, T, d) targets; whether values had a channel axis."""
    dim = arguments.points_shape("points", points, None)[-1]
    where = points = _numbers("points", points, "iuf")
    if targets is not None:
        arguments.points_shape("targets", targets, dim)
        where = _numbers("targets", targets, "iuf")
    if where.shape[:-2] != points.shape[:-2]:
        raise ValueError(f"targets: expected as many snapshots as points, {points.shape}, got {where.shape}")
    if exclude_self and targets is not None:
        raise ValueError("exclude_self: targets are not the points, so there is no self to exclude")
    given = np.ones(points.shape[:-1]) if values is None else _numbers("values", values, "iufc")
    shape = points.shape[:-1]
    if given.shape[: len(shape)] != shape or given.ndim > len(shape) + 1:
        raise ValueError(f"values: expected shape {shape} or {(*shape, 'C')}, got {given.shape}")
    has_axis = given.ndim == points.ndim
    batch, channels = len(points) if points.ndim == 3 else 1, given.shape[-1] if has_axis else 1
    x, y = points.reshape(batch, *points.shape[-2:]), where.reshape(batch, *where.shape[-2:])
    return dim, x, given.reshape(batch, points.shape[-2], channels), y, has_axis


def _radial(kernel: Callable[[np.ndarray], np.ndarray] | Multiplier, dim: int) -> Callable[[np.ndarray], np.ndarray]:
    """φ(r) of a multiplier, or the function itself."""
    return (lambda r: kernel.kernel(r, dim)) if isinstance(kernel, Multiplier) else kernel


def fourier_sum(
    points: np.ndarray,
    values: np.ndarray,
    targets: np.ndarray,
    multiplier: Multiplier,
    modes: ModeSet,
    exclude_self: bool = False,
) -> np.ndarray:
    """(1/V) Σ_k φ̂(k) F(k) e^{ik·x} with F(k) = Σ_j f_j e^{−ik·x_j}, mode by mode.

    Parameters
    ----------
    points : (N, d) float64
        Sources.
    values : (N, C) float64 or complex128
        f.
    targets : (T, d) float64
        Where.
    multiplier : Multiplier
        φ̂.
    modes : ModeSet
        Which modes, in which cell.
    exclude_self : bool
        Subtract φ(0) f_i; the targets are the points.

    Returns
    -------
    (T, C_out) ndarray
        Real, or complex where ``values`` are.
    """
    if not isinstance(multiplier, Multiplier):
        raise TypeError(f"multiplier: a Fourier sum needs a Multiplier, got {type(multiplier).__name__}")
    if np.iscomplexobj(values):  # half of the modes are enough for real values only
        parts = (fourier_sum(points, f, targets, multiplier, modes, exclude_self) for f in (values.real, values.imag))
        return next(parts) + 1j * next(parts)
    phi = multiplier.checked_values(modes)
    matrix = phi.reshape(-1, 1, modes.size) if phi.ndim == 2 else phi  # (C_out, C_in, modes), or (modes,)
    if phi.ndim > 1 and matrix.shape[1] != values.shape[1]:
        raise ValueError(f"multiplier: takes {matrix.shape[1]} channel(s), values have {values.shape[1]}")
    out = np.zeros((len(targets), values.shape[1] if phi.ndim == 1 else matrix.shape[0]))
    step = max(1, _BLOCK // max(len(points), len(targets), 1))
    s, y = modes.cell.fractional(points), modes.cell.fractional(targets)
    for start in range(0, modes.size, step):
        block = slice(start, start + step)
        n = modes.numbers[block].T
        transform = np.exp(-2j * np.pi * (s @ n)).T @ values  # (modes, C)
        if phi.ndim == 1:
            product = phi[block, None] * transform
        else:
            product = np.einsum("ocm,mc->mo", matrix[..., block], transform)
        out += (np.exp(2j * np.pi * (y @ n)) @ (modes.weights[block, None] * product)).real
    if exclude_self:
        value_at_r0 = phi.real @ modes.weights
        out -= values @ value_at_r0.reshape(matrix.shape[:-1]).T if phi.ndim > 1 else values * value_at_r0
    return out / modes.cell.volume


def pair_sum(
    points: np.ndarray,
    values: np.ndarray,
    targets: np.ndarray,
    kernel: Callable[[np.ndarray], np.ndarray] | Multiplier,
    cell: Cell,
    exclude_self: bool = False,
    tolerance: float = 1e-15,
) -> tuple[np.ndarray, float]:
    """Σ_j Σ_images f_j φ(|x_i − x_j + l|), and a bound on what the images left out could add to any u_i.

    Parameters
    ----------
    points : (N, d) float64
        Sources.
    values : (N, C) float64 or complex128
        f.
    targets : (T, d) float64
        Where.
    kernel : callable or Multiplier
        φ(r): (…) to (*shape, …), |φ| not increasing with r.
    cell : Cell
        The cell.
    exclude_self : bool
        Leave out i with all its images; the targets are the points.
    tolerance : float
        Images are added until those left out are below this, relative to the kernel at half a cell.

    Returns
    -------
    (T, C_out) ndarray, float
        u, complex where ``values`` or the kernel are, and the bound.

    Raises
    ------
    ValueError
        When the kernel decays too slowly, or is infinite because a target sits on a source.
    """
    phi = _radial(kernel, cell.dim)
    shells, tail = image_shells(phi, cell, tolerance)
    grid = np.meshgrid(*[np.arange(-shells, shells + 1)] * cell.dim, indexing="ij")
    images = np.stack(grid, axis=-1).reshape(-1, cell.dim) @ cell.matrix
    sample = np.asarray(phi(np.ones(1)))
    shape, dtype = sample.shape[:-1], np.result_type(sample, values, np.float64)
    inputs = shape[1] if len(shape) == 2 else 1
    if shape and inputs != values.shape[1]:
        raise ValueError(f"multiplier: takes {inputs} channel(s), values have {values.shape[1]}")
    out = np.zeros((len(targets), shape[0] if shape else values.shape[1]), dtype=dtype)
    step = max(1, _BLOCK // max(len(points) * cell.dim, 1))
    for start in range(0, len(targets), step):
        rows = slice(start, start + step)
        own = np.arange(len(targets))[rows, None] == np.arange(len(points)) if exclude_self else None
        weights = _pair_weights(cell.minimum_image(targets[rows, None] - points[None]), images, phi, own)
        if shape:
            out[rows] = np.einsum("ocij,jc->io", weights.reshape(shape[0], inputs, *weights.shape[-2:]), values)
        else:
            out[rows] = weights @ values
    return out, tail * float(np.abs(values).sum())


def _pair_weights(separation: np.ndarray, images: np.ndarray, phi: Callable, own: np.ndarray | None) -> np.ndarray:
    """Σ_images φ(|separation + image|), zero where ``own``: (T, N, d) to (*shape, T, N)."""
    weights: np.ndarray | float = 0.0
    for image in images:
        r = np.linalg.norm(separation + image, axis=-1)
        weights = weights + np.asarray(phi(r if own is None else np.where(own, 1.0, r)))
    if own is not None:
        weights = np.where(own, 0.0, weights)
    if not np.isfinite(weights).all():
        raise ValueError("kernel: infinite or undefined where a target meets a source; pass exclude_self=True")
    return np.asarray(weights)


def image_shells(phi: Callable[[np.ndarray], np.ndarray], cell: Cell, tolerance: float) -> tuple[int, float]:
    """How many shells of images are needed, and a bound per unit of |f| on all shells beyond.

    Shell t holds the (2t + 1)^d − (2t − 1)^d images with largest lattice index t. Displacements are within half a cell,
    so all of its distances are at least (t − 1/2) h, with h the smallest distance between opposite faces;
    |φ| does not increase.

    Parameters
    ----------
    phi : callable
        φ(r).
    cell : Cell
        The cell.
    tolerance : float
        Relative to |φ| at half a cell.

    Raises
    ------
    ValueError
        When too many images would be needed.
    """
    height = cell.smallest_height
    most = int((_MOST_IMAGES ** (1 / cell.dim) - 1) / 2)
    far = np.arange(1, 8 * most + 1)
    size = np.abs(np.asarray(phi((far - 0.5) * height))).reshape(-1, len(far)).max(axis=0)
    shells = ((2.0 * far + 1) ** cell.dim - (2.0 * far - 1) ** cell.dim) * size
    tails = np.append(np.cumsum(shells[::-1])[::-1], 0.0)  # tails[t] bounds the shells t + 1, t + 2, …
    enough = np.flatnonzero(tails[: most + 1] <= tolerance * size[0])
    if not len(enough) or shells[-1] * len(far) > tolerance * size[0]:
        raise ValueError(
            f"kernel: the sum over images does not converge to {tolerance:g} within {(2 * most + 1) ** cell.dim} images"
        )
    return int(enough[0]), float(tails[enough[0]])
