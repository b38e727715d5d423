"""How loops are compiled: the decorators ``kernel`` and ``inlined``.

Compiled code is kept on disk. Numba notices a change of the file that contains a function, not of the files of the
functions it calls; here every kernel is stamped with a fingerprint of all of them, so an update of the package
recompiles what it must. Where no place can be written to, kernels are compiled anew in every process, and a warning
says so, once. Files end with a digest of what they hold, and one that does not match (a full disk, a copy that was
interrupted) counts as not there: its kernel is compiled again, and the file replaced.

Most of the time of compiling is spent in Numba's own Python code. So functions that only kernels call get no entry from
Python, and garbage is collected between kernels, not while one is compiled.
"""

from __future__ import annotations

import gc
import os
import pickle
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, wraps
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from threading import Lock

from numba import njit
from numba.core import config
from numba.core.caching import FunctionCache, IndexDataCacheFile

__all__ = ["inlined", "kernel"]

# nogil: threads run kernels side by side. error_model: no branch for a division by zero. No fastmath: equal work must
# give equal bits wherever it is compiled into.
if config.DISABLE_JIT:
    raise RuntimeError("lrc_numba has to be compiled, but NUMBA_DISABLE_JIT is set")
_OPTIONS = {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True}


@cache
def _fingerprint(folder: Path) -> str:
    """Fingerprint of all sources that can become part of a kernel of a folder, and of ``LRC_NUMBA_VECTORS``."""
    machine = Path(__file__).parents[1]
    engine = machine.with_name("engine")
    sources = sorted({*machine.rglob("*.py"), *engine.rglob("*.py"), *folder.glob("*.py")})
    digest = sha256(os.environ.get("LRC_NUMBA_VECTORS", "1").encode())
    for source in sources:
        digest.update(source.read_bytes())
    return digest.hexdigest()


_warned = False


def _warn(what: str) -> None:
    """Say, once in a process, that compiling is not going to be spared, whichever kernel is the first to notice."""
    global _warned
    if _warned:
        return
    _warned = True
    warnings.warn(
        f"{what}; set NUMBA_CACHE_DIR, before lrc_numba is imported, to a directory that can be written to",
        RuntimeWarning,
        stacklevel=2,
    )


class _Files(IndexDataCacheFile):
    """The files of one kernel, each with a digest at its end, which nobody who unpickles it looks at."""

    DIGEST = sha256().digest_size

    def _intact(self, path: str) -> bytes | None:
        """What a file holds, or None where its digest does not match."""
        content = Path(path).read_bytes()
        end = len(content) - self.DIGEST
        return content[:end] if end > 0 and sha256(content[:end]).digest() == content[end:] else None

    @contextmanager
    def _open_for_write(self, filepath: str) -> Iterator[BytesIO]:
        content = BytesIO()
        yield content
        with super()._open_for_write(filepath) as file:
            file.write(content.getvalue() + sha256(content.getvalue()).digest())

    def _load_index(self) -> dict:
        try:
            return {} if self._intact(self._index_path) is None else super()._load_index()
        except OSError:
            return {}

    def _load_data(self, name: str):
        content = self._intact(self._data_path(name))
        if content is None:
            raise OSError(f"{name} is damaged")  # which counts as a file that is not there
        return pickle.loads(content)


class _Cache(FunctionCache):
    """The compiled forms of one kernel, on disk.

    Parameters
    ----------
    function : function
        The kernel as it was written.

    Raises
    ------
    RuntimeError
        Where no directory can be written to.
    """

    def __init__(self, function) -> None:
        super().__init__(function)
        files: IndexDataCacheFile = self._cache_file  # type: ignore[has-type]
        stamp = (files._source_stamp, _fingerprint(Path(function.__code__.co_filename).parent))
        self._cache_file = _Files(files._cache_path, self._impl.filename_base, stamp)
        asked = config.CACHE_DIR
        if asked and not Path(files._cache_path).is_relative_to(asked):
            _warn(f"NUMBA_CACHE_DIR={asked} cannot be written to: compiled code is kept elsewhere")

    def save_overload(self, sig, data) -> None:
        """Keep a compiled form; a warning where it cannot be written, as on a disk that is full.

        Parameters
        ----------
        sig : signature
            Types of the arguments.
        data : compile result
            The form.
        """
        try:
            super().save_overload(sig, data)
        except OSError as error:
            _warn(f"compiled code cannot be kept in {self.cache_path} and every process compiles anew ({error})")


def kernel(function=None, threads=None):
    """Compile a function that releases the interpreter lock, and keep the result on disk where that is possible.

    Parameters
    ----------
    function : function
        Called as ``function(part, lo, hi, *arguments)``.
    threads : optional
        Not used here: the caller of a kernel says which range it is to do.
    """
    if function is None:
        return kernel
    compiled = njit(**_OPTIONS)(function)
    try:
        compiled._cache = _Cache(function)
    except RuntimeError:
        _warn("compiled code can be kept nowhere and every process compiles anew, which takes many seconds")
    compiled.compile = _uncollected(compiled.compile)
    return compiled


class _Uncollected:
    """A context in which Python collects no garbage, as long as any thread is in it."""

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
    """The same function, in which Python collects no garbage."""

    @wraps(function)
    def call(*arguments):
        """Called in its place."""
        with _UNCOLLECTED:
            return function(*arguments)

    return call


def inlined(function):
    """Compile a function into the kernels that call it; it may not allocate, so no references are counted in loops."""
    return njit(forceinline=True, _nrt=False, no_cpython_wrapper=True, **_OPTIONS)(function)
