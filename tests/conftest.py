"""What every test file shares: the Hypothesis profile and the list of back ends."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

# No deadline: the first example of a window width waits for the compiler. Derandomised: a red run can be repeated.
settings.register_profile(
    "lrc_numba",
    deadline=None,
    max_examples=20,
    derandomize=True,
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("lrc_numba")

BACKENDS = ("cpu",)


@pytest.fixture(scope="session", params=BACKENDS)
def backend(request) -> str:
    """Every test that computes something runs once for each back end."""
    return request.param
