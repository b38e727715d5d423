r"""A plan whose points are shared out over processes: each spreads and transforms its own, the modes are summed.

    F(k) = Σ_ranks Σ_{j of the rank} f_j e^{−ik·x_j}          each rank reads u at its own targets

The grid is that of one process with all the points, and every rank transforms one of its own: that is the price of one
sum of the kept modes, far fewer than nodes, instead of the transposes of a distributed FFT.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np

from ..engine.deconvolution import MultiplierTable
from ..multipliers import Multiplier
from ..plan import LRCPlan
from ..planning.calls import Call, is_complex
from .ranks import Ranks

__all__ = ["DistributedPlan"]

WEIGHTS = np.random.default_rng(0).standard_normal(61)  # of numbers in a row; rows have others, so that nothing repeats


def _kind(values=None, *_, **__) -> str:
    """Of the numbers in what a method is called with: complex ones take two convolutions."""
    return "complex" if is_complex(values) else "real"


def _together(method: Callable) -> Callable:
    """A method that all ranks call; what one of them raises in it, all of them raise."""

    @wraps(method)
    def call(plan: DistributedPlan, *args, **kwargs):
        """The method, on all ranks."""
        if not plan._idle:
            return method(plan, *args, **kwargs)  # raises: others wait for the thread that is at work
        name = plan._name = method.__name__
        with plan._ranks.together(name):
            if plan._points is not None or name.startswith("set_"):  # others raise at once, which says more
                plan._ranks.agree(name if name.startswith("set_") else f"{name} of {_kind(*args, **kwargs)} values", "")
            if wrt := kwargs.get("wrt", ""):
                names = {wrt} if isinstance(wrt, str) else set(wrt)
                kwargs["wrt"], plan._name = names, f"{name} by {sorted(map(str, names))}"
            result = method(plan, *args, **kwargs)
            if name == "set_cell":
                plan._ranks.agree("cell", np.asarray(plan.choices.box).tolist())
            if plan._points is not None and name.startswith("set_"):
                plan._ranks.agree("points", plan._layout())
            return result

    return call


class DistributedPlan(LRCPlan):
    """An ``LRCPlan`` of the points of all ranks, where each rank gives and gets those of its own.

    Parameters
    ----------
    comm : mpi4py.MPI.Intracomm
        The processes; all of them make the same plan and call the same methods. None is ``COMM_WORLD``.
    box, modes, **settings
        As for ``LRCPlan``, the same on all ranks; back end "cpu".

    Raises
    ------
    ValueError, TypeError, MemoryError
        As ``LRCPlan`` does, on all ranks: the argument, and the rank where it is wrong. Also for settings, dimensions,
        numbers of snapshots or channels, and multipliers that differ.
    ImportError
        Where there is no MPI.

    Notes
    -----
    Points, targets, values, cotangents and u are those of the rank, any number of them, none as well. Gradients by
    parameters and by the cell are those of all ranks together, the same on each. Of S snapshots of C channels a call
    sends S·C·modes·16 B·2(R − 1)/R, half of that in float32; sums are in the order of ranks, so that bits depend on who
    has which points alone.
    """

    _ranks: Ranks
    _name: str
    _looked: tuple = (None, (0.0, 0.0))

    def __init__(self, comm, box, modes, **settings: Any):
        object.__setattr__(self, "_ranks", comm if isinstance(comm, Ranks) else Ranks(comm))
        with self._ranks.together("DistributedPlan"):
            if (backend := settings.get("backend", "cpu")) != "cpu":
                raise NotImplementedError(f"backend: plans on several ranks are for 'cpu', got {backend!r}")
            super().__init__(box, modes, **settings)
            choices = self.choices
            self._ranks.agree(
                "settings",
                f"box={choices.box}, modes={choices.modes}, eps={self.eps}, nodes={choices.nodes}, dim={choices.dim}, "
                f"window={self.window}, gradient={self.gradient}, dtype={self.dtype}",
            )

    def __repr__(self) -> str:
        described = super().__repr__().replace(LRCPlan.__name__, type(self).__name__, 1)
        return f"{described}\n  ranks     {self._ranks.rank} of {self._ranks.size}"

    @property
    def ranks(self) -> Ranks:
        """The processes."""
        return self._ranks

    def _layout(self) -> str:
        points = self._points
        assert points is not None
        beside = "" if points.targets_shape is None else " with targets"
        return f"in {self.grid.dim} dimension(s), {points.batch} snapshot(s){beside}"

    def _call(self, values, multiplier: Multiplier, exclude_self: bool) -> Call:
        call = super()._call(values, multiplier, exclude_self)
        leaves_out = " without themselves" if exclude_self else ""
        self._ranks.agree(f"{self._name}{leaves_out}", "{} channel(s) to {}".format(*call.channels))
        self._ranks.agree("multiplier", call.table.shape, self._look_of(call.table))
        return call

    def _look_of(self, table: MultiplierTable) -> tuple[float, float]:
        """The norm of a table, and a sum of its numbers with weights of either sign: numbers of others differ."""
        if self._looked[0] is not table:
            flat = np.ravel(table.table)
            flat = np.concatenate([flat, np.zeros(-len(flat) % len(WEIGHTS), dtype=flat.dtype)])
            rows = flat.reshape(-1, len(WEIGHTS))
            by_rows = np.cos(np.arange(len(rows))) @ rows
            weighted = float(np.real(by_rows @ WEIGHTS) + np.imag(by_rows @ WEIGHTS[::-1]))
            object.__setattr__(self, "_looked", (table, (float(np.sqrt(table.squares)), weighted)))
        return self._looked[1]

    def linearise(self, values, multiplier: Multiplier):
        """Not on several ranks: errors in what it returns would leave other ranks waiting.

        Parameters
        ----------
        values, multiplier
            Not looked at.
        """
        raise NotImplementedError("linearise: not for points on several ranks; use vjp, jvp and parameters_jvp")

    def repeat_energy(self, points, values, multiplier: Multiplier, tangents=None):
        """Not on several ranks, for the same reason.

        Parameters
        ----------
        points, values, multiplier, tangents
            Not looked at.
        """
        raise NotImplementedError("repeat_energy: not for points on several ranks; use set_points and energy")

    set_points = _together(LRCPlan.set_points)
    set_cell = _together(LRCPlan.set_cell)
    convolve = _together(LRCPlan.convolve)
    jvp = _together(LRCPlan.jvp)
    vjp = _together(LRCPlan.vjp)
    energy = _together(LRCPlan.energy)
    parameters_jvp = _together(LRCPlan.parameters_jvp)
    spread = _together(LRCPlan.spread)
