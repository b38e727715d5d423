r"""Message passing with scalar and vector features: what a point receives from its neighbours.

A state h (n, 1 + d, C) holds C scalars s of a point and, behind them, C vectors v. With x_j (3C) from the scalars of a
neighbour, w_p (3C) from the distance of the pair p = (i, j) and u_p its direction, the first two in blocks a, b, c,

    m_s = x_j^a w_p^a          m_v = u_p x_j^c w_p^c + v_j x_j^b w_p^b          h_i += Σ_p m_p

Products that are linear in each of x, w, u and v, so their tangents and transposes are products of the same kind. The
loops go over the pairs of a full list, sorted by i; rows of i stay in the cache.
"""

from __future__ import annotations

import numpy as np

from ...machine.cpu.compile import kernel
from ..layers.parameters import Parameters
from .part import Part, Tape

__all__ = ["Messages"]


@kernel
def _send(first, second, x, w, u, v, out):
    """Add the messages of all pairs to ``out`` (n, 1 + d, C)."""
    channels, dim = out.shape[2], u.shape[1]
    for p in range(len(first)):
        i, j = first[p], second[p]
        for c in range(channels):
            out[i, 0, c] += x[j, c] * w[p, c]
        for a in range(dim):
            for c in range(channels):
                out[i, 1 + a, c] += u[p, a] * (x[j, 2 * channels + c] * w[p, 2 * channels + c]) + v[j, a, c] * (
                    x[j, channels + c] * w[p, channels + c]
                )


@kernel
def _send_tangent(first, second, x, w, u, v, dx, dw, du, dv, out):
    """Add the tangents of the messages of all pairs to ``out``."""
    channels, dim = out.shape[2], u.shape[1]
    for p in range(len(first)):
        i, j = first[p], second[p]
        for c in range(channels):
            out[i, 0, c] += dx[j, c] * w[p, c] + x[j, c] * dw[p, c]
        for a in range(dim):
            for c in range(channels):
                b, e = channels + c, 2 * channels + c
                out[i, 1 + a, c] += (
                    du[p, a] * (x[j, e] * w[p, e])
                    + u[p, a] * (dx[j, e] * w[p, e] + x[j, e] * dw[p, e])
                    + dv[j, a, c] * (x[j, b] * w[p, b])
                    + v[j, a, c] * (dx[j, b] * w[p, b] + x[j, b] * dw[p, b])
                )


@kernel
def _return(first, second, x, w, u, v, bar, x_bar, w_bar, u_bar, v_bar):
    """The transpose of ``_send``: cotangents of x and v are added to, those of w and u written."""
    channels, dim = bar.shape[2], u.shape[1]
    for p in range(len(first)):
        i, j = first[p], second[p]
        for c in range(channels):
            b, e = channels + c, 2 * channels + c
            x_bar[j, c] += bar[i, 0, c] * w[p, c]
            w_bar[p, c] = bar[i, 0, c] * x[j, c]
            w_bar[p, b] = w_bar[p, e] = 0.0
        for a in range(dim):
            along = 0.0
            for c in range(channels):
                b, e = channels + c, 2 * channels + c
                up = bar[i, 1 + a, c]
                by_u, by_v = u[p, a] * up, v[j, a, c] * up
                x_bar[j, e] += by_u * w[p, e]
                w_bar[p, e] += by_u * x[j, e]
                along += up * (x[j, e] * w[p, e])
                x_bar[j, b] += by_v * w[p, b]
                w_bar[p, b] += by_v * x[j, b]
                v_bar[j, a, c] += up * (x[j, b] * w[p, b])
            u_bar[p, a] = along


@kernel
def _return_tangent(first, second, x, w, u, v, dx, dw, du, dv, bar, x_bar, w_bar, u_bar, v_bar):
    """The tangent of ``_return`` along (ẋ, ẇ, u̇, v̇) for one cotangent, added to what is there."""
    channels, dim = bar.shape[2], u.shape[1]
    for p in range(len(first)):
        i, j = first[p], second[p]
        for c in range(channels):
            x_bar[j, c] += bar[i, 0, c] * dw[p, c]
            w_bar[p, c] += bar[i, 0, c] * dx[j, c]
        for a in range(dim):
            along = 0.0
            for c in range(channels):
                b, e = channels + c, 2 * channels + c
                up = bar[i, 1 + a, c]
                by_u, by_v, by_du, by_dv = u[p, a] * up, v[j, a, c] * up, du[p, a] * up, dv[j, a, c] * up
                x_bar[j, e] += by_u * dw[p, e] + by_du * w[p, e]
                w_bar[p, e] += by_u * dx[j, e] + by_du * x[j, e]
                x_bar[j, b] += by_v * dw[p, b] + by_dv * w[p, b]
                w_bar[p, b] += by_v * dx[j, b] + by_dv * x[j, b]
                v_bar[j, a, c] += up * (dx[j, b] * w[p, b] + x[j, b] * dw[p, b])
                along += up * (dx[j, e] * w[p, e] + x[j, e] * dw[p, e])
            u_bar[p, a] += along


class Messages(Part):
    """Σ_p m_p, (n, 1 + d, C), from x (n, 3C), w (P, 3C), u (P, d) and v (n, d, C); the pairs are a full list."""

    @staticmethod
    def _arrays(*inputs) -> list[np.ndarray]:
        return [np.ascontiguousarray(each) for each in inputs]

    def forward(self, tape: Tape, x, w, u, v):
        pairs = tape.scene.pairs
        tape.kept["inputs"] = inputs = self._arrays(x, w, u, v)
        out = np.zeros((tape.scene.count, 1 + u.shape[1], v.shape[2]), dtype=x.dtype)
        _send(pairs.first, pairs.second, *inputs, out)
        return out

    def jvp(self, tape: Tape, *tangents):
        pairs, inputs = tape.scene.pairs, tape.kept["inputs"]
        filled = [np.zeros_like(own) if t is None else t for own, t in zip(inputs, tangents, strict=True)]
        tape.kept["tangents"] = filled = self._arrays(*filled)
        out = np.zeros((tape.scene.count, 1 + inputs[2].shape[1], inputs[3].shape[2]), dtype=inputs[0].dtype)
        _send_tangent(pairs.first, pairs.second, *inputs, *filled, out)
        return out

    @staticmethod
    def _bars(tape: Tape, bar) -> list[np.ndarray]:
        pairs, inputs = tape.scene.pairs, tape.kept["inputs"]
        bars = [np.zeros_like(inputs[0]), np.empty_like(inputs[1]), np.empty_like(inputs[2]), np.zeros_like(inputs[3])]
        _return(pairs.first, pairs.second, *inputs, np.ascontiguousarray(bar), *bars)
        return bars

    def vjp(self, tape: Tape, bar, gradient: Parameters | None = None) -> tuple:
        return tuple(self._bars(tape, bar))

    def vjp_dual(self, tape: Tape, bar, dbar, gradient: Parameters) -> tuple[tuple, tuple]:
        pairs, inputs = tape.scene.pairs, tape.kept["inputs"]
        own, down = self._bars(tape, bar), self._bars(tape, dbar)
        _return_tangent(pairs.first, pairs.second, *inputs, *tape.kept["tangents"], np.ascontiguousarray(dbar), *own)
        return tuple(own), tuple(down)
