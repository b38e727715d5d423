"""What every test file shares: the Hypothesis profiles and the list of back ends.

``backend="cuda"`` is tested on the GPU where there is one, and else in Numba's simulator, where a kernel takes far
longer: properties are tried there on few and small problems, and what is too much for it is skipped, visibly.
"""

from __future__ import annotations

import os
from ctypes import CDLL, byref, c_int
from ctypes.util import find_library
from importlib.util import find_spec

import pytest
from hypothesis import HealthCheck, is_hypothesis_test, settings


def _devices() -> int:
    """How many GPUs the driver knows of; it may be installed where there are none. Numba must not be imported yet."""
    name, count = find_library("cuda") or find_library("nvcuda"), c_int(0)
    try:
        driver = CDLL(name) if name else None
    except OSError:
        return 0
    known = driver is not None and driver.cuInit(0) == 0 and driver.cuDeviceGetCount(byref(count)) == 0
    return count.value if known else 0


def _why_simulated() -> str:
    """Why the back end for GPUs is run in the simulator; nothing where it runs on hardware."""
    if os.environ.get("NUMBA_ENABLE_CUDASIM", "0") not in ("", "0"):
        return "NUMBA_ENABLE_CUDASIM is set"
    if not _devices():
        return "no NVIDIA GPU"
    return "" if find_spec("cupy") else "a GPU, but not CuPy: pip install -e '.[test,cuda]'"


WHY_SIMULATED = _why_simulated()
HARDWARE = not WHY_SIMULATED
if not HARDWARE:
    os.environ["NUMBA_ENABLE_CUDASIM"] = "1"  # read when Numba is imported, which is later

EXAMPLES = {"here": 20, "simulator": 2}


def _load(name: str, examples: int) -> None:
    """No deadline: the first example of a width waits for the compiler. Derandomised: red runs can be repeated."""
    settings.register_profile(
        name,
        deadline=None,
        max_examples=examples,
        derandomize=True,
        database=None,
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow],
    )
    settings.load_profile(name)


BACKENDS = ("cpu", "cuda")
LONG = ("test_accuracy.py", "test_derivatives.py", "test_properties.py", "test_multipliers.py")  # but for properties


def pytest_report_header() -> str:
    """What the back end for GPUs is tested on."""
    return f"backend='cuda': {'on hardware' if HARDWARE else f'in the simulator ({WHY_SIMULATED})'}"


def pytest_configure(config) -> None:
    config.addinivalue_line("markers", "long: too much for the simulator of a GPU")
    config.addinivalue_line("markers", "examples(number): of a property, where it is not to be the usual number")
    _load("here", EXAMPLES["here"])


@pytest.fixture(scope="session", params=BACKENDS)
def backend(request) -> str:
    """Every test that computes something runs once for each back end."""
    return request.param


def pytest_runtest_setup(item) -> None:
    """Few and small examples in the simulator; other tests of the long files, and those marked, are not for it."""
    simulated = not HARDWARE and getattr(item, "callspec", None) and item.callspec.params.get("backend") == "cuda"
    marked = item.get_closest_marker("examples")
    _load("simulator" if simulated else "here", EXAMPLES["simulator" if simulated else "here"])
    if simulated:
        is_long = item.path.name in LONG and not is_hypothesis_test(item.obj)
        if is_long or item.get_closest_marker("long"):
            pytest.skip("takes minutes in the simulator; runs on a GPU")
    elif marked:
        _load("more", marked.args[0])
