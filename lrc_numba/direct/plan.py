r"""``LRCPlan``'s operator and derivatives by explicit sums over modes: for references, and for few points.

    F(k) = Σ_j f_j e^{−ik·x_j}      u_i = (1/V) Σ_k φ̂(k) F(k) e^{ik·x_i}

Along a direction Ḟ = Σ (ḟ − i k·ẋ f) e^{−ik·x}. Phases are products of those along the axes, so that N points and M
modes cost a few N · M multiplications (``loops``); nothing is left out or approximated.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from math import prod

import numpy as np

from .. import arguments
from ..geometry.cell import Cell
from ..geometry.modes import ModeSet, highest_mode
from ..gradient import Gradient, parameter_gradient, table_gradients
from ..machine.cpu import arrays
from ..multipliers import Multiplier
from . import loops
from .repeated import RepeatedSums

__all__ = ["DirectPlan"]

AT_ONCE = 2**12  # points


class DirectPlan:
    """A convolution of one snapshot by sums over modes.

    Parameters
    ----------
    box : float, (d,) or (d, d) array
        Box length(s), or lattice vectors as rows. Units of length.
    modes : int or d ints
        As for ``LRCPlan``.
    dim : int, optional
        d, where neither tells it.

    Attributes
    ----------
    dtype : dtype
        float64, of points, values and results.

    Raises
    ------
    ValueError, TypeError
        Naming the argument, what came and what was expected.
    """

    dtype = np.dtype(np.float64)

    def __init__(self, box, modes, *, dim: int | None = None):
        known = [np.shape(a)[0] for a in (box, modes) if np.ndim(a)]
        dim = dim or (known[0] if known else 1)
        self.mode_set = ModeSet(Cell(box, dim), arguments.as_modes(modes, dim))
        self._points = np.zeros((0, dim))
        self._phases: list[np.ndarray] | None = None  # of the points, some at a time
        self._tabulated: tuple | None = None
        tops = [highest_mode(m) for m in self.mode_set.modes]
        self._tops = np.array([0] * (3 - dim) + tops)
        self._all = np.full(2 * self._tops[:2] + 1, self._tops[2] + 1)

    def set_points(self, points) -> DirectPlan:
        """The points of the calls that follow. Returns the plan.

        Parameters
        ----------
        points : (N, d)
            Units of length.
        """
        self._points, self._phases = (
            arguments.as_points("points", points, np.dtype(np.float64), self.mode_set.dim),
            None,
        )
        return self

    def repeat_energy(
        self, points: np.ndarray, values: np.ndarray, multiplier: Multiplier, tangents=None
    ) -> RepeatedSums | None:
        """``set_points`` and ``energy``, to be called with other positions of the points; nothing is checked then.

        Parameters
        ----------
        points : (N, d)
            As for ``set_points``.
        values, multiplier
            As for ``energy``.
        tangents : (L, modes), optional
            As for ``LRCPlan.repeat_energy``.
        """
        if len(points) > AT_ONCE:
            return None
        f = self.set_points(points)._values("values", values)
        table, stops = self._tables(multiplier)
        _check_energy(table, multiplier)
        if tangents is not None:  # φ̂ may be zero where its derivatives are not
            stops = np.maximum(stops, self._stops(tangents))
        return RepeatedSums(self.mode_set, self._tops, stops, table, self._points, f, tangents)

    def set_cell(self, box) -> DirectPlan:
        """Other lattice vectors; points have to be set again. Returns the plan.

        Parameters
        ----------
        box
            As for the plan itself.
        """
        self.mode_set = ModeSet(Cell(box, self.mode_set.dim), self.mode_set.modes)
        self._points, self._phases, self._tabulated = self._points[:0], None, None
        return self

    @property
    def nbytes(self) -> int:
        """Bytes of waves at the points that are kept between calls."""
        return sum(phases.nbytes for phases in self._phases or ())

    # ------------------------------------------------------------------ sums over points and modes
    def _blocks(self) -> Iterator[tuple[slice, int, np.ndarray]]:
        """Some points at a time, how many lanes they fill, and their phases."""
        blocks = range(0, len(self._points), AT_ONCE)
        if self._phases is None:
            fractions, rows = self._points @ self.mode_set.cell.inverse, int(self._tops.sum()) + 3
            self._phases = []
            for lo in blocks:
                few = fractions[lo : lo + AT_ONCE]
                width = loops.lanes_of(len(few))
                phases = arrays.empty(2 * rows * width, np.float64)
                loops.fill_phases(few, self._tops, width, phases)
                self._phases.append(phases)
        for lo, phases in zip(blocks, self._phases, strict=True):
            some = slice(lo, min(lo + AT_ONCE, len(self._points)))
            yield some, loops.lanes_of(some.stop - lo), phases

    def spectrum(self, values, dvalues=None, dpoints=None, stops: np.ndarray | None = None) -> np.ndarray:
        """F on the stored modes, (modes, C), or its tangent where ``dvalues`` or ``dpoints`` are given.

        Parameters
        ----------
        values, dvalues : (N, C)
            f and ḟ.
        dpoints : (N, d), optional
            ẋ.
        stops : (n_0, n_1) int64, optional
            See ``loops``; other modes are zero.
        """
        if dpoints is None:
            return self._sum(values if dvalues is None else dvalues, stops)
        out = np.zeros((self.mode_set.size, values.shape[1]), dtype=np.complex128)
        if dvalues is not None:
            out += self._sum(dvalues, stops)
        moved = self._sum(
            (values[:, :, None] * dpoints[:, None, :]).reshape(len(values), values.shape[1] * self.mode_set.dim), stops
        )
        return out - 1j * np.einsum("mca,ma->mc", moved.reshape(*out.shape, -1), self.mode_set.k)

    def _sum(self, values: np.ndarray, stops: np.ndarray | None) -> np.ndarray:
        """F of f."""
        stops = self._all if stops is None else stops
        out = np.zeros((self.mode_set.size, values.shape[1]), dtype=np.complex128)
        for some, width, phases in self._blocks():
            own = np.zeros((values.shape[1], width))
            own[:, : some.stop - some.start] = values[some].T
            if some.start == 0:
                loops.analyse(self._tops, phases, stops, own, width, out)
            else:
                part = np.zeros_like(out)
                loops.analyse(self._tops, phases, stops, own, width, part)
                out += part
        return out

    def field(self, spectrum: np.ndarray, slopes: bool = False) -> np.ndarray:
        """Re Σ over all modes of a spectrum (modes, C), (N, C), or of its gradient (N, C, d).

        Parameters
        ----------
        spectrum : (modes, C) complex
            Of the stored modes, without their weights.
        slopes : bool
            ∇ instead.
        """
        return self._fields(spectrum * self.mode_set.weights[:, None], slopes, self._all)[int(slopes)]

    def _fields(self, weighted: np.ndarray, slopes: bool, stops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """``field`` of a spectrum with its weights, and its gradient, which is empty where it is not wanted."""
        channels, dim, count = weighted.shape[1], self.mode_set.dim, len(self._points)
        numbers = np.ascontiguousarray(weighted, np.complex128).view(np.float64).ravel()
        field, gradient = np.empty((count, channels)), np.empty((count if slopes else 0, channels, dim))
        turn = 2 * np.pi * self.mode_set.cell.inverse.T
        for some, width, phases in self._blocks():
            out = np.zeros((channels, 4 if slopes else 1, width))
            loops.synthesise(self._tops, phases, stops, numbers, width, slopes, out.reshape(-1))
            rows = out[:, :, : some.stop - some.start]
            field[some] = rows[:, 0].T
            if slopes:
                gradient[some] = rows[:, 4 - dim :].transpose(2, 0, 1) @ turn
        return field, gradient

    # ------------------------------------------------------------------ the face of ``LRCPlan``
    def _values(self, name: str, values) -> np.ndarray:
        array = arguments.as_array(name, values, np.dtype(np.float64))
        return array.reshape(len(self._points), prod(array.shape[1:]))

    def _table(self, multiplier: Multiplier, channels: int) -> np.ndarray:
        """φ̂/V, (modes,) or (C_out, C_in, modes)."""
        table = self._tables(multiplier)[0]
        if table.ndim > 1 and table.shape[1] != channels:
            raise ValueError(f"multiplier: takes {table.shape[1]} channel(s), values have {channels}")
        return table

    def _tables(self, multiplier: Multiplier) -> tuple[np.ndarray, np.ndarray]:
        """φ̂/V and up to where it is not zero, see ``loops``; made anew where it may have changed."""
        state, kept = multiplier.state(), self._tabulated
        if state is None or kept is None or kept[0] is not multiplier or kept[1] != state:
            table = multiplier.checked_values(self.mode_set) / self.mode_set.cell.volume
            table = table[:, None] if table.ndim == 2 else table
            kept = (multiplier, state, (table, self._stops(table)))
            self._tabulated = kept if state is not None else None
        return kept[2]

    def _stops(self, tables: np.ndarray) -> np.ndarray:
        """Up to where any of (…, modes) is not zero, see ``loops``."""
        some = (tables != 0).reshape(-1, *self._all.shape, self._tops[2] + 1).any(axis=0)
        return np.where(some.any(axis=-1), some.shape[-1] - some[..., ::-1].argmax(axis=-1), 0)

    def _shape(self, table: np.ndarray, values) -> tuple[int, ...]:
        """Of u, as the user sees it."""
        return np.shape(values) if table.ndim == 1 else (len(self._points), len(table))

    def convolve(self, values, multiplier: Multiplier) -> np.ndarray:
        """u, of the shape of ``values``, or (N, C_out) where the multiplier has channels.

        Parameters
        ----------
        values : (N,) or (N, C)
            f.
        multiplier : Multiplier
            φ̂.
        """
        f = self._values("values", values)
        table = self._table(multiplier, f.shape[1])
        return self.field(_times(table, self.spectrum(f))).reshape(self._shape(table, values))

    def jvp(self, values, multiplier: Multiplier, dpoints=None, dvalues=None) -> np.ndarray:
        """u̇.

        Parameters
        ----------
        values, multiplier
            As for ``convolve``.
        dpoints, dvalues : arrays, optional
            ẋ and ḟ.
        """
        f = self._values("values", values)
        table = self._table(multiplier, f.shape[1])
        df = np.zeros_like(f) if dvalues is None else self._values("dvalues", dvalues)
        out = self.field(_times(table, self.spectrum(f, df, dpoints)))
        if dpoints is not None:
            out += np.einsum("nca,na->nc", self.field(_times(table, self.spectrum(f)), slopes=True), dpoints)
        return out.reshape(self._shape(table, values))

    def vjp(
        self, values, multiplier: Multiplier, cotangent, *, wrt: Collection[str] = ("points", "values", "parameters")
    ) -> Gradient:
        """Gradient of Σ g·u.

        Parameters
        ----------
        values, multiplier
            As for ``convolve``.
        cotangent : array of the shape of u
            g.
        wrt : collection of {"points", "values", "parameters", "cell"}
            Which gradients are wanted.
        """
        f, g = self._values("values", values), self._values("cotangent", cotangent)
        table, spectra = self._table(multiplier, f.shape[1]), (self.spectrum(f), self.spectrum(g))
        return self._gradient(multiplier, table, (f, g), spectra, wrt, np.shape(values))

    def energy(self, values, multiplier: Multiplier, *, wrt: Collection[str] = ("points",)) -> Gradient:
        """u and the gradient of ½ Σ f·u.

        Parameters
        ----------
        values, multiplier, wrt
            As for ``vjp``; φ̂ is real and without channels.
        """
        f = self._values("values", values)
        table, stops = self._tables(multiplier)
        _check_energy(table, multiplier)
        of_table, by_parameters, by_cell = set(wrt) & {"parameters", "cell"}, None, None
        spectrum = self.spectrum(f, stops=None if of_table else stops)  # φ̂ may be zero where its derivatives are not
        if of_table:
            squares = np.sum(spectrum.real**2 + spectrum.imag**2, axis=1)
            cotangent = squares * self.mode_set.weights / (2 * self.mode_set.cell.volume)
            by_parameters, by_cell = table_gradients(multiplier, self.mode_set, cotangent, of_table)
        field, slopes = self._fields((table * self.mode_set.weights)[:, None] * spectrum, "points" in wrt, stops)
        points = np.einsum("nc,nca->na", f, slopes) if "points" in wrt else None
        field = field.reshape(np.shape(values))
        return Gradient(field, points, field if "values" in wrt else None, by_parameters, cell=by_cell)

    def parameters_jvp(
        self, values, multiplier: Multiplier, cotangent, dpoints=None, dvalues=None, dcotangent=None
    ) -> dict[str, np.ndarray]:
        """Derivative of ``vjp(…).parameters`` along a direction.

        Parameters
        ----------
        values, multiplier, cotangent
            As for ``vjp``.
        dpoints, dvalues, dcotangent : arrays, optional
            ẋ, ḟ and ġ.
        """
        f, g = self._values("values", values), self._values("cotangent", cotangent)
        df = np.zeros_like(f) if dvalues is None else self._values("dvalues", dvalues)
        dg = np.zeros_like(g) if dcotangent is None else self._values("dcotangent", dcotangent)
        moved = self.spectrum(f, df, dpoints) * self.spectrum(g).conj()
        moved += self.spectrum(f) * self.spectrum(g, dg, dpoints).conj()
        scale = self.mode_set.weights / self.mode_set.cell.volume
        return parameter_gradient(multiplier, self.mode_set, moved.sum(axis=1) * scale)

    def _gradient(self, multiplier, table, values, spectra, wrt: Collection[str], shape: tuple[int, ...]) -> Gradient:
        """What ``vjp`` and ``energy`` return, from both spectra."""
        (f, g), (of_f, of_g) = values, spectra
        points, by_values, by_parameters, by_cell = None, None, None, None
        of_u, of_adjoint = _times(table, of_f), _times(table, of_g, adjoint=True)
        if "points" in wrt:
            points = np.einsum("nc,nca->na", g, self.field(of_u, slopes=True))
            points += np.einsum("nc,nca->na", f, self.field(of_adjoint, slopes=True))
        if "values" in wrt:
            by_values = self.field(of_adjoint).reshape(shape)
        of_table = set(wrt) & {"parameters", "cell"}
        if of_table:
            scale = self.mode_set.weights / self.mode_set.cell.volume
            pairs = "mc,mc->m" if table.ndim == 1 else "mc,mo->ocm"
            cotangent = np.einsum(pairs, of_f, of_g.conj()) * scale
            cotangent = cotangent.reshape(multiplier.checked_values(self.mode_set).shape)
            by_parameters, by_cell = table_gradients(multiplier, self.mode_set, cotangent, of_table)
        output = self.field(of_u).reshape(self._shape(table, np.empty(shape)))
        return Gradient(output, points, by_values, by_parameters, cell=by_cell)


def _check_energy(table: np.ndarray, multiplier: Multiplier) -> None:
    """A ValueError where there is no energy."""
    if table.ndim > 1 or np.iscomplexobj(table):
        raise ValueError(f"multiplier: an energy needs a real one of shape (), got {multiplier!r}; use vjp")


def _times(table: np.ndarray, spectrum: np.ndarray, adjoint: bool = False) -> np.ndarray:
    """φ̂/V times a spectrum (modes, C), or its conjugate transpose."""
    table = table.conj() if adjoint else table
    if table.ndim == 1:
        return table[:, None] * spectrum
    return np.einsum("ocm,mo->mc" if adjoint else "ocm,mc->mo", table, spectrum)
