"""Grid ↔ modes: real transforms, one axis at a time, keeping only the modes that are kept."""

from __future__ import annotations

import numpy as np

__all__ = ["analyse", "synthesise"]


def _keep(array: np.ndarray, axis: int, count: int) -> np.ndarray:
    """The 2K + 1 = ``count`` lowest frequencies of a transformed axis, in FFT order."""
    top = count // 2
    head, tail = (
        np.take(array, range(top + 1), axis),
        np.take(array, range(array.shape[axis] - top, array.shape[axis]), axis),
    )
    return np.concatenate([head, tail], axis)


def _spread_out(array: np.ndarray, axis: int, nodes: int) -> np.ndarray:
    """Inverse of ``_keep``: zeros at the frequencies in between."""
    top = array.shape[axis] // 2
    shape = list(array.shape)
    shape[axis] = nodes
    out = np.zeros(shape, dtype=array.dtype)
    front, back = [slice(None)] * array.ndim, [slice(None)] * array.ndim
    front[axis], back[axis] = slice(0, top + 1), slice(top + 1, None)
    out[tuple(front)] = array[tuple(front)]
    back_out = list(back)
    back_out[axis] = slice(nodes - top, None)
    out[tuple(back_out)] = array[tuple(back)]
    return out


def analyse(grid: np.ndarray, nodes: tuple[int, int, int], shape: tuple[int, int, int], threads: int) -> np.ndarray:
    """Σ_nodes grid e^{−2πi n·node/nodes} on the kept modes: (…, padded) real to (…, *shape) complex."""
    from scipy import fft

    view = grid[..., : nodes[0], : nodes[1], : nodes[2]]
    modes = fft.rfft(view, axis=-1, workers=threads)[..., : shape[2]]
    for axis in (-2, -3):
        if nodes[axis + 3] > 1:
            modes = _keep(fft.fft(modes, axis=axis, workers=threads), modes.ndim + axis, shape[axis + 3])
    return np.ascontiguousarray(modes)


def synthesise(modes: np.ndarray, nodes: tuple[int, int, int], grid: np.ndarray, threads: int) -> None:
    """Σ_{all modes} modes e^{+2πi n·node/nodes} into the unpadded part of ``grid``; the transpose of ``analyse``."""
    from scipy import fft

    for axis in (-3, -2):
        if nodes[axis + 3] > 1:
            wide = _spread_out(modes, modes.ndim + axis, nodes[axis + 3])
            modes = fft.ifft(wide, axis=axis, workers=threads, norm="forward")
    view = grid[..., : nodes[0], : nodes[1], : nodes[2]]
    view[...] = fft.irfft(modes, n=nodes[2], axis=-1, workers=threads, norm="forward")
