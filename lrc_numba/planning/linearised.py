"""u = K f of a plan, ready for its derivatives: what a step of force matching asks for, one after the other.

``LRCPlan.convolve``, ``vjp``, ``jvp`` and ``parameters_jvp`` begin anew each time; here f is spread once.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..engine.linearised import bytes_kept, linearise
from ..gradient import Gradient, parameter_gradient
from ..machine.alone import alone
from ..machine.workspace import Workspace
from ..multipliers import Multiplier
from .calls import Call, as_names, refuse_complex
from .gradients import asked_of_engine, gradient_of, names_of_vjp
from .guard import in_range

if TYPE_CHECKING:
    from ..engine.operator import Operator
    from .choices import Choices

__all__ = ["GradientTangent", "Linearised", "Linearising"]


@dataclass(frozen=True)
class GradientTangent:
    """What ``Linearised.vjp_jvp`` returns; a part that was not asked for is None.

    Attributes
    ----------
    values : ndarray
        Σ g·∂u/∂f itself, the shape of the values.
    values_tangent : ndarray
        Its derivative along the direction.
    parameters_tangent : dict of str to ndarray
        The derivative of Σ g·∂u/∂θ along the direction, for every parameter of the multiplier.
    """

    values: np.ndarray | None
    values_tangent: np.ndarray | None
    parameters_tangent: dict[str, np.ndarray] | None

    def results(self) -> list[np.ndarray | None]:
        """All arrays."""
        return [self.values, self.values_tangent, *(self.parameters_tangent or {}).values()]


class Linearised:
    """One convolution u = K f, and its derivatives at these points, values and parameters; ``LRCPlan.linearise``.

    It is good until the plan gets other points or another cell, or the multiplier another state; then its methods
    raise a RuntimeError. Values that change afterwards change nothing here.

    Attributes
    ----------
    output : ndarray
        u, as ``LRCPlan.convolve`` returns it.
    """

    def __init__(self, plan: LinearisedPlan, call: Call, multiplier: Multiplier):
        self._plan, self._call, self._multiplier = plan, call, multiplier
        self._idle = plan._idle  # it works with the workspace of the plan, so one of both at a time
        self._moves, self._state = False, multiplier.state()
        self._space = plan._kept_spaces.pop() if plan._kept_spaces else Workspace(call.arrays)
        operator, sources = plan._operator, call.points.sources
        self._engine = linearise(operator, sources, call.table, call.values, self._space)
        self.output = call.returned(self._engine.output.copy(), call.shape)

    def results(self) -> list[np.ndarray]:
        """All arrays that are ready."""
        return [self.output]

    def __del__(self) -> None:
        if hasattr(self, "_space"):
            self._plan._kept_spaces.append(self._space)

    def _check(self, wanted: set[str]) -> None:
        """A RuntimeError where the points are gone, or the parameters by which derivatives are wanted."""
        if wanted & {"parameters", "cell"} and self._multiplier.state() != self._state:
            raise RuntimeError(f"linearised: {self._multiplier!r} has changed since; call linearise again after that")
        if self._plan._points is not self._call.points:
            raise RuntimeError(
                "linearised: the plan has got other points or another cell since; call linearise again after that"
            )

    @alone
    def vjp(self, cotangent, *, wrt: Collection[str] = ("points", "values", "parameters")) -> Gradient:
        """Gradient of Σ g·u, as ``LRCPlan.vjp`` returns it; about one convolution.

        Parameters
        ----------
        cotangent : array of the shape of the output
            g; ``vjp_jvp`` is cheaper for the same one, or for that with the sign turned.
        wrt : collection of {"points", "values", "parameters", "cell"}
            Which gradients are wanted.

        Raises
        ------
        RuntimeError
            Where the plan has got other points since, or is at work.
        """
        plan, call, multiplier = self._plan, self._call, self._multiplier
        wanted = names_of_vjp(wrt, multiplier)
        self._check(wanted)
        refuse_complex(plan.dtype, cotangent=cotangent)
        g, size = call.cotangent("cotangent", cotangent)

        def compute() -> Gradient:
            result = self._engine.vjp(g, asked_of_engine(wanted))
            result.output = result.output.copy()
            return gradient_of(result, plan._operator, call, multiplier, g, wanted)

        if not wanted & {"parameters", "cell"} and call.safe_vjp(size, plan._operator.grid.steepest):
            return compute()
        return in_range(plan, lambda: dict(cotangent=cotangent, multiplier=multiplier), compute)

    @alone
    def jvp(self, dpoints=None, dvalues=None) -> np.ndarray:
        """u̇ along a direction, as ``LRCPlan.jvp`` returns it; about one convolution. ``vjp_jvp`` goes along it, too.

        Parameters
        ----------
        dpoints : array of the shape of the points, optional
            ẋ, units of length.
        dvalues : array of the shape of the values, optional
            ḟ.

        Raises
        ------
        RuntimeError
            Where the plan has got other points since, or is at work.
        """
        self._check(set())
        plan, call = self._plan, self._call
        refuse_complex(plan.dtype, dvalues=dvalues)
        tangents, self._moves = call.tangents(dpoints, dvalues, None), False

        def compute() -> np.ndarray:
            return call.returned(self._engine.jvp(tangents), call.shape)

        given = dict(dpoints=dpoints, dvalues=dvalues, multiplier=self._multiplier)
        out, self._moves = in_range(plan, lambda: given, compute), True
        return out

    @alone
    def vjp_jvp(
        self, cotangent, dcotangent=None, *, wrt: Collection[str] = ("values", "parameters")
    ) -> GradientTangent:
        """Derivative of ``vjp`` along ġ and the direction of the last ``jvp``: what the gradient of a force loss needs.

        Of the parameters it is what ``LRCPlan.parameters_jvp`` returns. With the cotangent that ``vjp`` had last, or
        minus that, it costs half a convolution for the parameters and one with the values.

        Parameters
        ----------
        cotangent : array of the shape of the output
            g.
        dcotangent : array of the shape of the output, optional
            ġ.
        wrt : collection of {"values", "parameters"}
            Which gradients are wanted.

        Raises
        ------
        ValueError
            Where there was no ``jvp``.
        RuntimeError
            Where the plan has got other points since, or is at work.
        """
        plan, call, multiplier = self._plan, self._call, self._multiplier
        wanted = as_names(wrt, ("values", "parameters"))
        self._check(wanted)
        if not self._moves:
            raise ValueError("linearised: vjp_jvp goes along the direction of the last jvp, and there was none")
        refuse_complex(plan.dtype, cotangent=cotangent, dcotangent=dcotangent)
        g = call.cotangent("cotangent", cotangent)[0]
        dg = call.arrays.xp.zeros_like(g) if dcotangent is None else call.cotangent("dcotangent", dcotangent)[0]

        def compute() -> GradientTangent:
            made, by_parameters = self._engine.vjp_jvp(g, dg, asked_of_engine(wanted)), None
            if "parameters" in wanted:
                moved = call.table_cotangent(made.table, [], plan._operator.context.over_ranks)
                by_parameters = parameter_gradient(multiplier, plan._operator.grid.mode_set, moved)
            values, tangent = (call.returned(each, call.values_shape) for each in (made.values, made.dvalues))
            return GradientTangent(values, tangent, by_parameters)

        given = dict(cotangent=cotangent, dcotangent=dcotangent, multiplier=multiplier)
        return in_range(plan, lambda: given, compute)


class LinearisedPlan:
    """What ``Linearised`` needs of a plan."""

    _operator: Operator
    _points: Any
    _idle: list
    _kept_spaces: list[Workspace]
    choices: Choices
    dtype: np.dtype


class Linearising(LinearisedPlan):
    """The part of ``LRCPlan`` that linearises."""

    @alone
    def linearise(self, values, multiplier: Multiplier) -> Linearised:
        """u = K f, together with what its derivatives share with it: for several of them at the same points and values.

        A step of force matching (u, its gradient, its tangent along a direction, and the derivative of the gradient)
        takes 0.5 to 0.8 of the time of ``convolve``, ``vjp``, ``jvp`` and ``parameters_jvp`` (measured by
        ``validation.benchmark_training``); results are the same to rounding. The modes of f, and grids of moderate
        size, are kept for as long as the result is.

        Parameters
        ----------
        values : (N,), (N, C), with B in front for snapshots, or None
            f; None is ones.
        multiplier : Multiplier
            φ̂, of shape (), (C_out,) or (C_out, C_in).

        Raises
        ------
        ValueError, TypeError, MemoryError
            As ``convolve``; a ValueError for points with targets.
        RuntimeError
            Where the plan is at work in another thread.
        """
        refuse_complex(self.dtype, values=values)
        call = self._call(values, multiplier, False)  # type: ignore[attr-defined]
        if call.points.targets_shape is not None:
            raise ValueError("targets: expected points that are their own targets, and these were set with others")
        grid, batch = self._operator.grid, call.points.batch
        needed = sum(bytes_kept(grid, batch, *call.channels))
        self.choices.check_memory("values", "{} channel(s) to {}, linearised,".format(*call.channels), needed)

        def compute() -> Linearised:
            return Linearised(self, call, multiplier)

        if call.safe:
            return compute()
        return in_range(self, lambda: {"values": values, "multiplier": multiplier}, compute)
