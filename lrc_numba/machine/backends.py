"""The back ends: processors, and NVIDIA GPUs. Each has arrays, a way to run loops, and beside every stage its loops.

Nothing is looked for before a plan asks for it.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from types import ModuleType

__all__ = ["BACKENDS", "Backend", "load"]

BACKENDS = ("cpu", "cuda")


class Backend:
    """Where arrays live and how loops run; copies and pickles are the same one again.

    Parameters
    ----------
    name : {"cpu", "cuda"}
        Which.

    Attributes
    ----------
    arrays : module
        ``machine.<name>.arrays``: memory, transforms of a library, and what the caches are like.
    parallel : module
        ``machine.<name>.parallel``: running loops.

    Raises
    ------
    ImportError, RuntimeError
        Where the packages, or the device, that it needs are not there; the message says what to do.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.arrays = import_module(f"{__package__}.{name}.arrays")
        self.parallel = import_module(f"{__package__}.{name}.parallel")
        self._loops: dict[str, ModuleType] = {}

    def loops(self, package: str) -> ModuleType:
        """The loops of a stage: the module of its folder that is called as the back end is.

        Parameters
        ----------
        package : str
            Of the stage: its ``__package__``.
        """
        try:
            return self._loops[package]
        except KeyError:
            return self._loops.setdefault(package, import_module(f"{package}.{self.name}"))

    def __reduce__(self) -> tuple:
        return load, (self.name,)


@cache
def load(name: str) -> Backend:
    """A back end, always the same object."""
    return Backend(name)
