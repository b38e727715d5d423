"""The package as a package: linted, typed, documented, printed."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import re
import subprocess
import sys
from collections.abc import Callable
from importlib.resources import files
from inspect import getdoc, isclass, isfunction, signature
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import lrc_numba
from lrc_numba import LRCPlan, engine
from lrc_numba.networks.parts.part import Part

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.slow
@pytest.mark.parametrize(
    "command", [["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy"]], ids=["lint", "format", "types"]
)
def test_tools_are_clean(command):
    """Ruff and mypy, as configured in ``pyproject.toml``, have nothing to say."""
    if importlib.util.find_spec(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed; it is in the extra 'test'")
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_typed():
    """The marker file is where type checkers look."""
    assert files("lrc_numba").joinpath("py.typed").is_file()


def public_modules() -> list[ModuleType]:
    """The package and all its modules without an underscore, less those that need CUDA where there is none."""
    modules = [lrc_numba]
    for info in pkgutil.walk_packages(lrc_numba.__path__, "lrc_numba.", onerror=lambda _: None):
        if any(part.startswith("_") for part in info.name.split(".")):
            continue
        try:
            modules.append(importlib.import_module(info.name))
        except (ImportError, RuntimeError):
            if "cuda" not in info.name:
                raise
    return modules


MODULES = public_modules()


def _methods(thing: type) -> list[tuple[str, Callable]]:
    """Public methods that a class defines itself."""
    unwrapped = ((name, getattr(method, "__func__", method)) for name, method in vars(thing).items())
    return [(name, method) for name, method in unwrapped if not name.startswith("_") and isfunction(method)]


def _undescribed(function: Callable, name: str, described: str, glossary: str = "") -> list[str]:
    """Why nobody could call ``function`` by its docstring: it has none, or some parameters are not named in it.

    One or two parameters may be explained by the sentence alone; more of them need a section, or where there is a
    glossary, to be named there or in the sentence.
    """
    parameters = [p for p in signature(function).parameters if p not in ("self", "cls") and not p.startswith("_")]
    if not described:
        return [f"{name}: no docstring"]
    section = described.partition("Parameters\n")[2]
    if len(parameters) <= 2 and not section:
        return []
    listed = re.findall(r"^ *([\w*, ]+?)(?: :.*)?$", section, re.MULTILINE)
    words = {word.strip("* ") for line in listed for word in line.split(",")}
    words |= set(re.findall(r"\w+", glossary + described)) if glossary else set()
    return [f"{name}: {parameter}" for parameter in parameters if parameter not in words]


def _glossary(module: ModuleType) -> str:
    """What loops and their parts share is explained in the docstrings of their module, its package and the engine."""
    folders = ("engine", "machine.cpu", "geometry.neighbours", "electrostatics")
    inside = module.__name__.startswith(tuple(f"lrc_numba.{folder}." for folder in folders))
    return f"{engine.__doc__}{sys.modules[module.__package__].__doc__}{module.__doc__}" if inside else ""


@pytest.mark.parametrize("module", MODULES, ids=[module.__name__ for module in MODULES])
def test_public_names_exist_and_are_documented(module):
    """Every name in ``__all__`` is there and says what it is, its parameters and those of its methods included."""
    assert module.__doc__
    missing = []
    for name in getattr(module, "__all__", ()):
        thing = getattr(module, name)
        thing = getattr(thing, "py_func", thing)  # of what is compiled
        if isclass(thing):
            missing += [] if thing.__doc__ else [f"{name}: no docstring"]
            for method, function in _methods(thing):
                if issubclass(thing, Part) and not function.__doc__:  # what a part reads and returns, its class says
                    continue
                described = getdoc(getattr(thing, method)) or ""
                missing += _undescribed(function, f"{name}.{method}", described)
        elif isfunction(thing):
            missing += _undescribed(thing, name, getdoc(thing) or "", _glossary(module))
    assert missing == []


def test_repr_shows_every_choice():
    """Grid, width, window, error law, memory, threads, and the points once they are set."""
    plan = LRCPlan([1.0, 2.0], (15, 20), eps=1e-6, threads=2)
    text = repr(plan)
    words = ("float64", "cpu", "2 thread", "(15, 20)", "kaiser_bessel", "width", "1e-06", "law", "exact", "MiB", "grid")
    assert [word for word in words if word not in text] == []
    assert "(7, 2)" in repr(plan.set_points(np.zeros((7, 2))))
    assert "points will tell" in repr(LRCPlan(1.0, 7))
