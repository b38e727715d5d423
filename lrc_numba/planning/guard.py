"""Methods of a plan that work alone, and say what went beyond the range of its numbers."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import signature
from math import sqrt
from typing import Any, ParamSpec, TypeVar

import numpy as np

from .. import arguments
from ..gradient import Gradient
from ..machine.alone import at_work, taken

__all__ = ["computes", "in_range"]

LINEAR = ("values", "cotangent", "dpoints", "dvalues", "dtargets", "dcotangent")  # what results are linear in
P = ParamSpec("P")
R = TypeVar("R")


def computes(method: Callable[P, R]) -> Callable[P, R]:
    """A method that works ``alone`` and raises a ValueError where its results are beyond the range of the dtype."""

    bound = signature(method)

    @wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        """The method, alone, and its result looked at."""
        plan: Any = args[0]
        idle: list = plan._idle
        if not taken(idle):
            raise at_work(method.__name__, args[0])
        try:
            return in_range(plan, lambda: bound.bind(*args, **kwargs).arguments, lambda: method(*args, **kwargs))
        finally:
            idle.append(None)

    return call


def in_range(plan, given: Callable[[], dict], compute: Callable[[], R]) -> R:
    """What ``compute`` returns, or a ValueError where that is beyond the range of the dtype.

    Parameters
    ----------
    plan : LRCPlan
        Whose results these are.
    given : function
        What the user passed in, by the names of the arguments: only asked for where it is needed.
    compute : function
        Does the work.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # what comes of it is looked at
        result = compute()
    if plan.choices.engine.parallel.runs() and not _is_finite(result, plan.choices.engine.arrays):
        raise _beyond_range(plan, given())
    return result


def _is_finite(result, arrays) -> bool:
    """Whether all numbers of a result are finite."""
    if type(result) is np.ndarray:
        return arguments.all_finite(result, arrays)
    if isinstance(result, Gradient):
        parts = [result.output, result.points, result.values, result.targets, result.cell]
        parts += (result.parameters or {}).values()
    elif hasattr(result, "results"):
        parts = result.results()
    else:
        parts = list(result.values()) if isinstance(result, dict) else [result]
    return all(part is None or arguments.all_finite(part, arrays) for part in parts)


def _beyond_range(plan, given: dict) -> ValueError:
    """Which argument is to blame: of what is multiplied with each other, what is largest."""
    arrays, sizes = plan.choices.engine.arrays, {}
    for name in LINEAR:
        if given.get(name) is not None:
            array = np.abs(np.asarray(arrays.to_host(given[name])))
            sizes[name] = float(array.max()) if array.size else 0.0
    largest = max(sizes, key=sizes.__getitem__, default="")
    # A product of two numbers is beyond the range only where one of them is beyond its root.
    count = max(1, plan.grid.mode_set.size, plan.n_points)
    if not largest or sizes[largest] * count < sqrt(np.finfo(plan.dtype).max):
        return ValueError(f"multiplier: results with {given['multiplier']!r} are beyond the range of {plan.dtype}")
    return ValueError(
        f"{largest}: expected numbers whose results are within the range of {plan.dtype}, "
        f"got up to {sizes[largest]:.3g}"
    )
