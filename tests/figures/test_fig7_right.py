"""The sums over all pairs that Fig. 7, right, compares with."""

from __future__ import annotations

import numpy as np
import pytest

from figures import fig7_right


@pytest.mark.parametrize(("dim", "box", "lam"), [(1, 4.0, 1.0), (1, 200.0, 1.5), (3, 3.0, 1.0), (3, 60.0, 2.0)])
def test_direct_sum(dim, box, lam):
    """Nearest images of all others, each once; also in boxes most of whose pairs are beyond what is left out."""
    points = box * np.random.default_rng(0).random((60, dim))
    points[0], points[1] = 0.001 * box, 0.999 * box  # neighbours across the faces
    expected = np.zeros(len(points))
    for i, one in enumerate(points):
        for j, other in enumerate(points):
            if i != j:
                apart = one - other
                r = np.linalg.norm(apart - box * np.rint(apart / box))
                expected[i] += np.exp(-lam * r) / r if dim == 3 else 2 * np.pi / lam * np.exp(-lam * r)
    out = np.full(len(points), np.nan)
    fig7_right.direct_sum(points, box, lam, out)
    # 60 terms, each right to a few ulp of r² and of the exponent, λr < 40; those left out are 4e-18 of a neighbour's.
    np.testing.assert_allclose(out, expected, rtol=0, atol=1e-13 * np.abs(expected).max())
    one = np.full(2, np.nan)
    fig7_right.direct_sum(np.ones((2, dim)), box, lam, one)  # in one place, where e^{−λr}/r is no number
    assert one.tolist() == ([0.0, 0.0] if dim == 3 else [2 * np.pi / lam] * 2)
