"""The back ends: packages with loops of the same names, one for processors and one for NVIDIA GPUs.

Nothing is looked for before a plan asks for it.
"""

from __future__ import annotations

import sys
from functools import cache
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

__all__ = ["BACKENDS", "Backend", "load"]

BACKENDS = ("cpu", "cuda")


class Backend:
    """The modules of a back end; copies and pickles are the same one again.

    Parameters
    ----------
    name : {"cpu", "cuda"}
        Which.

    Attributes
    ----------
    arrays, deconvolution, fourier, interpolation, parallel, points, schedule, spreading : module
        Of the package ``lrc_numba.<name>``.
    crowds : module or None
        ``lrc_numba.cpu.crowds``; None for a GPU, which has no such loops.

    Raises
    ------
    ImportError, RuntimeError
        Where the packages, or the device, that it needs are not there; the message says what to do.
    """

    arrays: ModuleType
    deconvolution: ModuleType
    fourier: ModuleType
    interpolation: ModuleType
    parallel: ModuleType
    points: ModuleType
    schedule: ModuleType
    spreading: ModuleType

    def __init__(self, name: str) -> None:
        if not any(isinstance(finder, _OurOwn) for finder in sys.meta_path):
            sys.meta_path.insert(0, _OurOwn())
        self.name = name
        for module in Backend.__annotations__:
            setattr(self, module, import_module(f"lrc_numba.{name}.{module}"))
        self.crowds: Any = import_module("lrc_numba.cpu.crowds") if name == "cpu" else None

    def __reduce__(self) -> tuple:
        return load, (self.name,)


class _OurOwn:
    """Finds the modules of this package, and nothing else.

    The package numba-cuda (seen in 0.30) takes every module with "numba.cuda" in its name for one of Numba's, and looks
    for ``lrc_numba.cuda`` until the interpreter ends that with a RecursionError; it must not be asked. This comes first
    from the moment that a back end is loaded, so the modules of a back end are reached through ``load``.
    """

    @staticmethod
    def find_spec(name: str, path=None, target: ModuleType | None = None) -> ModuleSpec | None:
        """As the import system asks.

        Parameters
        ----------
        name, path, target
            See ``importlib.abc.MetaPathFinder.find_spec``.
        """
        return PathFinder.find_spec(name, path, target) if name.startswith("lrc_numba.cuda") else None


@cache
def load(name: str) -> Backend:
    """A back end, always the same object."""
    return Backend(name)
