"""The back ends: packages with loops of the same names, one for processors and one for NVIDIA GPUs.

Nothing is looked for before a plan asks for it.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

__all__ = ["BACKENDS", "Backend", "load"]

BACKENDS = ("cpu", "cuda")
PLACES = {
    "arrays": "machine.{}.arrays",
    "deconvolution": "engine.deconvolution.{}",
    "fourier": "engine.fourier.{}",
    "interpolation": "engine.interpolation.{}",
    "parallel": "machine.{}.parallel",
    "points": "engine.points.{}",
    "schedule": "engine.points.{}_schedule",
    "spreading": "engine.spreading.{}",
}


class Backend:
    """The modules of a back end; copies and pickles are the same one again.

    Parameters
    ----------
    name : {"cpu", "cuda"}
        Which.

    Attributes
    ----------
    arrays, deconvolution, fourier, interpolation, parallel, points, schedule, spreading : module
        Those of ``PLACES``.
    crowds : module or None
        ``lrc_numba.engine.spreading.cpu_crowded``; None for a GPU, which has no such loops.

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
        self.name = name
        for module in Backend.__annotations__:
            setattr(self, module, import_module(f"lrc_numba.{PLACES[module].format(name)}"))
        self.crowds: Any = import_module("lrc_numba.engine.spreading.cpu_crowded") if name == "cpu" else None

    def __reduce__(self) -> tuple:
        return load, (self.name,)


@cache
def load(name: str) -> Backend:
    """A back end, always the same object."""
    return Backend(name)
