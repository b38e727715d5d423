"""Memory: what is stated is what is taken, and what cannot be had is refused before any work."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from math import prod
from pathlib import Path

import numpy as np
import pytest

from lrc_numba import ChannelMatrix, LRCPlan, Table, Yukawa
from lrc_numba.geometry.modes import ModeSet

MEBI = 2**20
# Pages, the interpreter and compiled code that is loaded meanwhile: what no array explains.
NOISE = 2 * MEBI
linux = pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="only Linux tells the peak since a moment"
)

PEAK = """
import sys
from pathlib import Path
import numpy as np
from lrc_numba import LRCPlan, Yukawa

dim, modes, eps, dtype, wrt = sys.argv[1:]
dim, modes, eps, wrt = int(dim), int(modes), float(eps), tuple(wrt.split(",")) if wrt else ()
many = {1: 10, 3: 2000}[dim]  # whose windows reach all pages of a grid: others are never taken

def status(key):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(key))

def work(modes):
    points = np.random.default_rng(0).random((many, dim)).astype(dtype)
    plan = LRCPlan(1.0, modes, eps=eps, dim=dim, dtype=dtype, threads=1).set_points(points)
    values = np.ones(many, dtype=dtype)
    if wrt:
        plan.vjp(values, Yukawa(1.0, 5.0), values, wrt=wrt)
    else:
        plan.convolve(values, Yukawa(1.0, 5.0))
    return plan

work({1: min(modes, 5000), 3: 63}[dim])  # compiled, and loaded: windows of one width
Path("/proc/self/clear_refs").write_text("5")
before = status("VmRSS")
plan = work(modes)
print(status("VmHWM") - before, sum(plan.grid.account(many, 1, 1, wrt).values()))
"""


def _peak(dim: int, modes: int, eps: float, dtype: str, wrt: str = "") -> tuple[int, int]:
    """Bytes that a plan of few points took in a process of its own, and those that were stated."""
    command = [sys.executable, "-c", PEAK, *map(str, (dim, modes, eps, dtype, wrt))]
    for _ in range(2):  # what the first one still has to compile, and the compiler's memory, is not in the second
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ))
        assert done.returncode == 0, done.stderr
    taken, stated = (int(word) for word in done.stdout.split())
    return taken, stated


@pytest.mark.slow
@linux
@pytest.mark.parametrize(
    ("dim", "modes", "eps", "dtype", "wrt"),
    [
        pytest.param(1, 10, 1e-2, "float64", "", marks=pytest.mark.slow),
        pytest.param(1, 1_000, 1e-6, "float64", "", marks=pytest.mark.slow),
        pytest.param(1, 100_000, 1e-2, "float64", "", marks=pytest.mark.slow),
        pytest.param(1, 1_000_000, 1e-2, "float32", "", marks=pytest.mark.slow),
        (1, 3_000_000, 1e-6, "float64", ""),
        pytest.param(3, 95, 1e-2, "float64", "", marks=pytest.mark.slow),
        pytest.param(3, 95, 1e-2, "float64", "points,values", marks=pytest.mark.slow),
    ],
)
def test_what_is_stated_is_taken(dim, modes, eps, dtype, wrt):
    """Within a fifth, the most that the process ever held."""
    taken, stated = _peak(dim, modes, eps, dtype, wrt)
    assert abs(taken - stated) <= 0.2 * stated + NOISE, (taken / MEBI, stated / MEBI)


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("dtype", [np.float64, pytest.param(np.float32, marks=pytest.mark.slow)])
@pytest.mark.parametrize("modes", [15, 16])
def test_account_of_the_workspace(modes, dtype, channels):
    """The grid and what lies between the axes are counted to the byte, by the same sum that large grids get."""
    plan = LRCPlan(1.0, modes, eps=1e-2, dim=3, dtype=dtype, threads=1)
    points, values = np.random.default_rng(1).random((2, 10, 3)).astype(dtype), np.ones((2, 10, channels), dtype=dtype)
    plan.set_points(points)
    before = plan.grid.account(10, 2, channels)
    held = plan._operator.space.nbytes
    plan.convolve(values, Yukawa(1.0, 5.0))
    grid, item = plan.grid, np.dtype(dtype).itemsize
    planes = 2 * channels * grid.nodes[0] * grid.stored[1] * -(-grid.stored[2] // 8) * 8 * 2 * item
    padded = 2 * channels * prod(grid.layout.padded) * item
    assert before["grid"] == padded
    # Where rows begin (three tables of 8 bytes a row) and one plane are no part of the workspace, but are counted.
    assert 0 <= before["transforms"] - planes <= 3 * 16 * channels * prod(grid.nodes[:2])
    assert padded + planes <= plan._operator.space.nbytes - held + 1e4 * channels


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_account_of_some_gigabytes(dtype):
    """Of 511³ modes without taking any of it: twice that of half the precision, and as much as the arrays there are."""
    start = time.process_time()
    grids = LRCPlan(1.0, 15, eps=1e-2, dim=3, dtype=dtype).grid
    large = type(grids)(grids.cell, (511,) * 3, 1e-2, "kaiser_bessel", grids.dtype, 1000, grids.backend)
    stated, item = large.account(1000, 1, 1), np.dtype(dtype).itemsize
    stored = 511 * 511 * 256
    arrays = {
        "grid": prod(large.layout.padded) * item,
        "planes": 2 * item * large.n[0] * 511 * 256,
        "k² and weights": 16 * stored,
        "φ̂": item * stored,
    }
    # The arrays that make up all but some hundredths: rows' places and one plane are small against planes of rows.
    assert sum(arrays.values()) <= sum(stated.values()) <= 1.05 * sum(arrays.values())
    assert sum(stated.values()) == large.memory(1000, 1, 1, targets=False) > 2**31
    assert time.process_time() - start < 5  # of arithmetic; the arrays would take longer to fill


def test_print_states_it():
    """The sum of the account."""
    plan = LRCPlan(1.0, 100_001, eps=1e-2, dim=1)
    stated = re.search(r"memory +([\d.]+) MiB for a channel, ([\d.]+) MiB with its gradient", repr(plan))
    assert stated is not None
    wanted = [plan.grid.memory(0, 1, 1, wrt, targets=False) / MEBI for wrt in ((), ("points", "values"))]
    assert [float(text) for text in stated.groups()] == pytest.approx(wanted, abs=0.051)  # one decimal is printed


@pytest.mark.parametrize(("modes", "dim"), [(10**10, 1), (10**30, 1), (10**6, 2), (20_000, 3)])
def test_modes_that_cannot_fit_are_refused_at_once(monkeypatch, modes, dim):
    """Before a window is chosen or a mode is listed."""
    monkeypatch.setattr("lrc_numba.machine.cpu.arrays.host_memory", lambda: 2**34)
    start = time.process_time()
    with pytest.raises(MemoryError, match="modes"):
        LRCPlan(1.0, modes, eps=1e-2, dim=dim)
    assert time.process_time() - start < 1


def test_modes_whose_transforms_cannot_fit_are_refused(monkeypatch):
    """10⁹ modes in 24 GiB: they would fit, what is done with them would not."""
    monkeypatch.setattr("lrc_numba.machine.cpu.arrays.host_memory", lambda: 24 * 2**30)
    monkeypatch.setattr(ModeSet, "axes", property(lambda self: pytest.fail("the modes were listed")))
    start = time.process_time()
    with pytest.raises(MemoryError, match="modes: "):
        LRCPlan(1.0, 10**9, eps=1e-2, dim=1)
    assert time.process_time() - start < 10  # of choosing a window, on a busy machine


def test_a_plan_lists_no_modes(monkeypatch):
    """Making and printing one takes as long for 10⁸ modes as for ten: it is all arithmetic on sizes."""
    monkeypatch.setattr("lrc_numba.machine.cpu.arrays.host_memory", lambda: 2**40)
    monkeypatch.setattr(ModeSet, "axes", property(lambda self: pytest.fail("the modes were listed")))
    assert "100000000" in repr(LRCPlan(1.0, 10**8, eps=1e-2, dim=1))


def test_every_pair_of_channels_has_a_table():
    """A full matrix of φ̂ is stated as such, and values that do not fit into memory name the multiplier."""
    grid = LRCPlan(1.0, 21, dim=2, eps=1e-3).grid
    plain, matrix = (grid.account(100, 1, 4, maps=maps) for maps in (1, 16))
    assert matrix["tables"] - plain["tables"] == 15 * 8 * grid.mode_set.size
    assert grid.memory(100, 1, 4, maps=16) > grid.memory(100, 1, 4)
    huge = ChannelMatrix(np.ones((3000, 1)), Table(np.ones(grid.mode_set.shape), 2))
    huge.values = lambda modes: np.empty((10**9, 10**6, modes.size))
    with pytest.raises(MemoryError, match=r"multiplier: ChannelMatrix\.values on 231 modes does not fit"):
        LRCPlan(1.0, 21, dim=2).set_points(np.zeros((1, 2))).convolve(None, huge)
