"""Calls in which only positions differ from the call before are done with less ado, and give the same."""

from __future__ import annotations

from copy import copy

import numpy as np
import pytest
from ionic import salt

from lrc_numba.electrostatics import EwaldCalculator, InversePowerLawPotential, MeshCalculator, ProlateCoulombPotential
from lrc_numba.geometry.structures import Structures

pytestmark = pytest.mark.explicit_sums
CUTOFF, SKIN = 3.2, 0.4


def mesh(**settings):
    return MeshCalculator(ProlateCoulombPotential(CUTOFF, 8.0), CUTOFF, eps=1e-5, skin=SKIN, **settings)


KINDS = {
    "on a mesh": lambda: mesh(explicit_sums=False),
    "on a mesh, two threads": lambda: mesh(explicit_sums=False, threads=2),
    "explicit sums": mesh,
    "Ewald": lambda: EwaldCalculator(InversePowerLawPotential(1.0, smearing=0.8), CUTOFF, 5.0, skin=SKIN),
}


def equal(one, two) -> None:
    assert one.energy == two.energy
    assert np.array_equal(one.potential, two.potential)
    assert np.array_equal(one.forces, two.forces)


def spoiled(calculator, x, q, cell):
    """The same calculation after one of another structure: nothing of the call before is of use."""
    calculator.compute(np.zeros((1, 3)), np.zeros(1), 9.0)
    calculator.forget_neighbours()
    return calculator.compute(x, q, cell, forces=True)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("net", [0.0, 0.5])
def test_a_walk(kind, net):
    """Points that move, by and by so far that lists of neighbours are made anew, and that leave the cell."""
    x, q, cell = salt(8)
    steady, usual, rng = KINDS[kind](), KINDS[kind](), np.random.default_rng(1)
    for step in range(12):
        x = x + 0.05 * rng.standard_normal(x.shape) + [0.5 * (step == 6), 0, 0]
        result = steady.compute(x, q + net, cell, forces=True, charge_gradient=True)
        # An ordinary call each time: one with a strain is never a repetition.
        expected = usual.compute(x, q + net, cell, forces=True, stress=True, charge_gradient=True)
        scale = np.abs(expected.forces).max()
        # The same loops in the same order; only a strain takes another way over the modes.
        assert abs(result.energy - expected.energy) <= 1e-13 * scale
        assert np.abs(result.forces - expected.forces).max() <= 1e-13 * scale
        assert np.abs(result.charge_gradient - expected.charge_gradient).max() <= 1e-13 * scale


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_bits(kind):
    """Of one configuration again and again, and with lists and plans of nothing else in between."""
    x, q, cell = salt(8)
    calculator = KINDS[kind]()
    first = calculator.compute(x, q, cell, forces=True)
    for _ in range(4):
        again = calculator.compute(x.copy(), q.copy(), cell, forces=True)
        equal(again, first)
    equal(spoiled(calculator, x, q, cell), first)
    assert calculator.compute(x, q, cell).forces is None
    kept = again.forces.copy()
    calculator.compute(x + 0.01 * q[:, None], q, cell, forces=True)
    assert np.array_equal(again.forces, kept)  # results are the user's


CHANGES = {
    "charges": lambda c, x, q, cell: q.__imul__(1.5),
    "cell": lambda c, x, q, cell: cell.__imul__(1.02),
    "prefactor": lambda c, x, q, cell: c.potential.set_parameters({"prefactor": np.array(2.0)}),
    "pairs": lambda c, x, q, cell: setattr(c, "pair_tolerance", 1e-3),
    "way": lambda c, x, q, cell: setattr(c, "explicit_sums", not c.explicit_sums),
    "batch": lambda c, x, q, cell: c.compute(Structures.from_arrays(np.stack([x, x + 0.1]), 1.1 * cell), np.tile(q, 2)),
    "copy": lambda c, x, q, cell: copy(c).compute(x + 0.1, q, cell, forces=True),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("calls", [1, 2, 4])
def test_what_changes_in_between(change, calls):
    """Arrays that are written to, parameters, settings and other structures: always what a new calculator gives."""
    x, q, cell = salt(8)
    calculator, new = mesh(explicit_sums=False), mesh(explicit_sums=False)
    for _ in range(calls):
        calculator.compute(x, q, cell, forces=True)
    CHANGES[change](calculator, x, q, cell)
    if change in ("prefactor", "pairs", "way"):
        CHANGES[change](new, x, q, cell)
    for _ in range(3):
        calculator.forget_neighbours()
        equal(calculator.compute(x, q, cell, forces=True), new.compute(x, q, cell, forces=True))
        new = mesh(explicit_sums=False)
        if change in ("prefactor", "pairs", "way"):
            CHANGES[change](new, x, q, cell)


def test_bad_positions():
    """They are refused whether the call is a repetition or not."""
    x, q, cell = salt(8)
    calculator, energies = mesh(), []
    for _ in range(4):
        with pytest.raises(ValueError, match="positions"):
            calculator.compute(np.where(np.arange(3) == 1, np.nan, x), q, cell)
        with pytest.raises(ValueError, match="positions"):
            calculator.compute(x + 1e17, q, cell)
        with pytest.raises(ValueError, match="positions"):
            calculator.compute(np.concatenate([x[:-1], x[:1]]), q, cell)  # two in one place
        with pytest.raises(ValueError, match="charges"):
            calculator.compute(x[:-1], q, cell)
        energies.append(calculator.compute(x, q, cell, forces=True).energy)
    assert max(energies) == min(energies)


def test_pairs_beside_modes():
    """With two threads a thousand points or so have their pairs and their modes done at once: to the same bits."""
    rng, (x, q, cell) = np.random.default_rng(2), salt(8)
    shifts = np.stack(np.meshgrid(*[np.arange(4)] * 3), axis=-1).reshape(-1, 3) @ cell
    x, q = (x + shifts[:, None]).reshape(-1, 3), np.tile(q, len(shifts))
    one, two = (mesh(threads=threads) for threads in (1, 2))
    for _ in range(5):
        x = x + 0.01 * rng.standard_normal(x.shape)
        equal(two.compute(x, q, 4 * cell, forces=True), one.compute(x, q, 4 * cell, forces=True))
