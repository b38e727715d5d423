"""Many channels, some at a time: so that their grids stay in a cache, and memory does not grow with them."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

import numpy as np

from .deconvolution import MultiplierTable
from .grid.sizes import AT_ONCE
from .tangents import Cotangents, Tangents

__all__ = ["columns_of", "consecutive", "grouped", "joined"]


def grouped(grids: int) -> Callable:
    """A method of ``Operator`` that does ``AT_ONCE`` channels on the grid at a time where one kernel serves them all.

    Arguments that are arrays (B·N, C), and tangents, are cut into groups of channels. Of what is returned, arrays
    (B·N, C) are put side by side, gradients by points and by φ̂ are added up. On a GPU all channels go at once.

    Parameters
    ----------
    grids : int
        How many channels of the grid the method takes for one of f.
    """
    most = max(AT_ONCE // grids, 1)

    def decorate(method: Callable) -> Callable:
        @wraps(method)
        def call(operator, *arguments):
            """The method, group by group."""
            channels = next(each.shape[1] for each in arguments if isinstance(each, operator.xp.ndarray))
            table = next(each for each in arguments if isinstance(each, MultiplierTable))
            if channels <= most or not table.per_channel or operator.xp is not np:
                return method(operator, *arguments)
            groups = (slice(lo, lo + most) for lo in range(0, channels, most))
            return joined([method(operator, *(columns_of(each, some) for each in arguments)) for some in groups])

        return call

    return decorate


def columns_of(argument, some: slice):
    """Some channels of an argument that has channels."""
    if isinstance(argument, np.ndarray):
        return np.ascontiguousarray(argument[:, some])
    if isinstance(argument, Tangents):
        return Tangents(np.ascontiguousarray(argument.values[:, some]), argument.sources, argument.targets)
    return argument


def joined(parts: list):
    """What all channels would have returned."""
    first = parts[0]
    if isinstance(first, tuple):
        return tuple(np.concatenate(each, axis=1) for each in zip(*parts, strict=True))
    if not isinstance(first, Cotangents):
        return np.concatenate(parts, axis=1) if first.ndim == 2 else sum(parts[1:], first)
    sources = _sum([each.sources for each in parts])
    same = first.targets is first.sources
    return Cotangents(
        np.concatenate([each.output for each in parts], axis=1),
        None if first.values is None else np.concatenate([each.values for each in parts], axis=1),
        sources,
        sources if same else _sum([each.targets for each in parts]),
        _sum([each.table for each in parts]),
    )


def _sum(arrays: list):
    return None if arrays[0] is None else sum(arrays[1:], arrays[0])


def consecutive(*counts: int) -> list[range]:
    """Consecutive ranges of channels of these lengths."""
    stops = np.cumsum(counts).tolist()
    return [range(stop - count, stop) for stop, count in zip(stops, counts, strict=True)]
