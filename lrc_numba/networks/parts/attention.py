r"""Attention in reciprocal space (arXiv 2510.13055) as a part: queries read what keys and values make of all points.

    y_m = Σ_{k≠0} w_k φ(Q_m) e^{ik·r_m} (Σ_n φ(K_n) e^{−ik·r_n} V_nᵀ)
        = Σ_ab φ(Q_ma) u_m^ab,        u^ab = conv_w[φ(K_a) V_b]        of every head

without a softmax and without a denominator. The d_k d_v channels of a head go through one kernel w, so this is the
convolution of ``convolution`` between two products, for any cell or none. With w closed under k → −k it is
Σ_n ⟨φ(Q_m), φ(K_n)⟩ G(r_m − r_n) V_n, with G the kernel in real space. That of Gaussians is finite at k = 0, which is
part of its sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import pi, sqrt

import numpy as np
from scipy.special import gammainccinv

from ... import arguments
from ...geometry.structures import Structures
from ...machine.memory import available_memory, check_memory
from ..gaussians import GaussianKernel
from ..layers.parameters import Parameters
from ..long_range import STEP, CoulombKernel
from .activation import Activation
from .convolution import Convolution, SeriesEnd
from .part import Motion, Part, Tape, expect_rows
from .small import MOST, MOST_MODES

__all__ = ["KERNELS", "METHODS", "Attention", "Heads", "attention_fields"]

KERNELS = ("coulomb", "paper", "gaussians")
# Up to how many points matrices of pairs are taken, and up to how many modes sums over these.
METHODS = {"auto": (MOST, MOST_MODES), "pairs": (2**31, 0), "modes": (0, 2**62), "mesh": (0, 0)}
SHELLS = 2.0  # with fewer, cells of two widths lose more than eps, of what their few modes carry
HELD = 8  # arrays of a number for each point and channel, in a step of training


@dataclass(frozen=True)
class Heads:
    """How wide queries, keys and values are.

    Attributes
    ----------
    count : int
        Heads h.
    keys : int
        d_k, of queries and keys in every head.
    values : int
        d_v, of values in every head.
    """

    count: int
    keys: int
    values: int

    def __post_init__(self) -> None:
        for name in ("count", "keys", "values"):
            arguments.as_count(name, getattr(self, name), 1)

    @property
    def channels(self) -> int:
        """h d_k d_v, those of the convolution."""
        return self.count * self.keys * self.values


def attention_fields(
    name: str,
    kernel: str,
    sigmas: Sequence[float],
    eps: float,
    *,
    trainable: bool = False,
    extent: float | None = None,
    method: str = "auto",
) -> list[Convolution]:
    """Convolutions for ``Attention``: one for all heads where they have one kernel that stays, else one for each.

    Parameters
    ----------
    name : str
        Prefix of the names of their parameters.
    kernel : {"coulomb", "paper", "gaussians"}
        w: 4π e^{−σ²k²/2}/(k² V), that over 4π, or a sum of three Gaussians.
    sigmas : sequence of float
        σ > 0 of every head, units of length.
    eps : float
        Accuracy; the series ends where what is left of the kernel has fallen to half of it, whatever the cell.
    trainable : bool
        Whether every head learns its kernel.
    extent : float, optional
        The largest structure without images.
    method : {"auto", "pairs", "modes", "mesh"}
        How they are computed; by default what is fastest.
    """
    alike = len(set(sigmas)) == 1 and not trainable
    fields = []
    for head, sigma in enumerate(sigmas[:1] if alike else sigmas):
        prefix = f"{name}.head{head}."
        made: GaussianKernel | CoulombKernel
        if kernel == "gaussians":
            made = GaussianKernel(sigma, prefix, trainable)
        else:
            made = CoulombKernel(sigma, prefix, trainable, 1 / (4 * pi) if kernel == "paper" else 1.0)
        # A width that is learned may be half a step narrower than the one its modes are made for.
        end = sqrt(2 * _tail(kernel, eps / 2)) / sigma * (sqrt(STEP) if trainable else 1.0)
        fields.append(Convolution(made, SeriesEnd((end,), SHELLS), eps, "features", *METHODS[method], extent))
    return fields


def _tail(kernel: str, eps: float) -> float:
    """σ²k²/2 beyond which the modes of a kernel carry ``eps`` of its value at r = 0, in open space.

    That is ∫ e^{−σ²k²/2} dk for the Coulomb kernel, and ∫ k² e^{−σ²k²/2} dk for Gaussians.
    """
    return float(gammainccinv(1.5 if kernel == "gaussians" else 0.5, eps))


class Attention(Part):
    """y (n, h d_v) of queries and keys (n, h d_k) and values (n, h d_v); its first input is ``GEOMETRY``.

    Parameters
    ----------
    heads : Heads
        Widths.
    fields : list of Convolution
        One for all heads, or one for each, see ``attention_fields``.
    feature_map : {"silu", "tanh", "relu", "linear"}
        φ.

    Raises
    ------
    MemoryError
        Before work, where ``HELD`` numbers for each point and channel are more than is free.

    Notes
    -----
    Memory is that of some 8 n h d_k d_v numbers, beside that of the convolutions; the cost is that of h d_k d_v
    channels.
    """

    whole = geometry = True
    reads = rows = "points"

    def __init__(self, heads: Heads, fields: list[Convolution], feature_map: str = "silu"):
        if len(fields) not in (1, heads.count):
            raise ValueError(f"fields: expected one, or one for each of {heads.count} heads, got {len(fields)}")
        if other := [field.values for field in fields if field.values != "features"]:
            raise ValueError(f"fields: expected convolutions of features, got one of {other[0]}")
        self.heads, self.fields, self._map = heads, fields, Activation(feature_map)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: shape for field in self.fields for name, shape in field.shapes().items()}

    def initialise(self, parameters: Parameters, generator: np.random.Generator) -> None:
        for field in self.fields:
            field.initialise(parameters, generator)

    def check(self, dtype: np.dtype) -> None:
        for field in self.fields:
            field.check(dtype)

    def check_structures(self, structures: Structures) -> None:
        for field in self.fields:
            field.check_structures(structures)

    # ------------------------------------------------------------------ the passes
    @staticmethod
    def _tape(tape: Tape) -> Tape:
        """Another one, for a part within this one."""
        return Tape(tape.scene, tape.parameters, tape.space, keep=tape.keep)

    def _by_head(self, array: np.ndarray, width: int) -> np.ndarray:
        return array.reshape(len(array), self.heads.count, width)

    def _of_fields(self, channels: np.ndarray) -> list[np.ndarray]:
        """(n, h, d_k, d_v) as what every convolution takes, (n, channels)."""
        count = 1 if len(self.fields) == 1 else self.heads.count
        return [part.reshape(len(channels), -1) for part in np.split(channels, count, axis=1)]

    def _joined(self, parts: list[np.ndarray]) -> np.ndarray:
        """(n, h, d_k, d_v) from what every convolution returned."""
        shape = len(parts[0]), -1, self.heads.keys, self.heads.values
        split = [np.ascontiguousarray(part).reshape(shape) for part in parts]
        return split[0] if len(split) == 1 else np.concatenate(split, axis=1)

    def forward(self, tape: Tape, _, queries, keys, values):
        heads, kept, count = self.heads, tape.kept, tape.scene.count
        for each, width in ((queries, heads.keys), (keys, heads.keys), (values, heads.values)):
            expect_rows(each, heads.count * width, count=count)
        needed = HELD * count * heads.channels * queries.dtype.itemsize
        check_memory("structures", f"{count} points with {heads.channels} channels", needed, available_memory)
        kept["tapes"] = [self._tape(tape) for _ in range(2 + len(self.fields))]
        kept["a"] = self._by_head(self._map.forward(kept["tapes"][0], queries), heads.keys)
        kept["b"] = self._by_head(self._map.forward(kept["tapes"][1], keys), heads.keys)
        kept["v"] = self._by_head(values, heads.values)
        given = self._of_fields(kept["b"][..., None] * kept["v"][..., None, :])
        tapes = kept["tapes"][2:]
        kept["u"] = self._joined(
            [field.forward(own, None, f) for field, own, f in zip(self.fields, tapes, given, strict=True)]
        )
        return _read(kept["a"], kept["u"])

    def jvp(self, tape: Tape, motion, dqueries=None, dkeys=None, dvalues=None):
        kept, width, tapes = tape.kept, self.heads.keys, tape.kept["tapes"]
        da, db = (
            None if tangent is None else self._by_head(self._map.jvp(own, tangent), width)
            for own, tangent in zip(tapes, (dqueries, dkeys), strict=False)
        )
        dv = None if dvalues is None else self._by_head(dvalues, self.heads.values)
        given: np.ndarray | None = None
        for left, right in ((db, kept["v"]), (kept["b"], dv)):
            if left is not None and right is not None:
                more = left[..., None] * right[..., None, :]
                given = more if given is None else given + more
        parts = [None] * len(self.fields) if given is None else self._of_fields(given)
        du = self._joined([f.jvp(own, motion, df) for f, own, df in zip(self.fields, tapes[2:], parts, strict=True)])
        kept |= {"da": da, "db": db, "dv": dv, "du": du}
        moved = _read(kept["a"], du)
        return moved if da is None else moved + _read(da, kept["u"])

    def vjp(self, tape: Tape, bar, gradient: Parameters | None = None) -> tuple:
        kept, tapes = tape.kept, tape.kept["tapes"]
        y_bar, motion, below = self._by_head(bar, self.heads.values), None, []
        above = self._of_fields(kept["a"][..., None] * y_bar[..., None, :])
        for field, own, u_bar in zip(self.fields, tapes[2:], above, strict=True):
            own.wanted, own.strained = (tape.wanted[0], tape.wanted[2] or tape.wanted[3]), tape.strained
            moved, f_bar = field.vjp(own, u_bar, gradient)
            motion = _sum(motion, moved)
            below.append(f_bar)
        of_queries = self._map.vjp(tapes[0], _flat(np.einsum("nhb,nhab->nha", y_bar, kept["u"])))[0]
        if below[0] is None:
            return motion, of_queries, None, None
        f_bar = self._joined(below)
        of_keys = self._map.vjp(tapes[1], _flat(np.einsum("nhab,nhb->nha", f_bar, kept["v"])))[0]
        return motion, of_queries, of_keys, _flat(np.einsum("nhab,nha->nhb", f_bar, kept["b"]))

    def vjp_dual(self, tape: Tape, bar, dbar, gradient: Parameters) -> tuple[tuple, tuple]:
        kept, tapes = tape.kept, tape.kept["tapes"]
        y_bar, dy_bar = (self._by_head(each, self.heads.values) for each in (bar, dbar))
        du_bar = kept["a"][..., None] * dy_bar[..., None, :]
        u_bar = kept["a"][..., None] * y_bar[..., None, :]
        if kept["da"] is not None:
            u_bar += kept["da"][..., None] * dy_bar[..., None, :]
        both = []
        above = zip(self._of_fields(u_bar), self._of_fields(du_bar), strict=True)
        for field, own, (up, dup) in zip(self.fields, tapes[2:], above, strict=True):
            own.wanted = (tape.wanted[0], tape.wanted[2] or tape.wanted[3])
            (_, f_bar), (_, df_bar) = field.vjp_dual(own, up, dup, gradient)
            both.append((f_bar, df_bar))
        a_bars = [np.einsum("nhb,nhab->nha", y, kept["u"]) for y in (y_bar, dy_bar)]
        a_bars[0] += np.einsum("nhb,nhab->nha", dy_bar, kept["du"])
        of_queries = self._mapped(tapes[0], kept["da"], a_bars)
        if both[0][0] is None:
            return tuple(zip((None, None), of_queries, (None, None), (None, None), strict=True))  # type: ignore[return-value]
        f_bar, df_bar = (self._joined([pair[i] for pair in both]) for i in range(2))
        of_keys = self._mapped(tapes[1], kept["db"], _against(f_bar, df_bar, kept["v"], kept["dv"], "nhab,nhb->nha"))
        of_values = [_flat(each) for each in _against(f_bar, df_bar, kept["b"], kept["db"], "nhab,nha->nhb")]
        return tuple(zip((None, None), of_queries, of_keys, of_values, strict=True))  # type: ignore[return-value]

    def _mapped(self, tape: Tape, moving: np.ndarray | None, bars: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Cotangents of x and ẋ from those of φ(x) and its tangent; where x does not move there is no φ″."""
        bar, dbar = (_flat(each) for each in bars)
        if moving is None:
            return self._map.vjp(tape, bar)[0], self._map.vjp(tape, dbar)[0]
        below, dbelow = self._map.vjp_dual(tape, bar, dbar, tape.parameters)
        return below[0], dbelow[0]


def _flat(array: np.ndarray) -> np.ndarray:
    """(n, h·width) from (n, h, width)."""
    return array.reshape(len(array), -1)


def _read(queries: np.ndarray, field: np.ndarray) -> np.ndarray:
    """Σ_a Q_a u^ab of every head, (n, h d_v)."""
    return _flat(np.einsum("nha,nhab->nhb", queries, field))


def _sum(motion: Motion | None, more: Motion | None) -> Motion | None:
    return more if motion is None else motion if more is None else motion + more


def _against(f_bar, df_bar, factor, dfactor, axes: str) -> list[np.ndarray]:
    """Cotangents of one factor of f = b ⊗ v and of its tangent."""
    bars = [np.einsum(axes, each, factor) for each in (f_bar, df_bar)]
    if dfactor is not None:
        bars[0] += np.einsum(axes, df_bar, dfactor)
    return bars
