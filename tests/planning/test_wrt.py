"""What a gradient is asked for is what is computed."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest
from measures import relative

from lrc_numba import ChannelMatrix, Gaussian, LRCPlan


@pytest.mark.parametrize("count", [None, pytest.param(7, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("modes", "gradient"), [(15, "exact"), (15, "spectral"), (201, "exact")])
def test_only_what_is_wanted_is_computed(count, modes, gradient):
    """``wrt`` may be one name; the others are None, and those asked for do not change, nor does u."""
    generator, kernel = np.random.default_rng(0), ChannelMatrix(np.arange(6.0).reshape(3, 2), Gaussian(0.1))
    points, values = generator.random((30, 2)), generator.standard_normal((30, 2))
    targets = None if count is None else generator.random((count, 2))
    plan = LRCPlan(1.0, modes, dim=2, eps=1e-5, gradient=gradient).set_points(points, targets)
    assert (prod(plan.grid.layout.tiles) == 1) == (modes == 15)  # points on one tile are not sorted
    cotangent, exclude = generator.standard_normal((count or 30, 3)), {"exclude_self": count is None}
    everything = plan.vjp(values, kernel, cotangent, **exclude)
    assert relative(plan.vjp(values, kernel, cotangent, wrt=(), **exclude).output, everything.output) <= 1e-14
    for name in ("points", "values", "parameters"):
        one = plan.vjp(values, kernel, cotangent, wrt=name, **exclude)
        given = {key for key in ("points", "values", "parameters") if getattr(one, key) is not None}
        assert given == {name}
        assert relative(one.output, everything.output) <= 1e-14
        for key, found in one.parameters.items() if name == "parameters" else [(None, getattr(one, name))]:
            wanted = getattr(everything, name) if key is None else everything.parameters[key]
            assert relative(found, wanted) <= 1e-14
