"""What the calls of a plan share: the multiplier that is tabulated, and how much is known to fit into memory."""

from __future__ import annotations

from ..engine.deconvolution import MultiplierTable
from ..engine.grid import Grid
from ..machine.memory import WORTH_A_LOOK
from ..multipliers import Multiplier
from .calls import Call
from .choices import Choices
from .points import Points

__all__ = ["Preparation"]


class Preparation:
    """Makes the calls of one plan.

    Parameters
    ----------
    choices : Choices
        Of the plan.
    """

    def __init__(self, choices: Choices) -> None:
        self._choices = choices
        self._cheap = 0  # up to so many channels on the grid, free memory is not checked: they need too little
        self._tabulated: tuple | None = None

    def new_points(self) -> None:
        """There are other points: what they need is not known."""
        self._cheap = 0

    def new_cell(self) -> None:
        """There is another cell: tables of the old one are of no use."""
        self._tabulated = None

    def call(
        self, points: Points | None, grid: Grid | None, held: int, values, multiplier: Multiplier, exclude_self: bool
    ) -> Call:
        """The arguments of a call, checked and flattened.

        Parameters
        ----------
        points : Points or None
            Of the plan.
        grid : Grid or None
            None only where there are no points.
        held : int
            Bytes of the workspace.
        values, multiplier, exclude_self
            As for ``LRCPlan.convolve``.
        """
        if points is None or grid is None:
            raise ValueError("points: none are set; call set_points first")
        if exclude_self and points.targets_shape is not None:
            raise ValueError("exclude_self: targets are not the points, so there is no self to exclude")
        choices = self._choices
        call = Call.of(points, self._table(multiplier, grid), values, choices.dtype, choices.engine.arrays)
        # Values and tangents, or values and cotangents, may lie on the grid together; ik makes d channels of one.
        most = 2 * max(call.channels) * (grid.dim if choices.gradient == "spectral" else 1)
        if most > self._cheap or call.table.maps > most:
            targets, maps = points.targets_shape is not None, call.table.maps
            needed = grid.memory(points.most, points.batch, most, targets=targets, maps=maps)
            what = "{} channel(s) to {}".format(*call.channels)
            choices.check_memory("values", what, needed - held)
            if needed <= WORTH_A_LOOK:
                self._cheap = most
        return call

    def _table(self, multiplier: Multiplier, grid: Grid) -> MultiplierTable:
        """φ̂ tabulated, anew where it may have changed."""
        if not isinstance(multiplier, Multiplier):
            raise TypeError(f"multiplier: expected a Multiplier, got {type(multiplier).__name__}")
        state, kept = multiplier.state(), self._tabulated
        if state is None or kept is None or kept[0] is not multiplier or kept[1] != state:
            self._tabulated = kept = None  # its memory may be wanted
            kept = (multiplier, state, MultiplierTable(multiplier, grid))
            self._tabulated = kept if state is not None else None
        return kept[2]
