"""What parts need of the pairs, and whose rows they read and write, checked when a program or a network is made."""

from __future__ import annotations

from collections.abc import Sequence
from inspect import signature
from typing import TYPE_CHECKING

from .part import GEOMETRY

if TYPE_CHECKING:
    from .program import Step

__all__ = ["check_pairs", "check_rows", "named"]

BETWEEN = "Gather goes from points to pairs, Scatter back"
ROUNDING = 1e-12  # of lengths that are the same


def named(step: Step) -> str:
    """A line in messages, by its output, its part and its inputs.

    Parameters
    ----------
    step : Step
        The line.
    """
    part, name = step.part, f" {step.part.name!r}" if step.part.name else ""
    return f"{step.output!r} by {type(part).__name__}{name} from ({', '.join(map(repr, step.inputs))})"


def _check_inputs(step: Step) -> None:
    """Raise a ValueError where a part is given too few inputs, too many, or others than the geometry it looks at."""
    try:
        signature(step.part.forward).bind(None, *step.inputs)
    except TypeError as wrong:
        raise ValueError(f"steps: {named(step)}: {wrong}; see what its forward() reads") from None
    if step.part.geometry and step.inputs[0] != GEOMETRY:
        raise ValueError(f"steps: {named(step)} reads {GEOMETRY!r} first, got {step.inputs[0]!r}")


def check_rows(steps: Sequence[Step], output: str) -> None:
    """Raise a ValueError where inputs are missing, or rows of pairs are read as rows of points, or the other way round.

    Parameters
    ----------
    steps : sequence of Step
        In order.
    output : str
        The name of the result, which has a row for each point.
    """
    rows: dict[str, str] = {}
    for step in steps:
        _check_inputs(step)
        kinds = {name: rows[name] for name in step.inputs if rows.get(name)}
        if step.part.reads:
            wrong = [name for name, kind in kinds.items() if kind != step.part.reads]
            if wrong:
                raise ValueError(
                    f"steps: {named(step)} reads a row for each of the {step.part.reads}, and {wrong[0]!r} has one for "
                    f"each of the {kinds[wrong[0]]}; {BETWEEN}"
                )
        if step.part.rows:
            rows[step.output] = step.part.rows
            continue
        if len(set(kinds.values())) > 1:
            raise ValueError(f"steps: {named(step)} reads rows of points and of pairs, {kinds}; {BETWEEN}")
        rows[step.output] = next(iter(kinds.values()), "")
    if rows.get(output) == "pairs":
        raise ValueError(
            f"output: {output!r} has a row for each pair, and energies are numbers for each point; Scatter adds them up"
        )


def check_pairs(steps: Sequence[Step], cutoff: float, full: bool) -> None:
    """Raise a ValueError that names a part that needs other pairs than a network has.

    Parameters
    ----------
    steps : sequence of Step
        The lines.
    cutoff : float
        Up to which distance there are pairs.
    full : bool
        Whether every pair is there from both its ends.
    """
    for step in steps:
        part = step.part
        if part.pairs and (part.pairs == "full") != full:
            needs = "every pair from both its ends" if part.pairs == "full" else "every pair once"
            raise ValueError(f"full_pairs: {named(step)} needs {needs}; pass full_pairs={not full}")
        if part.reach > cutoff * (1 + ROUNDING):
            raise ValueError(
                f"cutoff: {named(step)} reaches {part.reach:g}, and there would be no pairs beyond {cutoff:g}; give "
                f"the network a cutoff of {part.reach:g}, or the part a shorter one"
            )
