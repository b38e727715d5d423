"""Convolutions in programs of a user's own: in two lines, and of ones."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
from derivatives import force_error, gradient_error
from drawn_structures import SPECIES, make_structures

from lrc_numba.networks import EnergyNetwork, LossWeights
from lrc_numba.networks.long_range import CoulombKernel
from lrc_numba.networks.parts.attention import Attention, Heads
from lrc_numba.networks.parts.convolution import Convolution, SeriesEnd
from lrc_numba.networks.parts.dense import Linear
from lrc_numba.networks.parts.embedding import Embedding
from lrc_numba.networks.parts.part import GEOMETRY
from lrc_numba.networks.parts.products import Product
from lrc_numba.networks.parts.program import Program, Step

TERMS = LossWeights(energy=0.3, forces=1.0, stress=0.5)


@pytest.mark.parametrize(
    "sizes", [(1024, 0), (0, 4096), pytest.param((0, 0), marks=pytest.mark.slow)], ids=["pairs", "modes", "mesh"]
)
@pytest.mark.parametrize("attends", [False, True])
def test_a_convolution_in_two_lines(attends, sizes):
    """One kernel for both, of which each line has its own features; by matrices, by sums over modes, and by a plan."""
    field = Convolution(CoulombKernel(0.6, "far.", trainable=True), SeriesEnd((9.0,)), 1e-5, "features", *sizes)
    part = Attention(Heads(1, 1, 2), [field]) if attends else field
    steps = [
        Step(Embedding("embedding", SPECIES, 2), (), "s"),
        Step(Linear("key", 2, 1), ("s",), "k"),
        Step(part, (GEOMETRY, *(("k", "k", "s") if attends else ("s",))), "once"),
        Step(part, (GEOMETRY, *(("k", "k", "once") if attends else ("once",))), "twice"),
        Step(Product("nc,nc->nc"), ("once", "twice"), "both"),
        Step(Linear("energy", 2, 1), ("both",), "e"),
    ]
    network, structures = EnergyNetwork(Program(steps, "e"), cutoff=0.5, dim=1), make_structures(1, (3, 2, 4))
    assert force_error(network, structures) <= 1e-9
    assert gradient_error(network, structures, TERMS) <= 1e-6
    moved = make_structures(1, (3, 2, 4), seed=1)  # in other places
    np.testing.assert_array_equal(network.predict(moved).forces, deepcopy(network).predict(moved).forces)


@pytest.mark.parametrize("sizes", [(1024, 0), (0, 4096), (0, 0)], ids=["pairs", "modes", "mesh"])
@pytest.mark.parametrize("counts", [(3, 3), (3, 2)])
def test_one_kernel_of_ones(counts, sizes):
    """A column for each point, however it is computed, also where no structure has to be filled up."""
    field = Convolution(CoulombKernel(0.6, "far.", trainable=True), SeriesEnd((9.0,)), 5e-5, "ones", *sizes)
    steps = [Step(field, (GEOMETRY,), "u"), Step(Product("nc,nc->nc"), ("u", "u"), "e")]
    network, structures = EnergyNetwork(Program(steps, "e"), cutoff=0.5, dim=1), make_structures(1, counts, (4.0, 4.1))
    matrices = Convolution(CoulombKernel(0.6, "far.", trainable=True), SeriesEnd((9.0,)), 5e-5, "ones", 1024)
    steps[0] = Step(matrices, (GEOMETRY,), "u")
    wanted = EnergyNetwork(Program(steps, "e"), cutoff=0.5, dim=1).values(structures, "u")
    np.testing.assert_allclose(network.values(structures, "u"), wanted, rtol=0, atol=1e-4 * np.abs(wanted).max())
    assert force_error(network, structures) <= 1e-9
    assert gradient_error(network, structures, TERMS) <= 1e-6
