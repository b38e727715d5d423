"""Small systems stand for large ones here: where a mesh is meant, it is used however few the points are."""

from __future__ import annotations

import pytest

from lrc_numba.electrostatics.calculators import mesh


@pytest.fixture(autouse=True)
def meshes_for_few_points(monkeypatch, request):
    """No explicit sums in place of a mesh, but where a test is marked so."""
    if "explicit_sums" not in request.keywords:
        monkeypatch.setattr(mesh, "WORTH_A_MESH", 0)
