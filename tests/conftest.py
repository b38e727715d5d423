"""What every test file shares: the Hypothesis profile and the list of back ends.

``backend="cuda"`` is tested on the GPU where there is one, and else in Numba's simulator, where a kernel takes far
longer: properties are tried there on few and small problems, and what is too much for it is skipped, visibly.
"""

from __future__ import annotations

import os
import signal
from ctypes import CDLL, byref, c_int
from ctypes.util import find_library
from importlib.util import find_spec

import pytest
from hypothesis import HealthCheck, settings


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

# No deadline: the first example of a width waits for the compiler. Derandomised: red runs can be repeated.
settings.register_profile(
    "repeatable",
    deadline=None,
    max_examples=20,
    derandomize=True,
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("repeatable")

BACKENDS = ("cpu", "cuda")
LONG = ("test_accuracy.py", "test_derivatives.py", "test_properties.py", "test_multipliers.py")  # but for properties


def pytest_report_header() -> str:
    """What the back end for GPUs is tested on."""
    return f"backend='cuda': {'on hardware' if HARDWARE else f'in the simulator ({WHY_SIMULATED})'}"


@pytest.fixture(scope="session", params=BACKENDS)
def backend(request) -> str:
    """Every test that computes something runs once for each back end."""
    return request.param


@pytest.fixture(scope="session")
def simulated(backend) -> bool:
    """Whether kernels of this back end are run as Python."""
    return backend == "cuda" and not HARDWARE


@pytest.fixture
def interruptible():
    """Python's own handler of SIGINT, which a process in the background may not have."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True)
def meshes_for_few_charges(request, monkeypatch) -> None:
    """In tests of electrostatics small systems stand for large ones: modes and meshes are used where they are meant."""
    if request.path.parent.name == "electrostatics" and "explicit_sums" not in request.keywords:
        monkeypatch.setattr("lrc_numba.electrostatics.calculators.mesh.WORTH_A_MESH", 0)
        for name in ("ewald", "mesh"):
            monkeypatch.setattr(f"lrc_numba.electrostatics.calculators.{name}.MOST_OPEN", 0)


def pytest_runtest_setup(item) -> None:
    """In the simulator, no tests of the long files but properties of small problems, and none that are marked."""
    if HARDWARE or not hasattr(item, "callspec") or item.callspec.params.get("backend") != "cuda":
        return
    is_long = item.path.name in LONG and not item.get_closest_marker("property")
    if is_long or item.get_closest_marker("long") or item.callspec.params.get("size") == "wide":
        pytest.skip("takes minutes in the simulator; runs on a GPU")
