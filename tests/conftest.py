"""What every test file shares: the Hypothesis profiles and the list of back ends.

``backend="cuda"`` is tested on the GPU where there is one, and else in Numba's simulator, with few examples because a
kernel takes far longer there; what is too much for the simulator is skipped, visibly.
"""

from __future__ import annotations

import os
from ctypes.util import find_library
from importlib.util import find_spec

import pytest
from hypothesis import HealthCheck, settings

HARDWARE = find_library("cuda") is not None and find_spec("cupy") is not None
if not HARDWARE:
    os.environ.setdefault("NUMBA_ENABLE_CUDASIM", "1")  # read when Numba is imported, which is later

# No deadline: the first example of a window width waits for the compiler. Derandomised: a red run can be repeated.
for name, examples in (("lrc_numba", 20), ("simulator", 2)):
    settings.register_profile(
        name,
        deadline=None,
        max_examples=examples,
        derandomize=True,
        database=None,
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow],
    )
settings.load_profile("lrc_numba")

BACKENDS = ("cpu", "cuda")
LONG = ("test_accuracy.py", "test_derivatives.py", "test_properties.py", "test_multipliers.py")  # in the simulator


def pytest_configure(config) -> None:
    config.addinivalue_line("markers", "long: too much for the simulator of a GPU")


@pytest.fixture(scope="session", params=BACKENDS)
def backend(request) -> str:
    """Every test that computes something runs once for each back end."""
    return request.param


def pytest_runtest_setup(item) -> None:
    """Few examples in the simulator; tests marked as long are not for it."""
    simulated = not HARDWARE and getattr(item, "callspec", None) and item.callspec.params.get("backend") == "cuda"
    settings.load_profile("simulator" if simulated else "lrc_numba")
    if simulated and (item.get_closest_marker("long") or item.path.name in LONG):
        pytest.skip("takes minutes in the simulator; runs on a GPU")
