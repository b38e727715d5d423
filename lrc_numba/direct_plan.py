r"""``LRCPlan``'s operator and derivatives by explicit sums over modes: for references, and for few points.

    F(k) = Σ_j f_j e^{−ik·x_j}      u_i = (1/V) Σ_k φ̂(k) F(k) e^{ik·x_i}

Along a direction Ḟ = Σ (ḟ − i k·ẋ f) e^{−ik·x}. Phases are products of those along the axes, so that N points and M
modes cost N · M complex multiplications and three matrix products of that size; nothing is left out or approximated.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np

from . import arguments
from .geometry.cell import Cell
from .geometry.modes import ModeSet
from .gradient import Gradient, parameter_gradient, table_gradients
from .multipliers import Multiplier

__all__ = ["DirectPlan"]

AT_ONCE = 2**20  # phases


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

    Raises
    ------
    ValueError, TypeError
        Naming the argument, what came and what was expected.
    """

    def __init__(self, box, modes, *, dim: int | None = None):
        known = [np.shape(a)[0] for a in (box, modes) if np.ndim(a)]
        dim = dim or (known[0] if known else 1)
        self.mode_set = ModeSet(Cell(box, dim), arguments.as_modes(modes, dim))
        self._points = np.zeros((0, dim))

    def set_points(self, points) -> DirectPlan:
        """The points of the calls that follow. Returns the plan.

        Parameters
        ----------
        points : (N, d)
            Units of length.
        """
        self._points = arguments.as_points("points", points, np.dtype(np.float64), self.mode_set.dim)
        return self

    def set_cell(self, box) -> DirectPlan:
        """Other lattice vectors; points have to be set again. Returns the plan.

        Parameters
        ----------
        box
            As for the plan itself.
        """
        self.mode_set = ModeSet(Cell(box, self.mode_set.dim), self.mode_set.modes)
        return self

    # ------------------------------------------------------------------ sums over modes, some at a time
    def _blocks(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Numbers of stored modes, and e^{ik·x} (N, some) of them; all but the first two axes are in every block."""
        modes, fractions = self.mode_set, self._points @ self.mode_set.cell.inverse
        axes = [np.exp(2j * np.pi * np.outer(fractions[:, a], n)) for a, n in enumerate(modes.axes)]
        inner = np.ones((len(fractions), 1), dtype=np.complex128)
        for phases in axes[1:]:
            inner = (inner[:, :, None] * phases[:, None, :]).reshape(len(fractions), -1)
        width = inner.shape[1]
        step = max(1, AT_ONCE // max(width * len(fractions), 1))
        for lo in range(0, axes[0].shape[1], step):
            some = axes[0][:, lo : lo + step]
            block = (some[:, :, None] * inner[:, None, :]).reshape(len(fractions), -1)
            yield slice(lo * width, lo * width + block.shape[1]), block

    def spectrum(self, values, dvalues=None, dpoints=None) -> np.ndarray:
        """F on the stored modes, (modes, C), or its tangent where ``dvalues`` or ``dpoints`` are given.

        Parameters
        ----------
        values, dvalues : (N, C)
            f and ḟ.
        dpoints : (N, d), optional
            ẋ.
        """
        out = np.empty((self.mode_set.size, values.shape[1]), dtype=np.complex128)
        still = values if dvalues is None and dpoints is None else np.zeros_like(values) if dvalues is None else dvalues
        drift = None if dpoints is None else (values[:, :, None] * dpoints[:, None, :]).reshape(len(values), -1)
        for some, phases in self._blocks():
            out[some] = _analyse(phases, still)
            if drift is not None:
                moved = _analyse(phases, drift).reshape(-1, values.shape[1], self.mode_set.dim)
                out[some] -= 1j * np.einsum("mca,ma->mc", moved, self.mode_set.k[some])
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
        channels, dim = spectrum.shape[1], self.mode_set.dim if slopes else 1
        out = np.zeros((len(self._points), channels * dim))
        weighted = spectrum * self.mode_set.weights[:, None]
        for some, phases in self._blocks():
            part = weighted[some]
            if slopes:
                part = (1j * part[:, :, None] * self.mode_set.k[some][:, None, :]).reshape(len(part), -1)
            # Cosines and sines side by side, so that one real product does: Re(e^{ik·x} F) = cos Re F − sin Im F.
            pairs = np.stack([part.real, -part.imag], axis=1).reshape(2 * len(part), -1)
            out += phases.view(np.float64) @ pairs
        return out.reshape(len(out), channels, dim) if slopes else out

    # ------------------------------------------------------------------ the face of ``LRCPlan``
    def _values(self, name: str, values) -> np.ndarray:
        array = arguments.as_array(name, values, np.dtype(np.float64))
        return array.reshape(len(self._points), -1)

    def _table(self, multiplier: Multiplier, channels: int) -> np.ndarray:
        """φ̂/V, (modes,) or (C_out, C_in, modes)."""
        table = multiplier.checked_values(self.mode_set) / self.mode_set.cell.volume
        table = table[:, None] if table.ndim == 2 else table
        if table.ndim > 1 and table.shape[1] != channels:
            raise ValueError(f"multiplier: takes {table.shape[1]} channel(s), values have {channels}")
        return table

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
        table, spectrum = self._table(multiplier, f.shape[1]), self.spectrum(f)
        if table.ndim > 1 or np.iscomplexobj(table):
            raise ValueError(f"multiplier: an energy needs a real one of shape (), got {multiplier!r}; use vjp")
        return self._gradient(multiplier, table, (f, f / 2), (spectrum, spectrum / 2), wrt, np.shape(values))

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


def _analyse(phases: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Σ_j f_j e^{−ik·x_j}, (modes, C), from e^{ik·x} (N, modes): cosines and sines are one real matrix."""
    both = (phases.view(np.float64).T @ values).reshape(phases.shape[1], 2, values.shape[1])
    return both[:, 0] - 1j * both[:, 1]


def _times(table: np.ndarray, spectrum: np.ndarray, adjoint: bool = False) -> np.ndarray:
    """φ̂/V times a spectrum (modes, C), or its conjugate transpose."""
    table = table.conj() if adjoint else table
    if table.ndim == 1:
        return table[:, None] * spectrum
    return np.einsum("ocm,mo->mc" if adjoint else "ocm,mc->mo", table, spectrum)
