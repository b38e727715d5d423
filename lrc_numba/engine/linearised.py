r"""One convolution u = K f and all its derivatives at the same points, f and φ̂: what they share is computed once.

    S   spreading and transform     F = S f      Ḟ, its tangent along ḟ and ẋ       G = S g      Ġ along ġ and ẋ

    u = Sᵀ φ̂ F                                  forward                    transforms: C_in + C_out
    f̄ = Sᵀ φ̂ᴴ G,   x̄ = g·∇u + f·∇f̄              vjp with a cotangent g                 C_out + C_in
    u̇ = Sᵀ φ̂ Ḟ + ẋ·∇u                           jvp                                    C_in + C_out
    S = F Gᴴ,   Ṡ = F Ġᴴ + Ḟ Gᴴ                 the cotangent of φ̂, and its tangent    C_out
    the tangent of f̄ = Sᵀ φ̂ᴴ Ġ + ẋ·∇f̄                                                 C_in

A method that begins anew, as those of ``operator.Operator`` do, transforms f each time, and u wherever its slopes are
read. Here modes are kept, and, where they are small, the grids on which u and f̄ lie.

Force matching asks for the last two with a cotangent that went down the same linear maps as g with the sign turned;
where it is −g, its modes are known, too.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from math import prod

import numpy as np

from ..machine.workspace import Workspace
from . import deconvolution
from .chain import Chain
from .deconvolution import MultiplierTable, both_ways
from .grid import Grid
from .grid.sizes import AT_ONCE
from .groups import columns_of, consecutive, joined
from .points import SortedPoints
from .tangents import Cotangents, Tangents
from .ways import Memory, Shared, Way

__all__ = ["GroupedLinearised", "Linearised", "MovedCotangents", "bytes_kept", "linearise"]

MOST = AT_ONCE // 2  # channels at a time where one kernel serves them all: values and tangents share the grid
KEPT = 1 << 26  # bytes of grids that are kept, all channels together


@dataclass
class MovedCotangents:
    """What ``Linearised.vjp_jvp`` returns; None where it was not wanted.

    Attributes
    ----------
    values, dvalues : (B·N, C_in) or None
        f̄ of the cotangent, and its tangent.
    table : (*shape, n_modes) complex or None
        Ṡ, the tangent of the cotangent of φ̂.
    """

    values: np.ndarray | None = None
    dvalues: np.ndarray | None = None
    table: np.ndarray | None = None


def bytes_kept(grid: Grid, batch: int, c_in: int, c_out: int) -> tuple[int, int]:
    """Bytes of the modes of a ``Linearised``, and of the grids that it would keep.

    Parameters
    ----------
    grid : Grid
        Sizes.
    batch, c_in, c_out : int
        Snapshots, channels of f and of u.
    """
    modes = 2 * batch * (c_in + c_out) * prod(grid.stored) * grid.complex_dtype.itemsize
    return modes, batch * (c_in + c_out) * prod(grid.layout.padded) * grid.dtype.itemsize


def linearise(
    chain: Chain, points: SortedPoints, table: MultiplierTable, f: np.ndarray, space: Workspace
) -> Linearised | GroupedLinearised:
    """u = K f, ready for its derivatives; many channels some at a time, as ``groups`` says.

    Parameters
    ----------
    chain : Chain
        Of the plan.
    points : SortedPoints
        Sources and targets.
    table : MultiplierTable
        φ̂.
    f : (B·N, C_in)
        Copied.
    space : Workspace
        What is kept lies there, and nothing else.
    """
    channels, batch = f.shape[1], points.batch[0]
    _, grids = bytes_kept(chain.grid, batch, channels, table.channels_out(channels))
    keeps = chain.grid.backend.name == "cpu" and not chain.spectral and grids <= KEPT
    if channels <= MOST or not table.per_channel or chain.grid.backend.name != "cpu":
        return Linearised(chain, points, table, f, Memory(space, "", keeps))
    groups = [slice(lo, lo + MOST) for lo in range(0, channels, MOST)]
    parts = (
        Linearised(chain, points, table, columns_of(f, some), Memory(space, f" {some.start}", keeps)) for some in groups
    )
    return GroupedLinearised(list(parts), groups)


class Linearised:
    """u = K f at points that are their own targets, and its derivatives.

    Parameters
    ----------
    chain, points, table, f
        As for ``linearise``.
    memory : Memory
        For what is kept.

    Attributes
    ----------
    output : (B·N, C_out)
        u.
    """

    def __init__(self, chain: Chain, points: SortedPoints, table: MultiplierTable, f: np.ndarray, memory: Memory):
        c_in, c_out, batch = f.shape[1], table.channels_out(f.shape[1]), points.batch[0]
        self._sizes = c_in, c_out
        ranges = consecutive(c_in, c_out, c_in, c_out)  # F and G, as ``both_ways`` wants them, and their tangents
        modes = memory.take("modes", (batch, ranges[-1].stop, *chain.grid.stored), chain.grid.complex_dtype)
        none = chain.xp.zeros((batch, 0), dtype=f.dtype)
        self._shared = shared = Shared(chain, points, table, memory, modes, none)
        self._forward = Way(shared, "f", (ranges[0], ranges[2]), c_out, adjoint=False)
        self._adjoint = Way(shared, "g", (ranges[1], ranges[3]), c_in, adjoint=True)
        self._direction: Tangents | None = None
        self._forward.set(f)
        self.output = self._forward.read()

    def vjp(self, g: np.ndarray, wrt: Collection[str]) -> Cotangents:
        """As ``Operator.vjp``.

        Parameters
        ----------
        g : (B·N, C_out)
            Cotangent of u.
        wrt : collection of {"points", "values", "table"}
            What is wanted.
        """
        gradient, with_values = "points" in wrt, "values" in wrt
        forward, adjoint, cotangent, dpoints = self._forward, self._adjoint, None, None
        if wrt and not adjoint.holds(g):
            adjoint.set(g)
        if "table" in wrt:
            cotangent = self._table(forward, 0, forward.values, adjoint, 0, g)
        if gradient and self._shared.memory.keeps:
            dpoints = adjoint.read_vjp(forward.values, with_values)
            dpoints += forward.read_vjp(g, False)
        elif gradient:
            dpoints = self._slopes(with_values)
        df = adjoint.read().copy() if with_values else None
        return Cotangents(forward.read(), df, dpoints, dpoints, cotangent)

    def _slopes(self, with_values: bool) -> np.ndarray | None:
        """x̄ where no grids are kept: f and g side by side, as ``Operator.vjp`` takes them."""
        shared, f, g, (c_in, c_out) = self._shared, self._forward.values, self._adjoint.values, self._sizes
        chain, points, table = shared.chain, shared.points, shared.table
        at_k0 = chain.at_k0(points, table, f, g, with_values)
        modes = deconvolution.multiply(chain.context, shared.modes, table, both_ways(table, c_in, c_out))
        ordered = points.gather(chain.context, f, g)
        out, slopes = chain.read_vjp(points, modes, ordered, c_in, at_k0, True)
        if with_values:
            self._adjoint.output = chain.xp.ascontiguousarray(out[:, c_out:])
        return slopes

    def jvp(self, tangents: Tangents) -> np.ndarray:
        """u̇ (B·N, C_out) along a direction, which is that of ``vjp_jvp``, too.

        Parameters
        ----------
        tangents : Tangents
            ḟ and ẋ; kept.
        """
        self._direction = None
        self._forward.jvp(tangents.values, tangents.sources)
        self._direction = tangents
        return self._forward.read_jvp(tangents.values, tangents.sources)

    def vjp_jvp(self, g: np.ndarray, dg: np.ndarray, wrt: Collection[str]) -> MovedCotangents:
        """How ``vjp(g)`` changes along ġ and the direction of the last ``jvp``.

        Parameters
        ----------
        g, dg : (B·N, C_out)
            Cotangent of u, and its tangent.
        wrt : collection of {"values", "table"}
            What is wanted.
        """
        direction, forward, adjoint, out = self._direction, self._forward, self._adjoint, MovedCotangents()
        assert direction is not None
        if not wrt:
            return out
        opposite = adjoint.holds(-g)
        if opposite:
            g, dg = -g, -dg  # all that follows is linear in both
        elif not adjoint.holds(g):
            adjoint.set(g)
        adjoint.jvp(dg, direction.sources)
        if "values" in wrt:
            out.values, out.dvalues = adjoint.read().copy(), adjoint.read_jvp(dg, direction.sources)
        if "table" in wrt:
            out.table = self._table(forward, 0, forward.values, adjoint, 1, dg)
            out.table += self._table(forward, 1, direction.values, adjoint, 0, g)
        if opposite:
            for array in (out.values, out.dvalues, out.table):
                if array is not None:
                    array *= -1
        return out

    def _table(self, forward: Way, i: int, f: np.ndarray, adjoint: Way, j: int, g: np.ndarray) -> np.ndarray:
        """F Gᴴ of the values (0) or of the tangents (1) of both ways, k = 0 from the sums of ``f`` and ``g``."""
        shared, both = self._shared, (forward.slots[i], adjoint.slots[j])
        cotangent = deconvolution.multiply_vjp(shared.chain.context, shared.modes, shared.table, *both)
        return shared.chain.exact_mean(cotangent, f, g, shared.points.batch[0], shared.table)


class GroupedLinearised:
    """``Linearised`` of some channels at a time.

    Parameters
    ----------
    parts : list of Linearised
        In the order of their channels.
    groups : list of slice
        Their channels.
    """

    def __init__(self, parts: list[Linearised], groups: list[slice]):
        self.parts, self.groups = parts, groups
        self.output = joined([part.output for part in parts])

    def _each(self, method: str, *arguments) -> list:
        """What a method returns for every group."""
        return [
            getattr(part, method)(*(columns_of(each, some) for each in arguments))
            for part, some in zip(self.parts, self.groups, strict=True)
        ]

    def vjp(self, g: np.ndarray, wrt: Collection[str]) -> Cotangents:
        """As ``Linearised.vjp``."""
        return joined(self._each("vjp", g, wrt))

    def jvp(self, tangents: Tangents) -> np.ndarray:
        """As ``Linearised.jvp``."""
        return joined(self._each("jvp", tangents))

    def vjp_jvp(self, g: np.ndarray, dg: np.ndarray, wrt: Collection[str]) -> MovedCotangents:
        """As ``Linearised.vjp_jvp``.

        Parameters
        ----------
        g, dg, wrt
            As for ``Linearised.vjp_jvp``.
        """
        made, out = self._each("vjp_jvp", g, dg, wrt), MovedCotangents()
        if "values" in wrt:
            out.values = joined([each.values for each in made])
            out.dvalues = joined([each.dvalues for each in made])
        if "table" in wrt:
            out.table = sum((each.table for each in made[1:]), made[0].table)
        return out
