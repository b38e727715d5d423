"""``python -m lrc_numba.warm``: what it has compiled is there for other processes, and is all they need."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

USE = """
import numpy as np
from numba.core import event
from lrc_numba import Gaussian, LRCPlan
dim, modes, eps, count, dtype, clustered = __ARGUMENTS__
points = np.random.default_rng(1).random((count, dim)).astype(dtype)
points[: int(0.8 * count) if clustered else 0] *= 0.01
values = np.ones((count, 5), dtype=dtype)
with event.install_recorder("numba:compile") as compiled:
    plan = LRCPlan(3.0, modes, dim=dim, eps=eps, dtype=dtype, threads=2).set_points(3.0 * points)
    plan.convolve(values[:, 0], Gaussian(0.1))
    plan.vjp(values[:, 0], Gaussian(0.1), values[:, 0])
    plan.vjp(values, Gaussian(0.1), values, wrt="points")
    plan.jvp(values, Gaussian(0.1), points, values)
print([found.data["dispatcher"].py_func.__name__ for _, found in compiled.buffer if found.is_end])
"""


def _run(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    """A fresh Python process."""
    command = [sys.executable, *arguments]
    return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dim", "modes", "eps", "count", "dtype", "clustered"),
    [
        (1, 101, 1e-6, 5000, "float64", False),
        (2, 33, 1e-3, 3000, "float32", False),
        (3, 31, 1e-4, 30000, "float64", True),
    ],
)
def test_nothing_is_left_to_compile(dim, modes, eps, count, dtype, clustered, tmp_path):
    """A process with another box, kernel, points and channels compiles nothing; nor does the same command again."""
    given = {"dim": dim, "modes": modes, "eps": eps, "points": count, "dtype": dtype, "threads": 2}
    command = ["-m", "lrc_numba.warm", *(word for name, value in given.items() for word in (f"--{name}", f"{value}"))]
    command += ["--clustered"] if clustered else []
    cache = {"NUMBA_CACHE_DIR": str(tmp_path)}
    done = _run(*command, **cache)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[0]) > 50
    used = _run("-c", USE.replace("__ARGUMENTS__", repr((dim, modes, eps, count, dtype, clustered))), **cache)
    assert used.stdout.strip() == "[]", used.stderr
    assert _run(*command, **cache).stdout.split()[0] == "0"


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        pytest.param("--dim 2 --modes 9 9 9", 1, "ValueError: modes: ", marks=pytest.mark.slow),
        pytest.param(
            "--dim 1 --modes 9 --eps 1e-9 --dtype float32",
            1,
            "ValueError: eps: 1e-09 is out of reach in float32",
            marks=pytest.mark.slow,
        ),
        pytest.param("--dim 1 --modes 9 --points 0", 2, "--points: expected at least one and", marks=pytest.mark.slow),
        pytest.param("--dim 1", 2, "the following arguments are required: --modes", marks=pytest.mark.slow),
    ],
)
def test_bad_input(options, status, message):
    """Says what is wrong, without a traceback."""
    done = _run("-m", "lrc_numba.warm", *options.split())
    assert done.returncode == status
    assert message in done.stderr
    assert "Traceback" not in done.stderr
