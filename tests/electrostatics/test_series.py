"""Chebyshev series: the compiled sum against NumPy's, for any number of terms and arguments."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.polynomial import Chebyshev

from lrc_numba.electrostatics.series import AT_ONCE, Series, chebyshev_series


@pytest.mark.parametrize("terms", [1, 2, 3, 200])
@pytest.mark.parametrize("shape", [(), (0,), (1,), (AT_ONCE + 1,), (3, 2 * AT_ONCE)])
def test_values_and_slopes_are_those_of_numpy(terms, shape):
    """The same recurrence: only the order within a term differs, by rounding of the sum of absolute values."""
    generator = np.random.default_rng(terms)
    coefficients, x = generator.standard_normal(terms), 50.0 * generator.random(shape)
    own, wanted = Series(coefficients, [0.0, 50.0]), Chebyshev(coefficients, [0.0, 50.0])
    for made, known in ((own, wanted), (own.deriv(), wanted.deriv())):
        assert np.shape(made(x)) == shape
        size = np.abs(known.coef).sum() * terms
        np.testing.assert_allclose(made(x), known(x), rtol=0, atol=1e-15 * size)


def test_a_smooth_function_is_right_to_rounding():
    """To the ends of the interval."""
    series = chebyshev_series(lambda x: np.cos(x), 0.0, 40.0, 120)
    x = np.linspace(0.0, 40.0, 1001)
    np.testing.assert_allclose(series(x), np.cos(x), rtol=0, atol=1e-13)
