"""The picture of the README has what it draws."""

from __future__ import annotations

import json

import numpy as np

from figures import overview


def test_picture_has_what_it_draws():
    """Three errors of every library, tighter ones slower, and both networks for every μ₁ of Table 1."""
    drawn = overview.convolutions(json.loads(overview.BENCHMARK.read_text(encoding="utf-8")))
    for errors, seconds in drawn.values():
        assert errors.shape == (3,)
        assert (np.diff(errors) < 0).all()
        assert (np.diff(seconds) > 0).all()
    for by_mu in overview.force_errors(json.loads(overview.TABLE.read_text(encoding="utf-8"))).values():
        assert sorted(by_mu) == sorted(overview.MU)
    assert overview.PICTURE.stat().st_size < 300_000
