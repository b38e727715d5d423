"""Gradients of a call: what the operator returns, with φ(0) taken off, by parameters and by the cell, in shape."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..engine.chain import Chain
from ..engine.operator import Operator
from ..engine.tangents import Cotangents, Tangents
from ..gradient import Gradient, parameter_gradient, table_gradients
from ..multipliers import Multiplier
from .calls import WRT, Call, as_names

__all__ = [
    "asked_of_engine",
    "energy_gradient",
    "gradient_of",
    "names_of_energy",
    "names_of_vjp",
    "parameters_jvp",
    "refuse_energy",
    "vjp",
]

OF_TABLE = frozenset({"parameters", "cell"})  # both follow from the cotangent of φ̂
WRT_OF_ENERGY = (*WRT, "cells")


def vjp(
    operator: Operator, call: Call, multiplier: Multiplier, g: np.ndarray, wanted: set[str], exclude_self: bool
) -> Gradient:
    """``LRCPlan.vjp`` of arguments that are checked.

    Parameters
    ----------
    operator : Operator
        Of the plan.
    call : Call
        Points, f and φ̂.
    multiplier : Multiplier
        Whose parameters there are.
    g : (B·T, C_out)
        Cotangent of u.
    wanted : set of str
        Some of ``calls.WRT``.
    exclude_self : bool
        Leave out φ(0) f_i.
    """
    result = operator.vjp(*call.operands, g, asked_of_engine(wanted))
    return gradient_of(result, operator, call, multiplier, g, wanted, exclude_self)


def asked_of_engine(wanted: set[str]) -> set[str]:
    """Of which the gradients that are wanted follow: the cotangent of φ̂ gives those by parameters and by the cell."""
    of_table = wanted & OF_TABLE
    return wanted - of_table | ({"table"} if of_table else set())


def gradient_of(
    result: Cotangents,
    operator: Chain,
    call: Call,
    multiplier: Multiplier,
    g: np.ndarray,
    wanted: set[str],
    exclude_self: bool = False,
) -> Gradient:
    """What the engine returned, as the user sees it.

    Parameters
    ----------
    result : Cotangents
        For ``asked_of_engine(wanted)``.
    operator : Chain
        What it was computed with.
    call, multiplier, g, wanted, exclude_self
        As for ``vjp``.
    """
    points, table, of_table = call.points, call.table, wanted & OF_TABLE
    by_parameters, by_cell = None, None
    if of_table:
        own = [(g, call.values)] if exclude_self else []
        of_phi = call.table_cotangent(result.table, own, operator.context.over_ranks)
        by_parameters, by_cell = table_gradients(multiplier, operator.grid.mode_set, of_phi, of_table)
    output, by_values, moved = result.output, result.values, "points" in wanted
    if exclude_self:
        output = output - table.self_interaction(call.values)
        if by_values is not None:
            by_values = by_values - table.self_interaction(g, adjoint=True)
    return Gradient(
        output=call.returned(output, call.shape),
        points=call.returned(result.sources if moved else None, points.shape),
        values=call.returned(by_values, call.values_shape),
        parameters=by_parameters,
        targets=call.returned(result.targets, points.targets_shape) if moved and points.targets_shape else None,
        cell=by_cell,
    )


def parameters_jvp(
    operator: Operator,
    call: Call,
    multiplier: Multiplier,
    g: np.ndarray,
    dg: np.ndarray,
    tangents: Tangents,
    exclude_self: bool,
) -> dict[str, np.ndarray]:
    """``LRCPlan.parameters_jvp`` of arguments that are checked.

    Parameters
    ----------
    operator, call, multiplier, g, exclude_self
        As for ``vjp``.
    dg : (B·T, C_out)
        ġ.
    tangents : Tangents
        ḟ and ẋ.
    """
    moved = operator.table_jvp(*call.operands, g, dg, tangents)
    own = [(dg, call.values), (g, tangents.values)] if exclude_self else []
    moved = call.table_cotangent(moved, own, operator.context.over_ranks)
    return parameter_gradient(multiplier, operator.grid.mode_set, moved)


def names_of_vjp(wrt, multiplier: Multiplier, known: tuple[str, ...] = WRT) -> set[str]:
    """The gradients that are wanted; an error where the multiplier has not what those by the cell need.

    Parameters
    ----------
    wrt : collection of str
        As for ``LRCPlan.vjp``.
    multiplier : Multiplier
        What is none is for others to refuse.
    known : tuple of str
        Names that there are.
    """
    wanted = as_names(wrt, known)
    if wanted & {"cell", "cells"} and isinstance(multiplier, Multiplier):
        multiplier._check_cell()
    return wanted


def names_of_energy(wrt, multiplier: Multiplier) -> set[str]:
    """``names_of_vjp`` for an energy, some of ``WRT_OF_ENERGY``."""
    wanted = names_of_vjp(wrt, multiplier, WRT_OF_ENERGY)
    if {"cell", "cells"} <= wanted:
        raise ValueError(f"wrt: expected 'cell' or 'cells', not both, got {wrt!r}")
    return wanted


def refuse_energy(call: Call, multiplier: Multiplier) -> None:
    """A ValueError where u is not K f with one symmetric K for every channel.

    Parameters
    ----------
    call : Call
        Points and φ̂.
    multiplier : Multiplier
        To name in the message.
    """
    if call.points.targets_shape is not None:
        raise ValueError(
            "targets: an energy is that of the points among each other, and these points were set with targets"
        )
    if not call.table.per_channel:
        raise ValueError(
            f"multiplier: an energy needs one of shape (), the same for every channel, got {multiplier!r} of shape "
            f"{call.table.shape}; use vjp"
        )
    if not call.table.self_adjoint:
        raise ValueError(f"multiplier: an energy needs a real one, got complex values of {multiplier!r}; use vjp")


def energy_gradient(
    operator: Operator, call: Call, multiplier: Multiplier, wanted: set[str], exclude_self: bool
) -> Gradient:
    """``LRCPlan.energy`` of arguments that are checked.

    Parameters
    ----------
    operator, call, multiplier, exclude_self
        As for ``vjp``.
    wanted : set of str
        Some of ``WRT_OF_ENERGY``.
    """
    points, of_table, every = call.points, wanted & OF_TABLE, "cells" in wanted
    asked = (wanted & {"points"}) | ({"tables"} if every else {"table"} if of_table else set())
    result = operator.energy(points.sources, call.table, call.values, asked)
    by_parameters, by_cell, modes = None, None, operator.grid.mode_set
    if every:
        each = _per_snapshot(call, result.table, exclude_self, operator.context.over_ranks)
        by_cell = np.empty((len(each), modes.dim, modes.dim))
        for b, of_phi in enumerate(each):
            by_cell[b] = table_gradients(multiplier, modes, of_phi, {"cell"})[1]
        by_cell = by_cell.reshape(*points.shape[:-2], modes.dim, modes.dim)
        if of_table:
            by_parameters = table_gradients(multiplier, modes, each.sum(axis=0), {"parameters"})[0]
    elif of_table:
        half = call.values / 2 if exclude_self else None
        own = [(half, call.values)] if exclude_self else []
        of_phi = call.table_cotangent(result.table, own, operator.context.over_ranks)
        by_parameters, by_cell = table_gradients(multiplier, modes, of_phi, of_table)
    output = result.output - call.table.self_interaction(call.values) if exclude_self else result.output
    return Gradient(
        output=call.returned(output, call.shape),
        points=call.returned(result.sources if "points" in wanted else None, points.shape),
        values=call.returned(output.copy(), call.values_shape) if "values" in wanted else None,
        parameters=by_parameters,
        cell=by_cell,
    )


def _per_snapshot(call: Call, cotangents, exclude_self: bool, over_ranks: Callable) -> np.ndarray:
    """S of every snapshot on the host, (B, n_modes), with what leaving out φ(0) contributes."""
    batch = call.points.batch
    rows = call.values.reshape(batch, len(call.values) // max(batch, 1), call.values.shape[1])
    each = [
        call.table_cotangent(cotangent, [(f / 2, f)] if exclude_self else [], over_ranks)
        for cotangent, f in zip(cotangents, rows, strict=True)
    ]
    return np.stack(each) if each else np.zeros(cotangents.shape)
