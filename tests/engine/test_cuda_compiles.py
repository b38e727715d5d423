"""Every kernel that a plan launches on a device is compiled to PTX, for which no device is needed.

The simulator runs kernels as Python, whatever their types; here Numba has to find the types and NVVM has to translate
them. That takes a process of its own, without the simulator, in which launches are recorded instead of made.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest

CAPABILITY = (9, 0)
COUNT = 9000  # points, which make a crowd where there are few tiles
MODES = {1: 1501, 2: 31, 3: 9}  # enough for more than one tile
NO_NVVM = 77  # how the process ends where there is nothing to compile with


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [pytest.param("float32", marks=pytest.mark.slow), "float64"])
def test_kernels_compile(dtype):
    """In one, two and three dimensions, with every derivative, both gradients, channels and crowded tiles."""
    environment = os.environ | {"NUMBA_ENABLE_CUDASIM": "0"}
    command = [sys.executable, __file__, dtype]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode == NO_NVVM:
        pytest.skip(f"nothing to compile for a GPU with: {done.stdout.strip()}")
    assert done.returncode == 0, done.stdout + done.stderr


def _without_device():
    """The back end on NumPy arrays; a list of the launches, (loop, types of its arguments), without double ones."""
    import scipy.fft
    from numba import cuda
    from numba.cuda import dispatcher

    from lrc_numba.machine import backends

    cuda.is_available = lambda: True
    device = SimpleNamespace(compute_capability=CAPABILITY)
    dispatcher.get_current_device = lambda: device  # asked for where a kernel calls another function
    sys.modules |= {"cupy": np, "cupyx": scipy, "cupyx.scipy": scipy}
    from lrc_numba.engine.points import cpu
    from lrc_numba.machine.cuda import compile as compiling
    from lrc_numba.machine.cuda import parallel

    parallel.runs = lambda: False  # results are whatever was in memory
    compiling.SIMULATED = True  # for ``arrays``, which then takes NumPy and SciPy
    backends.load("cuda")
    launches = {}

    def record(loop, part, lo, hi, *arguments):
        if hi > lo:
            types = tuple(loop.compiled.typeof_pyval(value) for value in (part, lo, hi, *arguments))
            launches[loop.__module__, loop.__name__, types] = loop.__wrapped__
        if loop.__name__ in ("fold_points", "count_tiles"):  # without which there would be no tiles to launch for
            getattr(cpu, loop.__name__)(part, lo, hi, *arguments)

    compiling._Loop.__call__ = record
    return launches


def _ask_everything(dtype: str, dim: int, gradient: str, matrix) -> None:
    """Every method of a plan, once with and once without targets; results are whatever was in memory."""
    from lrc_numba import ChannelMatrix, LRCPlan, Table, Yukawa

    generator = np.random.default_rng(0)
    points, targets = (generator.random((n, dim)).astype(dtype) for n in (COUNT, 5))
    values = generator.random((COUNT, 1)).astype(dtype)
    kernel = Yukawa(1.0, 2.0) if matrix is None else ChannelMatrix(matrix, Yukawa(1.0, 2.0))
    plan = LRCPlan(1.0, MODES[dim], eps=1e-3, dtype=dtype, dim=dim, gradient=gradient, backend="cuda")
    for places in (None, targets) if gradient == "exact" and matrix is None else (None,):
        plan.set_points(points, places)
        cotangent = np.ones_like(plan.convolve(values, kernel))
        moves = {"dpoints": points} if places is None else {"dpoints": points, "dtargets": targets}
        plan.jvp(values, kernel, **moves)
        plan.vjp(values, kernel, cotangent)
        plan.parameters_jvp(values, kernel, cotangent, **moves)
    if matrix is None:
        plan.convolve(values, Table(np.ones(plan.grid.mode_set.shape, dtype=complex), dim))


def _compile_all(dtype: str) -> int:
    """Record and compile; prints what fails, and returns how much did."""
    from numba import cuda

    try:
        cuda.compile(lambda: None, (), cc=CAPABILITY)
    except Exception as missing:  # of a kind that differs between versions of numba-cuda
        print(missing)
        return NO_NVVM
    launches = _without_device()
    from lrc_numba.machine.cuda.compile import _Loop

    np.seterr(all="ignore")
    for dim in (1, 2, 3):
        _ask_everything(dtype, dim, "exact", None)
    _ask_everything(dtype, 3, "spectral", [[1.0], [2.0]])
    failed = 0
    for (module, name, types), function in launches.items():
        start = time.time()
        try:
            cuda.compile(function, types, cc=CAPABILITY)
        except Exception as wrong:  # whatever it is, it would also come at the first launch
            failed += 1
            print(f"{module}.{name}{types}: {wrong}")
        print(f"{module}.{name}: {time.time() - start:.2f} s", file=sys.stderr)
    loops = {
        (module, loop.__name__)
        for module, contents in list(sys.modules.items())
        if module.startswith("lrc_numba.") and "cuda" in module
        for loop in vars(contents).values()
        if isinstance(loop, _Loop) and loop.__module__ == module
    }
    for module, name in loops - {key[:2] for key in launches}:
        failed += 1
        print(f"{module}.{name}: never launched")
    return failed


if __name__ == "__main__":
    sys.exit(_compile_all(sys.argv[1]))
