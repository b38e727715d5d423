"""The package as a package: linted, typed, documented, printed."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

import lrc_numba
from lrc_numba import LRCPlan, direct

ROOT = Path(__file__).resolve().parent.parent


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


@pytest.mark.parametrize("module", [lrc_numba, direct], ids=["lrc_numba", "direct"])
def test_public_names_exist_and_are_documented(module):
    """Every name in ``__all__`` is there, has a docstring, and so have its public methods."""
    assert module.__doc__
    for name in module.__all__:
        thing = getattr(module, name)
        assert thing.__doc__, name
        if thing is LRCPlan:
            for method in ("set_points", "convolve", "jvp", "vjp"):
                assert getattr(thing, method).__doc__, method


def test_repr_shows_every_choice():
    """Grid, width, window, error law, memory, threads, and the points once they are set."""
    plan = LRCPlan([1.0, 2.0], (15, 20), eps=1e-6, threads=2)
    text = repr(plan)
    words = ("float64", "cpu", "2 thread", "(15, 20)", "kaiser_bessel", "width", "1e-06", "law", "exact", "MiB", "grid")
    assert [word for word in words if word not in text] == []
    assert "(7, 2)" in repr(plan.set_points(np.zeros((7, 2))))
    assert "points will tell" in repr(LRCPlan(1.0, 7))
