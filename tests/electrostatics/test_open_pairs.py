"""Few points in free space: all pairs in place of modes give the same, whatever was computed before."""

from __future__ import annotations

import numpy as np
import pytest

from lrc_numba.electrostatics import (
    CombinedPotential,
    CoulombPotential,
    EwaldCalculator,
    InversePowerLawPotential,
    MeshCalculator,
    ProlateCoulombPotential,
    SplinePotential,
)
from lrc_numba.electrostatics.calculators import ChargeOperator, Direction, ewald
from lrc_numba.electrostatics.open_pairs import OpenPairs
from lrc_numba.geometry.structures import Structures

pytestmark = pytest.mark.explicit_sums
POTENTIALS = {
    "coulomb": lambda: CoulombPotential(0.7, 1.4),
    "sum": lambda: CombinedPotential([CoulombPotential(), InversePowerLawPotential(2)], [1.0, 0.5], smearing=0.7),
    "exterior": lambda: CoulombPotential(0.7, exclusion_radius=2.0),
}


def molecules() -> tuple[Structures, np.random.Generator]:
    """Six and five points, two of which are further apart than the cutoff."""
    generator = np.random.default_rng(3)
    positions = 2.0 * generator.random((11, 3))
    positions[5, 0] += 4.0
    return Structures.from_arrays(positions, None, offsets=[0, 6, 11]), generator


def everything(potential, structures: Structures, generator) -> dict[str, np.ndarray]:
    """All that ``ChargeOperator`` and ``compute`` return."""
    p, q, dp, dq = generator.standard_normal((4, 11, 2))
    along = Direction(generator.standard_normal((11, 3)), generator.standard_normal((2, 3, 3)))
    calculator = EwaldCalculator(potential, 3.0)
    operator = ChargeOperator(calculator, structures)
    made = {"apply": operator.apply(q), "jvp": operator.jvp(q, dq, along)}
    for name, left in (("of two", p), ("of one", q)):
        value, points, cell = operator.vjp(left, q, {"points", "cell"})
        made |= {f"values {name}": value, f"points {name}": points, f"cell {name}": cell}
        made |= {f"{key} {name}": part for key, part in operator.parameters(left, q).items()}
    made |= {f"{key} moved": part for key, part in operator.parameters_jvp(p, q, dp, dq, along).items()}
    result = calculator.compute(structures, q, forces=True, stress=True)
    return made | {"energy": result.energy, "forces": result.forces, "strain": result.strain}


SLOW = [pytest.mark.slow]  # kernels in free space are tables of many modes


@pytest.mark.parametrize("name", [pytest.param(name, marks=SLOW * (name != "coulomb")) for name in POTENTIALS])
def test_the_same_as_modes(name, monkeypatch):
    """Values, tangents, transposes and derivatives by parameters, to what modes leave out."""
    structures, generator = molecules()
    state = generator.bit_generator.state
    own = everything(POTENTIALS[name](), structures, generator)
    monkeypatch.setattr(ewald, "MOST_OPEN", 0)
    generator.bit_generator.state = state
    wanted = everything(POTENTIALS[name](), structures, generator)
    for key, value in wanted.items():
        # Modes are cut off at 1e-16 of the largest; their derivatives by the smearing, and the table of 1/r^2, at more.
        assert np.abs(own[key] - value).max() <= 1e-9 * max(np.abs(value).max(), 1.0), key


def test_which_calculators_take_pairs(monkeypatch):
    """Those that may choose, for few points without images."""
    positions, flags = np.random.default_rng(0).random((300, 3)), (False,) * 3
    make = [EwaldCalculator(CoulombPotential(0.7), 3.0), MeshCalculator(CoulombPotential(0.7), 3.0)]
    mesh = MeshCalculator(CoulombPotential(0.7), 3.0, explicit_sums=False)
    for calculator, count, periodic, wanted in (
        *((each, 20, flags, True) for each in make),
        (make[1], 300, flags, False),
        (make[1], 20, (True, True, False), False),
        (mesh, 20, flags, False),
    ):
        plan = calculator.long_range(positions[:count], np.diag([3.0, 3.0, 3.0]), periodic).plan
        assert isinstance(plan, OpenPairs) == wanted


def test_results_do_not_depend_on_what_came_before():
    """Bit for bit, with another smearing and other points in between."""
    structures, generator = molecules()
    q = generator.standard_normal((11, 1))
    calculator = EwaldCalculator(CoulombPotential(0.7), 3.0)
    wanted = calculator.compute(structures, q, forces=True)
    moved = Structures.from_arrays(structures.positions[::-1], None, offsets=[0, 6, 11])
    calculator.compute(moved, q, forces=True)
    calculator.potential.set_parameters({"smearing": np.array(0.9)})
    calculator.compute(structures, q)
    calculator.potential.set_parameters({"smearing": np.array(0.7)})
    again = calculator.compute(structures, q, forces=True)
    assert np.array_equal(again.forces, wanted.forces)
    assert np.array_equal(again.energy, wanted.energy)


def test_a_prolate_and_tables():
    """They take part as well: sums over all pairs do not depend on how a potential is divided."""
    structures, generator = molecules()
    q = generator.standard_normal(11)
    exact = EwaldCalculator(CoulombPotential(0.5), 5.0).compute(structures, q, forces=True)
    made = MeshCalculator(ProlateCoulombPotential(3.0, 8.0), 3.0, eps=1e-6).compute(structures, q, forces=True)
    np.testing.assert_allclose(made.energy, exact.energy, rtol=1e-12)  # rounding of sums that cancel
    np.testing.assert_allclose(made.forces, exact.forces, rtol=1e-11, atol=1e-12)
    radii = np.linspace(0.01, 20, 2000)
    table = SplinePotential(radii, 1 / radii, smearing=0.7, tail=CoulombPotential(), reciprocal=True)
    made = MeshCalculator(table, 5.0, eps=1e-6).compute(structures, q)
    np.testing.assert_allclose(made.energy, exact.energy, rtol=1e-5)  # of cubic splines
