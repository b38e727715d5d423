"""How loops are compiled for a device, and the one place where CUDA is imported.

A ``kernel`` is called as the CPU's are, ``loop(part, lo, hi, *arguments)``, and runs on the stream that is current in
CuPy, on as many threads as there is work for. With ``NUMBA_ENABLE_CUDASIM=1`` in the environment before Numba is
imported the same code runs, slowly, in Numba's simulator, on NumPy arrays.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial, update_wrapper

import numpy as np

try:
    from numba import cuda
    from numba.core import config
except ImportError as missing:  # a Numba without it
    raise ImportError("backend: 'cuda' needs numba-cuda and CuPy: pip install 'lrc_numba[cuda]'") from missing

__all__ = ["SIMULATED", "THREADS", "cuda", "fft", "inlined", "kernel", "xp"]

SIMULATED = bool(config.ENABLE_CUDASIM)
THREADS = 4 if SIMULATED else 128  # per block; the simulator makes a thread of Python for each
FEWEST_BLOCKS = 1 if SIMULATED else 128  # numba-cuda warns of launches with less; those without work end at once
MOST_BLOCKS = 2 if SIMULATED else 1 << 16  # loops stride over the grid, whatever its size


def _arrays():
    """NumPy in the simulator, CuPy on a device; an error that says what is missing."""
    if SIMULATED:
        return np
    try:
        import cupy
    except ImportError as missing:
        raise ImportError("backend: 'cuda' needs CuPy: pip install 'lrc_numba[cuda]'") from missing
    if not cuda.is_available():
        raise RuntimeError(
            "backend: 'cuda' found no NVIDIA GPU that it can use, or numba-cuda lacks what it compiles with: "
            "pip install 'lrc_numba[cuda]'; NUMBA_ENABLE_CUDASIM=1 in the environment runs it, slowly, in a simulator"
        )
    return cupy


def _transforms():
    """SciPy's transforms in the simulator, CuPy's on a device."""
    if SIMULATED:
        from scipy import fft
    else:
        from cupyx.scipy import fft
    return fft


xp, fft = _arrays(), _transforms()


@lru_cache(maxsize=64)
def _numba_stream(pointer: int):
    """One of CuPy's streams as one of Numba's; 0 is the default stream of both."""
    return cuda.external_stream(pointer) if pointer else 0


def _stream():
    """The stream on which CuPy works at the moment: kernels and library calls come one after the other."""
    return 0 if SIMULATED else _numba_stream(xp.cuda.get_current_stream().ptr)


def _given_twice(arguments: tuple) -> dict:
    """Copies on the simulated device of arrays that come twice, of which the simulator would bring back two."""
    arrays = [a for a in arguments if isinstance(a, np.ndarray)]
    return {id(a): cuda.to_device(a) for i, a in enumerate(arrays) if any(a is b for b in arrays[:i])}


class _Loop:
    """A compiled function that is launched like one of the CPU's kernels."""

    def __init__(self, function, threads: Callable[..., int]):
        update_wrapper(self, function)
        self.compiled = cuda.jit(function)  # not kept on disk: Numba would not notice a change in what is inlined
        self.threads = threads

    def __call__(self, part: int, lo: int, hi: int, *arguments) -> None:
        if hi <= lo:
            return
        blocks = -(-self.threads(hi - lo, *arguments) // THREADS)
        blocks = min(max(blocks, FEWEST_BLOCKS), MOST_BLOCKS)
        copies = _given_twice(arguments) if SIMULATED else {}
        self.compiled[blocks, THREADS, _stream()](part, lo, hi, *(copies.get(id(a), a) for a in arguments))
        for array in arguments:
            if id(array) in copies:
                copies[id(array)].copy_to_host(array)


def kernel(function=None, threads=None):
    """Compile a function that is launched like one of the CPU's kernels; also as ``@kernel(threads=…)``.

    Parameters
    ----------
    function : function
        Called as ``function(part, lo, hi, *arguments)``, by every thread of a launch.
    threads : function or int, optional
        How many have work to do: ``threads(hi - lo, *arguments)``, or so many for every item of [lo, hi); one by
        default.
    """
    if function is None:
        return partial(kernel, threads=threads)
    if callable(threads):
        return _Loop(function, threads)
    return _Loop(function, lambda items, *_: items * (threads or 1))


def inlined(function):
    """Compile a function into the kernels that call it."""
    return cuda.jit(device=True)(function)
