r"""Message passing with scalar and vector features: what a point receives from its neighbours.

A state h (n, 1 + d, C) holds C scalars s of a point and, behind them, C vectors v. With x_j (3C) from the scalars of a
neighbour, w_p (3C) from the distance of the pair p = (i, j) and u_p its direction, the first two in blocks a, b, c,

    m_s = x_j^a w_p^a          m_v = u_p x_j^c w_p^c + v_j x_j^b w_p^b          h_i += Σ_p m_p

Products that are linear in each of x, w, u and v, so their tangents and transposes are products of the same kind. The
loops go over the pairs of a full list, sorted by i, so that rows of i stay in the cache, and take eight channels at a
time; their arrays are flat.
"""

from __future__ import annotations

import numpy as np

from ...machine.cpu import simd
from ...machine.cpu.compile import inlined, kernel
from ..layers.parameters import Parameters
from .part import Part, Tape, WrongShape, expect_rows

__all__ = ["LANES", "Messages"]

LANES = 8  # channels at a time
EIGHT = (0,) * LANES


@kernel
def _send(first, second, channels, dim, x, w, u, v, out):
    """Add the messages of all pairs to ``out``."""
    for p in range(len(first)):
        i, j = first[p], second[p]
        at_x, at_w, at_v, to = j * 3 * channels, p * 3 * channels, j * dim * channels, i * (1 + dim) * channels
        for c in range(0, channels, LANES):
            _add_product(x, at_x + c, w, at_w + c, out, to + c)
            by_v = _block(x, at_x, w, at_w, channels, c)
            by_u = _block(x, at_x, w, at_w, 2 * channels, c)
            for a in range(dim):
                row = to + (1 + a) * channels + c
                moved = simd.fma(simd.load(v, at_v + a * channels + c, EIGHT), by_v, simd.load(out, row, EIGHT))
                simd.store(out, row, simd.fma(u[p * dim + a], by_u, moved))


@inlined
def _add_product(left, at_left, right, at_right, out, to):
    """out += left · right, eight numbers."""
    product = simd.load(left, at_left, EIGHT)
    simd.store(out, to, simd.fma(product, simd.load(right, at_right, EIGHT), simd.load(out, to, EIGHT)))


@inlined
def _block(x, at_x, w, at_w, block, c):
    """Eight numbers of x w in a block."""
    return simd.load(x, at_x + block + c, EIGHT) * simd.load(w, at_w + block + c, EIGHT)


@inlined
def _block_tangent(x, dx, at_x, w, dw, at_w, block, c):
    """Eight numbers of ẋ w + x ẇ in a block."""
    own = simd.load(dx, at_x + block + c, EIGHT) * simd.load(w, at_w + block + c, EIGHT)
    return simd.fma(simd.load(x, at_x + block + c, EIGHT), simd.load(dw, at_w + block + c, EIGHT), own)


@kernel
def _send_tangent(first, second, channels, dim, x, w, u, v, dx, dw, du, dv, out):
    """Add the tangents of the messages of all pairs to ``out``."""
    for p in range(len(first)):
        i, j = first[p], second[p]
        at_x, at_w, at_v, to = j * 3 * channels, p * 3 * channels, j * dim * channels, i * (1 + dim) * channels
        for c in range(0, channels, LANES):
            scalar = _block_tangent(x, dx, at_x, w, dw, at_w, 0, c)
            simd.store(out, to + c, simd.load(out, to + c, EIGHT) + scalar)
            by_v, by_u = _block(x, at_x, w, at_w, channels, c), _block(x, at_x, w, at_w, 2 * channels, c)
            by_v_moved = _block_tangent(x, dx, at_x, w, dw, at_w, channels, c)
            by_u_moved = _block_tangent(x, dx, at_x, w, dw, at_w, 2 * channels, c)
            for a in range(dim):
                row, at = to + (1 + a) * channels + c, at_v + a * channels + c
                moved = simd.fma(simd.load(v, at, EIGHT), by_v_moved, simd.load(out, row, EIGHT))
                moved = simd.fma(simd.load(dv, at, EIGHT), by_v, moved)
                moved = simd.fma(du[p * dim + a], by_u, moved)
                simd.store(out, row, simd.fma(u[p * dim + a], by_u_moved, moved))


@kernel
def _return(first, second, channels, dim, x, w, u, v, bar, x_bar, w_bar, u_bar, v_bar):
    """The transpose of ``_send``: cotangents of x and v are added to, those of w and u written."""
    for p in range(len(first)):
        i, j = first[p], second[p]
        at_x, at_w, at_v, of = j * 3 * channels, p * 3 * channels, j * dim * channels, i * (1 + dim) * channels
        for a in range(dim):
            u_bar[p * dim + a] = 0
        for c in range(0, channels, LANES):
            _add_product(bar, of + c, w, at_w + c, x_bar, at_x + c)
            simd.store(w_bar, at_w + c, simd.load(bar, of + c, EIGHT) * simd.load(x, at_x + c, EIGHT))
            by_v, by_u = _block(x, at_x, w, at_w, channels, c), _block(x, at_x, w, at_w, 2 * channels, c)
            along_u, along_v = simd.zero(bar, EIGHT), simd.zero(bar, EIGHT)
            for a in range(dim):
                up, at = simd.load(bar, of + (1 + a) * channels + c, EIGHT), at_v + a * channels + c
                along_u = simd.fma(u[p * dim + a], up, along_u)
                along_v = simd.fma(simd.load(v, at, EIGHT), up, along_v)
                simd.store(v_bar, at, simd.fma(up, by_v, simd.load(v_bar, at, EIGHT)))
                u_bar[p * dim + a] += simd.total(up * by_u)
            for block, along in ((channels, along_v), (2 * channels, along_u)):
                to_x, to_w = at_x + block + c, at_w + block + c
                simd.store(x_bar, to_x, simd.fma(along, simd.load(w, to_w, EIGHT), simd.load(x_bar, to_x, EIGHT)))
                simd.store(w_bar, to_w, along * simd.load(x, to_x, EIGHT))


@kernel
def _return_tangent(first, second, channels, dim, x, w, u, v, dx, dw, du, dv, bar, x_bar, w_bar, u_bar, v_bar):
    """The tangent of ``_return`` along (ẋ, ẇ, u̇, v̇) for one cotangent, added to what is there."""
    for p in range(len(first)):
        i, j = first[p], second[p]
        at_x, at_w, at_v, of = j * 3 * channels, p * 3 * channels, j * dim * channels, i * (1 + dim) * channels
        for c in range(0, channels, LANES):
            _add_product(bar, of + c, dw, at_w + c, x_bar, at_x + c)
            _add_product(bar, of + c, dx, at_x + c, w_bar, at_w + c)
            by_v = _block_tangent(x, dx, at_x, w, dw, at_w, channels, c)
            by_u = _block_tangent(x, dx, at_x, w, dw, at_w, 2 * channels, c)
            along_u, along_v = simd.zero(bar, EIGHT), simd.zero(bar, EIGHT)
            along_du, along_dv = simd.zero(bar, EIGHT), simd.zero(bar, EIGHT)
            for a in range(dim):
                up, at = simd.load(bar, of + (1 + a) * channels + c, EIGHT), at_v + a * channels + c
                along_u, along_du = simd.fma(u[p * dim + a], up, along_u), simd.fma(du[p * dim + a], up, along_du)
                along_v = simd.fma(simd.load(v, at, EIGHT), up, along_v)
                along_dv = simd.fma(simd.load(dv, at, EIGHT), up, along_dv)
                simd.store(v_bar, at, simd.fma(up, by_v, simd.load(v_bar, at, EIGHT)))
                u_bar[p * dim + a] += simd.total(up * by_u)
            for block, along, moved in ((channels, along_v, along_dv), (2 * channels, along_u, along_du)):
                to_x, to_w = at_x + block + c, at_w + block + c
                total = simd.fma(along, simd.load(dw, to_w, EIGHT), simd.load(x_bar, to_x, EIGHT))
                simd.store(x_bar, to_x, simd.fma(moved, simd.load(w, to_w, EIGHT), total))
                total = simd.fma(along, simd.load(dx, to_x, EIGHT), simd.load(w_bar, to_w, EIGHT))
                simd.store(w_bar, to_w, simd.fma(moved, simd.load(x, to_x, EIGHT), total))


class Messages(Part):
    """Σ_p m_p, (n, 1 + d, C), from x (n, 3C), w (P, 3C), u (P, d) and v (n, d, C); the pairs are a full list.

    C is a multiple of eight.
    """

    rows, pairs = "points", "full"

    @staticmethod
    def _flat(arrays) -> list[np.ndarray]:
        return [np.ascontiguousarray(each).reshape(-1) for each in arrays]

    @staticmethod
    def _sizes(tape: Tape) -> tuple:
        """The pairs, C and d."""
        pairs, (_, dim, channels) = tape.scene.pairs, tape.kept["v shape"]
        return pairs.first, pairs.second, channels, dim

    def _empty(self, tape: Tape) -> np.ndarray:
        (_, dim, channels), flat = tape.kept["v shape"], tape.kept["inputs"]
        return np.zeros((tape.scene.count, 1 + dim, channels), dtype=flat[0].dtype)

    def forward(self, tape: Tape, x, w, u, v):
        if v.ndim != 3:
            raise WrongShape(f"expected vectors of shape (n, d, C), got {v.shape}")
        if v.shape[2] % LANES:
            raise ValueError(f"channels: expected a multiple of {LANES}, got {v.shape[2]}")
        points, count, (_, dim, channels) = tape.scene.count, len(tape.scene.pairs), v.shape
        expect_rows(x, 3 * channels, count=points)
        expect_rows(w, 3 * channels, count=count)
        expect_rows(u, dim, count=count)
        expect_rows(v, dim, channels, count=points)
        tape.kept |= {"inputs": self._flat((x, w, u, v)), "v shape": v.shape}
        tape.kept["shapes"] = [each.shape for each in (x, w, u, v)]
        out = self._empty(tape)
        _send(*self._sizes(tape), *tape.kept["inputs"], out.reshape(-1))
        return out

    def jvp(self, tape: Tape, *tangents):
        inputs = tape.kept["inputs"]
        filled = [np.zeros_like(own) if t is None else t for own, t in zip(inputs, tangents, strict=True)]
        tape.kept["tangents"] = self._flat(filled)
        out = self._empty(tape)
        _send_tangent(*self._sizes(tape), *inputs, *tape.kept["tangents"], out.reshape(-1))
        return out

    def _bars(self, tape: Tape, bar) -> list[np.ndarray]:
        x, w, u, v = tape.kept["inputs"]
        bars = [np.zeros_like(x), np.empty_like(w), np.empty_like(u), np.zeros_like(v)]
        _return(*self._sizes(tape), x, w, u, v, *self._flat([bar]), *bars)
        return bars

    @staticmethod
    def _shaped(tape: Tape, bars: list[np.ndarray]) -> tuple:
        return tuple(bar.reshape(shape) for bar, shape in zip(bars, tape.kept["shapes"], strict=True))

    def vjp(self, tape: Tape, bar, gradient: Parameters | None = None) -> tuple:
        return self._shaped(tape, self._bars(tape, bar))

    def vjp_dual(self, tape: Tape, bar, dbar, gradient: Parameters) -> tuple[tuple, tuple]:
        own, down = self._bars(tape, bar), self._bars(tape, dbar)
        inputs, tangents = tape.kept["inputs"], tape.kept["tangents"]
        _return_tangent(*self._sizes(tape), *inputs, *tangents, *self._flat([dbar]), *own)
        return self._shaped(tape, own), self._shaped(tape, down)
