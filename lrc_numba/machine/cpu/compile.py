"""How loops are compiled: the decorators ``kernel`` and ``inlined``.

Compiled code is kept on disk. Numba notices a change of the file a function stands in, not of the files of the
functions it calls; here every kernel is stamped with a fingerprint of all of them, so an update of the package
recompiles what it must. Where no place can be written to, kernels are compiled anew in every process.

Compiling takes Numba's own time in Python more than the compiler's. So functions that only kernels call get no entry
from Python, and garbage is looked for between kernels, not within.
"""

from __future__ import annotations

import gc
import os
from functools import cache, wraps
from hashlib import sha256
from pathlib import Path
from threading import Lock

from numba import njit
from numba.core import config

__all__ = ["inlined", "kernel"]

# nogil: threads run kernels side by side. error_model: no branch for a division by zero. No fastmath: equal work must
# give equal bits wherever it is compiled into.
if config.DISABLE_JIT:
    raise RuntimeError("lrc_numba has to be compiled, but NUMBA_DISABLE_JIT is set")
_OPTIONS = {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True}


@cache
def _fingerprint(folder: Path) -> str:
    """Of all sources that can end up in a kernel of a folder, and of the switch that changes what they mean."""
    machine = Path(__file__).parents[1]
    engine = machine.with_name("engine")
    sources = sorted({*machine.rglob("*.py"), *engine.rglob("*.py"), *folder.glob("*.py")})
    digest = sha256(os.environ.get("LRC_NUMBA_VECTORS", "1").encode())
    for source in sources:
        digest.update(source.read_bytes())
    return digest.hexdigest()


def kernel(function=None, threads=None):
    """Compile a function that releases the interpreter lock, and keep the result on disk where that is possible.

    Parameters
    ----------
    function : function
        Called as ``function(part, lo, hi, *arguments)``.
    threads : optional
        Without meaning here: who calls a kernel says which part of the work it is to do.
    """
    if function is None:
        return kernel
    try:
        compiled = njit(cache=True, **_OPTIONS)(function)
        index = compiled._cache._cache_file
        index._source_stamp = (index._source_stamp, _fingerprint(Path(function.__code__.co_filename).parent))
    except RuntimeError:  # no directory can be written to
        compiled = njit(**_OPTIONS)(function)
    compiled.compile = _uncollected(compiled.compile)
    return compiled


class _Uncollected:
    """While any thread is in it, Python looks for no garbage."""

    def __init__(self) -> None:
        self.lock, self.inside, self.before = Lock(), 0, False

    def __enter__(self) -> None:
        with self.lock:
            if self.inside == 0:
                self.before = gc.isenabled()
                gc.disable()
            self.inside += 1

    def __exit__(self, *_) -> None:
        with self.lock:
            self.inside -= 1
            if self.inside == 0 and self.before:
                gc.enable()


_UNCOLLECTED = _Uncollected()


def _uncollected(function):
    """The same function, in which Python looks for no garbage."""

    @wraps(function)
    def call(*arguments):
        """Called in its place."""
        with _UNCOLLECTED:
            return function(*arguments)

    return call


def inlined(function):
    """Compile a function into the kernels that call it; it may not allocate, so no references are counted in loops."""
    return njit(forceinline=True, _nrt=False, no_cpython_wrapper=True, **_OPTIONS)(function)
