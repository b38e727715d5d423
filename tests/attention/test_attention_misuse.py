"""What attention refuses, and in which words."""

from __future__ import annotations

import numpy as np
import pytest
from strategies import random_numbers

from lrc_numba.attention import ReciprocalSpaceAttention
from lrc_numba.geometry.structures import Structures

METHODS = ("pairs", "modes", "mesh")
HEADS, KEYS, VALUES = 2, 3, 2


def features(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Q, K and V."""
    generator = np.random.default_rng(seed)
    widths = (KEYS, KEYS, VALUES)
    return tuple(generator.standard_normal((count, HEADS, width)) for width in widths)  # type: ignore[return-value]


def layer(method: str = "auto", sigma=(1.0, 1.3), **options) -> ReciprocalSpaceAttention:
    return ReciprocalSpaceAttention(HEADS, KEYS, VALUES, sigma=sigma, method=method, **options)


REFUSED = {
    "heads": ({"heads": 0}, "heads: expected an integer of at least one, got 0"),
    "keys": ({"key_width": 1.5}, r"key_width: expected an integer of at least one, got 1\.5"),
    "values": ({"value_width": True}, "value_width: expected an integer of at least one, got True"),
    "sigma": ({"sigma": 0.0}, "sigma: expected a number above 0"),
    "sigmas": ({"sigma": (1.0, 2.0, 3.0)}, "sigma: expected one width, or one for each of 2 heads, got 3"),
    "kernel": ({"kernel": "softmax"}, "kernel: expected one of 'coulomb', 'paper', 'gaussians'"),
    "map": ({"feature_map": "gelu"}, "feature_map: expected one of"),
    "eps": ({"eps": 0}, "eps: expected a number above 0"),
    "single": ({"eps": 1e-9, "dtype": "float32"}, r"eps: 1e-09 is out of reach in float32; expected at least 1\.0e-05"),
    "double": ({"eps": 1e-14}, r"eps: 1e-14 is out of reach in float64; expected at least 1\.0e-13"),
    "extent": ({"extent": 0}, "extent: expected a number above 0"),
    "method": ({"method": "fft"}, "method: expected one of 'auto', 'pairs', 'modes', 'mesh'"),
    "dim": ({"dim": 4}, "dim: expected 1, 2 or 3, got 4"),
    "no dim": ({"dim": True}, "dim: expected 1, 2 or 3, got True"),
}


@pytest.mark.parametrize("name", list(REFUSED))
def test_what_is_refused(name):
    """A ValueError that names the argument."""
    options, message = REFUSED[name]
    widths = {"heads": HEADS, "key_width": KEYS, "value_width": VALUES, "sigma": 1.0}
    with pytest.raises(ValueError, match=message):
        ReciprocalSpaceAttention(**(widths | options))


def test_calls_that_are_refused(monkeypatch):
    """Features that do not fit the heads, points that do not fit the box, slabs, and what memory does not hold."""
    q, k, v = features(4)
    made, points = layer(), random_numbers(1, 4, 3)
    with pytest.raises(ValueError, match="positions: expected them first"):
        made(q, k, v)
    made.set_points(points, 5.0)
    with pytest.raises(ValueError, match=r"queries: expected \(points, heads, width\) = \(4, 2, 3\), got"):
        made(q.reshape(4, 6), k, v)
    with pytest.raises(ValueError, match="values: expected"):
        made(q, k, v[..., :1])
    with pytest.raises(ValueError, match="keys: "):
        made(q, np.where(k > 1, np.nan, k), v)
    with pytest.raises(ValueError, match="wrt: expected some of"):
        made.vjp(q, k, v, v, wrt=("cell",))
    with pytest.raises(ValueError, match="strain: expected shape"):
        made.jvp(q, k, v, strain=np.eye(3))
    for name, shape in (("dpoints", (4, 3)), ("strain", (1, 3, 3))):
        with pytest.raises(ValueError, match=f"{name}: expected finite numbers, got nan at index"):
            made.jvp(q, k, v, **{name: np.full(shape, np.nan)})
        with pytest.raises(TypeError, match=f"{name}: expected no mask"):
            made.jvp(q, k, v, **{name: np.ma.zeros(shape)})
    with pytest.raises(ValueError, match=r"positions: structure 0 extends over .* an extent of 0\.1"):
        layer(extent=0.1).set_points(points)(q, k, v)
    with pytest.raises(ValueError, match="periodic: structure 0 is periodic along some axes alone"):
        layer().set_points(points, 5.0, periodic=[True, True, False])(q, k, v)
    with pytest.raises(ValueError, match="positions: expected 3 dimension"):
        layer().set_points(points[:, :2], 5.0)
    wide = ReciprocalSpaceAttention(1, 1024, 1024, sigma=1.0).set_points(points, 5.0)
    monkeypatch.setattr("lrc_numba.networks.parts.attention.available_memory", lambda: 2**20)
    with pytest.raises(MemoryError, match="structures: 4 points with 1048576 channels"):
        wide(*(np.zeros((4, 1, 1024)) for _ in range(3)))


@pytest.mark.parametrize("method", METHODS)
def test_strains_without_a_cell(method):
    """Of what has none there is no derivative by it: said before any work, also of one structure among several."""
    own, made = features(4), layer(method)
    mixed = Structures.from_arrays(random_numbers(1, 2, 2, 3), 5.0, periodic=[[True] * 3, [False] * 3])
    for count, points in ((1, random_numbers(1, 4, 3)), (2, mixed)):
        made.set_points(points)
        message = f"strain: expected a cell, periodic along all axes, for structure {count - 1}"
        with pytest.raises(ValueError, match=message):
            made.vjp(*own, own[2], wrt=("strain",))
        with pytest.raises(ValueError, match=message):
            made.jvp(*own, strain=np.zeros((count, 3, 3)))
