"""Electrostatics as a part: its four passes, and what is refused."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
from drawn_structures import make_structures
from driver import ROUNDING, Case, jvp_error, scene_of, vjp_dual_error, vjp_error
from driver import gradient_error as parameter_error

from lrc_numba.electrostatics import (
    CombinedPotential,
    CoulombPotential,
    EwaldCalculator,
    InversePowerLawPotential,
    MeshCalculator,
    P3MCalculator,
    PMECalculator,
)
from lrc_numba.networks import LossWeights
from lrc_numba.networks.parts.electrostatics import Electrostatics

ALL = LossWeights(energy=0.3, forces=1.0, stress=0.5)
STEP = 5e-4  # 1/r bends more than what other parts are made of
LEARN = ("prefactor", "smearing", "weights")


def combined() -> CombinedPotential:
    parts = [InversePowerLawPotential(p) for p in (1.0, 6.0)]
    return CombinedPotential(parts, (0.8, 0.05), 0.6, prefactor=1.4)


def ewald(potential=None, **options) -> EwaldCalculator:
    """With few modes: derivatives are those of what is computed."""
    return EwaldCalculator(potential or CoulombPotential(0.6), 2.5, 6.0, **options)


def case(calculator, learn=(), periodic: bool = True, still=(), strained: bool | None = None) -> Case:
    """Ragged structures in cells of their own, one without points; two channels of charges."""
    counts = (5, 0, 2, 3)
    structures = make_structures(3, counts, (3.0, 2.5, 2.6, 2.8), periodic, seed=4)
    charges = np.random.default_rng(3).standard_normal((sum(counts), 2))
    strained = periodic if strained is None else strained
    return Case(Electrostatics(calculator, learn), (None, charges), scene_of(structures), strained, still, STEP)


CASES = {
    "coulomb": lambda: case(ewald()),
    "unstrained": lambda: case(ewald(), strained=False),
    "still charges": lambda: case(ewald(), still=(1,)),
    "still points": lambda: case(ewald(), still=(0,)),
    "learned": lambda: case(ewald(combined()), LEARN),
    "learned still": lambda: case(ewald(combined()), LEARN, still=(1,)),
    "open": lambda: case(ewald(), periodic=False),
    "open learned": lambda: case(ewald(CoulombPotential(0.6)), ("prefactor", "smearing"), periodic=False),
    "mesh": lambda: case(MeshCalculator(combined(), 2.5, 6.0, eps=1e-4), ("weights",)),
}
EVERY = pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] * (n == "mesh")) for n in CASES])


@EVERY
def test_tangent(name):
    """ẏ, to what differences of fourth order tell."""
    assert jvp_error(CASES[name]()) <= 1e-9


@EVERY
def test_transpose(name):
    """⟨ȳ, ẏ⟩ = ⟨x̄, ẋ⟩, to rounding: the powers of short distances cancel to some digits."""
    assert vjp_error(CASES[name]()) <= 10 * ROUNDING


@EVERY
def test_gradient_by_parameters(name):
    """θ̄ of ``vjp``, added to what was there."""
    assert parameter_error(CASES[name]()) <= 1e-7


@EVERY
def test_tangent_of_the_transpose(name):
    """x̄, ẋ̄ and θ̄ of ``vjp_dual``."""
    inputs, parameters = vjp_dual_error(CASES[name]())
    assert inputs <= 1e-9
    assert parameters <= 1e-7


def test_transpose_of_the_charges_themselves():
    """Where cotangents are the charges, as in energies, one sum does; the result is that of two."""
    own = CASES["coulomb"]()
    tape, (_, q) = own.tape()
    own.part.forward(tape, None, q)
    same, _ = own.part.vjp(tape, q)
    double, _ = own.part.vjp(tape, 2.0 * q)
    np.testing.assert_allclose(2 * same.points, double.points, rtol=0, atol=1e-12 * np.abs(double.points).max())
    np.testing.assert_allclose(2 * same.strain, double.strain, rtol=0, atol=1e-12 * np.abs(double.strain).max())


def test_single_precision_stays_so():
    """What lies between parts is of the dtype of the network."""
    own = CASES["coulomb"]()
    own.scene.dtype = np.dtype(np.float32)
    tape, (_, q) = own.tape()
    q = q.astype(np.float32)
    out = own.part.forward(tape, None, q)
    motion = own.random_like(None)
    motion.points = motion.points.astype(np.float32)
    tangent = own.part.jvp(tape, motion, q)
    bars = own.part.vjp(tape, out)
    below, dbelow = own.part.vjp_dual(tape, out, tangent, own.parameters)
    arrays = [out, tangent, bars[0].points, bars[1], below[1], dbelow[1]]
    assert {array.dtype for array in arrays} == {np.dtype(np.float32)}
    assert bars[0].strain.dtype == np.float64


def test_copies_and_settings():
    """A part works with a calculator of its own; wrong arguments name themselves."""
    calculator = ewald(combined())
    part = Electrostatics(calculator, ["weights"])
    assert part.calculator is not calculator
    assert part.shapes() == {"electrostatics.weights": (2,)}
    own = case(calculator, LEARN)
    y = own.value()
    twin = deepcopy(own.part)
    own.part = twin
    np.testing.assert_array_equal(own.value(), y)
    assert calculator.potential.prefactor == 1.4
    with pytest.raises(TypeError, match=r"calculator: expected one of lrc_numba\.electrostatics, got int"):
        Electrostatics(3)
    for method in (PMECalculator, P3MCalculator):
        with pytest.raises(ValueError, match=r"calculator: .* expected a MeshCalculator or an EwaldCalculator"):
            Electrostatics(method(CoulombPotential(0.6), 2.5, 0.5))
    for learn in ("prefactor", ["charge"]):
        with pytest.raises(ValueError, match=r"learn: expected some of .*'prefactor'"):
            Electrostatics(calculator, learn)
    flat = Case(Electrostatics(calculator), (None, np.ones((3, 1))), scene_of(make_structures(2, (3,), (3.0,))))
    with pytest.raises(ValueError, match="structures: expected three dimensions for electrostatics, got 2"):
        flat.value()
