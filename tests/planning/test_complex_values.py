"""Complex values: two convolutions, and a clear refusal where a derivative is asked for."""

from __future__ import annotations

import numpy as np
import pytest
from strategies import random_numbers

from lrc_numba import ChannelMatrix, Gaussian, LRCPlan, Yukawa, lrc_convolve

POINTS = np.random.default_rng(0).random((2, 6, 1))
MIXING = ChannelMatrix([[1.0, 2.0], [0.5, -1.0], [0.0, 1.0]], Gaussian(0.2))


def plan(dtype=np.float64, targets=None) -> LRCPlan:
    """A small plan of two snapshots."""
    new = LRCPlan(1.0, 7, eps=1e-5, dim=1, threads=1, dtype=dtype)
    return new.set_points(POINTS.astype(dtype), None if targets is None else targets.astype(dtype))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("options", [{}, {"exclude_self": True}, {"targets": POINTS[:, :4] / 2}], ids=str)
@pytest.mark.parametrize(("kernel", "shape"), [(Yukawa(), (2, 6)), (MIXING, (2, 6, 2))], ids=["plain", "channels"])
def test_two_convolutions(kernel, shape, options, dtype):
    """Real and imaginary part of the result are the convolutions of the real and the imaginary part, bit for bit."""
    real, imag = (random_numbers(seed, *shape).astype(dtype) for seed in (1, 2))
    options = dict(options)
    used = plan(dtype, options.pop("targets", None))
    found = used.convolve(real + 1j * imag, kernel, **options)
    assert found.dtype == (np.complex64 if dtype == np.float32 else np.complex128)
    np.testing.assert_array_equal(found.real, used.convolve(real, kernel, **options))
    np.testing.assert_array_equal(found.imag, used.convolve(imag, kernel, **options))


def test_in_one_call_and_from_lists():
    """``lrc_convolve`` as well; Python's own numbers come in no dtype and take that of the plan."""
    values = [[1.0 + 2j, 0.5, -1j, 2.0, 1.0, 0.0], [1.0, 1j, 0.0, 0.0, 2.0, 1.0]]
    found = lrc_convolve(POINTS, np.array(values), Yukawa(), box=1.0, modes=7, eps=1e-5, threads=1)
    np.testing.assert_array_equal(found, plan().convolve(values, Yukawa()))
    single = plan(np.float32).convolve(values, Yukawa())
    assert single.dtype == np.complex64


@pytest.mark.parametrize(
    ("dtype", "values", "error", "message"),
    [
        (np.float32, np.ones((2, 6), complex), TypeError, "values: expected float32.*or complex64, got complex128"),
        (
            np.float64,
            np.ones((2, 6), np.complex64),
            TypeError,
            "values: expected float64.*or complex128, got complex64",
        ),
        (np.float64, np.ones((2, 5), complex), ValueError, r"values: expected shape \(2, 6\)"),
        (np.float64, np.full((2, 6), 1j * np.inf), ValueError, "values: expected finite numbers"),
    ],
)
def test_wrong_complex_values(dtype, values, error, message):
    """The checks of real values hold for both parts."""
    with pytest.raises(error, match=message):
        plan(dtype).convolve(values, Yukawa())


REAL, COMPLEX = np.ones((2, 6)), np.ones((2, 6)) + 1j
DERIVATIVES = {
    "jvp values": (lambda p: p.jvp(COMPLEX, Yukawa(), POINTS), "values"),
    "jvp dvalues": (lambda p: p.jvp(REAL, Yukawa(), POINTS, COMPLEX), "dvalues"),
    "vjp values": (lambda p: p.vjp(COMPLEX, Yukawa(), REAL), "values"),
    "vjp cotangent": (lambda p: p.vjp(REAL, Yukawa(), COMPLEX), "cotangent"),
    "parameters_jvp values": (lambda p: p.parameters_jvp(COMPLEX.tolist(), Yukawa(), REAL), "values"),
    "parameters_jvp cotangent": (lambda p: p.parameters_jvp(REAL, Yukawa(), COMPLEX), "cotangent"),
    "parameters_jvp dcotangent": (
        lambda p: p.parameters_jvp(REAL, Yukawa(), REAL, dcotangent=COMPLEX.tolist()),
        "dcotangent",
    ),
}


@pytest.mark.parametrize("name", DERIVATIVES)
def test_derivatives_are_of_real_numbers(name):
    """A TypeError that names the argument and the remedy."""
    call, argument = DERIVATIVES[name]
    with pytest.raises(
        TypeError, match=f"^{argument}: expected float64, as derivatives are of real numbers, got complex.*two chan"
    ):
        call(plan())


def test_points_without_a_dtype_take_that_of_complex_values():
    """Integers as points go with complex64 values in single precision."""
    found = lrc_convolve([[0], [1]], np.ones(2, np.complex64), Gaussian(0.1), box=3.0, modes=5, eps=1e-5)
    assert found.dtype == np.complex64
