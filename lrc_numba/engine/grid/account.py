"""How much memory a problem takes, computed from the sizes of its grid alone; nothing is allocated."""

from __future__ import annotations

from collections.abc import Collection
from math import prod
from typing import TYPE_CHECKING

from .sizes import AT_ONCE, LONGEST_LINE

if TYPE_CHECKING:
    from .grid import Grid

__all__ = ["account"]

LIBRARY = 3  # arrays as long as a line that a library has for a short time: tables, buffers, what is not yet freed


def account(
    grid: Grid, points: int, batch: int, channels: int, wrt: Collection[str], targets: bool, maps: int
) -> dict[str, int]:
    """Bytes of everything that is held at once when memory is tightest, by what it is for.

    Tables of the modes are made before there is a workspace, and what they are made from is gone when a transform is
    done, so of what is needed for a short time only the larger counts, and of the tables only what exceeds the
    workspace. A multiplier that takes the place of another one needs its own table and numbers beside all that.

    Parameters
    ----------
    grid : Grid
        Sizes.
    points, batch, channels, wrt, targets, maps
        As for ``Grid.account``.

    Returns
    -------
    dict of str to int
        "modes": integers, k² and weights. "tables": φ̂ and 1/ψ̂². "points": sorted points, values and results. "grid".
        "transforms": what lies between axes. "temporary": what is given back, as far as nothing else had been there.
    """
    size, stored, long = grid.dtype.itemsize, grid.mode_set.size, sum(grid.mode_set.shape)
    gradient = bool(wrt)
    wide = channels * (2 if gradient and not targets else 1)
    if maps == 1 and grid.backend.arrays.OWN_TRANSFORMS:
        wide = min(wide, AT_ONCE * grid.dim)  # with ik between, each becomes d
    modes = 8 * (long + 2 * stored)
    tables = size * (maps * stored + long)
    space = batch * size * wide * prod(grid.layout.padded)
    between, short = _transforms(grid, batch, wide, "parameters" in wrt)
    of_points = batch * _of_points(grid, points, channels, gradient) * (2 if targets else 1)
    if "parameters" in wrt:
        short = max(
            short, (4 * size + 40) * stored * maps
        )  # the cotangent of φ̂, twice and in double precision, and ∂φ̂/∂θ
    making = (
        8 * (1 + maps) * stored
        + max(0, (8 - size) * long)
        + 8 * grid.window.width * 24 * min(max(grid.mode_set.shape), 256)
    )
    return {
        "modes": modes,
        "tables": tables,
        "points": of_points,
        "grid": space,
        "transforms": between,
        "temporary": max(short, making - space - between, 0) + 2**17,
    }


def _transforms(grid: Grid, batch: int, channels: int, seen: bool) -> tuple[int, int]:
    """Bytes of the workspace of transforms beside the grid, and what they need for a short time.

    ``seen``: whether the modes themselves are wanted, which in three dimensions are not written down else.
    """
    number, wide = 2 * grid.dtype.itemsize, batch * channels
    first, second, _ = grid.nodes
    inner = -(-grid.stored[2] // 8) * 8
    products = 2 * wide * number * prod(grid.stored)  # spread, and times φ̂
    if not (grid.backend.arrays.OWN_TRANSFORMS and grid.smooth):  # out of place, and all modes
        return products, wide * (number * prod(grid.stored) + 5 * number * prod(grid.nodes) // 2)
    if grid.dim == 1:
        return products, _line(grid, wide)
    planes = wide * number * first * grid.stored[1] * inner
    starts = 3 * 8 * wide * first * second + number * second * inner  # where rows begin, and a plane
    if grid.dim == 2:
        rows = wide * number * second * inner if wide < 4 else 0
        return products + planes + rows, starts
    uneven = inner != grid.stored[2]
    if seen:
        return products + planes + 2 * uneven * wide * number * prod(grid.stored[:2]) * inner, starts
    return planes, starts


def _line(grid: Grid, lines: int) -> int:
    """Bytes of transforms of one axis for a short time."""
    size, length = grid.dtype.itemsize, grid.n[0]
    if length <= LONGEST_LINE:
        return 2 * size * (8 * length + 128) + size * 2 * length
    buffers = LIBRARY * min(lines, grid.backend.parallel.available_threads())
    return (1 + buffers + 2 * lines) * size * length


def _of_points(grid: Grid, points: int, channels: int, gradient: bool) -> int:
    """Bytes of one snapshot's points: sorted, their chunks, their values, their results."""
    tiles, size = prod(grid.layout.tiles), grid.dtype.itemsize
    both = channels * (2 if gradient else 1)
    sorting = points * (8 * grid.dim + (4 if tiles > 1 else 0) + (4 if tiles > 1 and grid.dim == 3 else 0))
    chunks = 168 * (min(points, tiles) + 1) + 16 * tiles + prod(grid.layout.padded[:2])
    crowded = 8 * points * both if points > 2048 else 0  # numbers in scratch blocks, when all are in crowded tiles
    results = points * (both + (grid.dim if gradient else 0)) * (3 if tiles > 1 else 1)
    return sorting + chunks + size * (crowded + results)
