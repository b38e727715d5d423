"""Pairs of other machines and of other programs are the same."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from lrc_numba.geometry.neighbours import find_pairs

CELL = np.array([[1.0, 0.0, 0.0], [0.4, 0.9, 0.0], [-0.3, 0.35, 1.1]])
CROWD = np.random.default_rng(1).random((3000, 3)) @ CELL

SUMS = """
import hashlib
import numpy as np
from lrc_numba.geometry.neighbours import find_pairs
points = np.random.default_rng(0).random((300, 3))
for count, cutoff, full in ((300, 0.3, False), (300, 0.3, True), (7, 1.3, False), (7, 1.3, True)):
    pairs = find_pairs(points[:count], cutoff, [[1, 0, 0], [0.2, 1, 0], [0.1, 0.3, 1]], full=full)
    arrays = (pairs.first, pairs.second, pairs.displacement)
    print(hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest())
"""


@pytest.mark.slow
def test_pairs_without_vectors_are_the_same(tmp_path):
    """Where scalars stand for vectors, as on a processor without instructions for lists: the same bits."""
    lines = []
    for environment in ({"LRC_NUMBA_VECTORS": "0", "NUMBA_CACHE_DIR": str(tmp_path)}, {}):
        command = [sys.executable, "-c", SUMS]
        done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        lines.append(done.stdout.split())
    assert lines[0] == lines[1]
    assert len(set(lines[0])) == 4


@pytest.mark.parametrize("full", [False, True])
def test_pairs_are_those_of_vesin(full):
    """The same numbers of pairs of each point, and the same distances."""
    vesin = pytest.importorskip("vesin", reason="vesin is not installed: pip install -e '.[test]'")
    points, cutoff = CROWD[:500], 0.25
    pairs = find_pairs(points, cutoff, CELL, full=full)
    theirs = vesin.NeighborList(cutoff=cutoff, full_list=full).compute(points, CELL, True, "ijd")
    assert len(theirs[0]) == len(pairs) > 1000
    for of_points in ((pairs.first, pairs.second), theirs[:2]):
        assert len(of_points[0]) == len(pairs)
    ends = [np.sort(np.stack(both), axis=0) for both in ((pairs.first, pairs.second), theirs[:2])]
    rows = [np.lexsort((d, b, a)) for (a, b), d in zip(ends, (pairs.distance, theirs[2]), strict=True)]
    np.testing.assert_array_equal(ends[0][:, rows[0]], ends[1][:, rows[1]])
    np.testing.assert_allclose(pairs.distance[rows[0]], theirs[2][rows[1]], rtol=0, atol=1e-14)  # some ulps of 1
