"""Compiled for other processors, with bounds checked, or not at all: each in a process of its own."""

from __future__ import annotations

import gc
import os
import subprocess
import sys

import numpy as np
import pytest

from lrc_numba.engine.spreading.cpu import spread
from lrc_numba.machine.cpu.compile import _uncollected

CROWDED = """
import numpy as np
from lrc_numba import Gaussian, LRCPlan
from lrc_numba.engine.spreading import cpu as spreading
generator = np.random.default_rng(0)
for dim, modes in ((1, 33), (2, 17), (3, 9)):
    points = generator.random((2, 12000, dim)) * np.array([0.05, 1.0, 0.4])[:dim]
    values = generator.standard_normal((2, 12000))
    plan = LRCPlan(1.0, modes, dim=dim, threads=2).set_points(points)
    gradient = plan.vjp(values, Gaussian(0.1), values)
    found = gradient.output, gradient.points, gradient.values, plan.jvp(values, Gaussian(0.1), points, values)
    print(*(float(np.linalg.norm(part)) for part in found))
print(sum(spreading.spread.stats.cache_hits.values()))
"""


def _run(code: str, tmp_path, **environment: str) -> str:
    """Standard output of a fresh process with a cache of its own."""
    variables = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)} | environment
    done = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_bounds_are_checked(tmp_path):
    """Numba's own bounds check finds nothing, with crowded tiles in every dimension; vectors it does not see."""
    assert len(_run(CROWDED, tmp_path, NUMBA_BOUNDSCHECK="1").splitlines()) == 4


SIMPLER = {"scalars": {"LRC_NUMBA_VECTORS": "0"}, "no fused": {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}}


@pytest.mark.slow
def test_on_simpler_processors(tmp_path):
    """Scalars instead of vectors, or nothing fused: the same numbers, and not what was compiled for another."""
    code = CROWDED.replace("((1, 33), (2, 17), (3, 9))", "((2, 17),)").replace("dim=dim", "dim=dim, eps=1e-8")
    *simple, usual = (_run(code, tmp_path, **environment).split() for environment in (*SIMPLER.values(), {}))
    for each in simple:
        # Lanes are added up in another order; sums of some thousand terms.
        np.testing.assert_allclose([float(x) for x in each[:-1]], [float(x) for x in usual[:-1]], rtol=1e-12)
    assert {each[-1] for each in (*simple, usual)} == {"0"}  # found in the cache


def test_garbage_waits_while_a_kernel_is_compiled():
    """And is looked for again after, also where compiling fails."""
    assert gc.isenabled()
    assert not _uncollected(gc.isenabled)()
    assert gc.isenabled()
    with pytest.raises(ZeroDivisionError):
        _uncollected(divmod)(1, 0)
    assert gc.isenabled()
    assert spread.compile.__wrapped__.__self__ is spread


def test_switched_off_compilation_is_an_error():
    code = "import lrc_numba.engine.spreading.cpu"
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert "RuntimeError: lrc_numba has to be compiled, but NUMBA_DISABLE_JIT is set" in done.stderr
