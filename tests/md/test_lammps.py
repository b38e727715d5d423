"""Networks and charges in LAMMPS, on one process and on two; skipped where LAMMPS is not installed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from threading import Timer

import numpy as np
import pytest
from ions_in_lammps import (
    CELL,
    COUNT,
    DIGITS,
    LENGTH,
    PRESSURES,
    VOIGT,
    atoms,
    calculator,
    needs_lammps,
    network,
    opened,
    seen,
    slab,
)

from lrc_numba.electrostatics import CoulombPotential, InversePowerLawPotential
from lrc_numba.geometry.structures import Structures
from lrc_numba.md.lammps import LammpsForces, open_lammps
from lrc_numba.networks import ShortRangeNetwork

HERE = Path(__file__).parent


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


def on_two_processes(function: str) -> list[str]:
    """Lines that are printed where two processes call a function of this file with their communicator."""
    if find_spec("mpi4py") is None:
        pytest.skip("pip install 'lrc_numba[lammps]' brings mpi4py")
    mpiexec = str(Path(sys.executable).parent / "mpiexec")
    code = (
        f"import sys; sys.path.insert(0, {str(HERE)!r})\n"
        f"from mpi4py import MPI\nfrom test_lammps import {function}\n{function}(MPI.COMM_WORLD)"
    )
    line = [mpiexec, "-n", "2", sys.executable, "-c", code]
    done = subprocess.run(line, capture_output=True, text=True, timeout=300, check=False, env=os.environ.copy())
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def print_computed(comm) -> None:
    """What LAMMPS has, from the first process."""
    made = computed(comm)
    if comm.rank == 0:
        print(json.dumps(made))


def print_errors(comm) -> None:
    """Errors of every process, where one of them is to blame."""

    def told(function, *arguments, **settings) -> str:
        try:
            function(*arguments, **settings)
        except BaseException as error:
            return str(error) or type(error).__name__
        return ""

    lmp, told_of = opened(comm=comm), {}
    told_of["comm"] = told(LammpsForces, lmp, network(), comm=comm.Split(comm.rank))
    species = {3: 8} if comm.rank == 1 else None
    told_of["species"] = told(LammpsForces, lmp, network(), species=species, comm=comm)
    species = {1: 1, 2: 2 + comm.rank}
    told_of["other species"] = told(LammpsForces, lmp, network(), species=species, comm=comm)
    forces = LammpsForces(lmp, network(), comm=comm)
    charges = lmp.numpy.extract_atom("q")
    if comm.rank == 0:
        charges[0] = np.nan
    told_of["charges"] = told(forces.run, 5)
    charges[0] = 1.0
    told_of["mended"] = told(forces.run, 2)
    told_of["steps"] = lmp.extract_global("ntimestep")
    if comm.rank == 1:
        Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
    told_of["interrupt"] = told(forces.run, 1_000_000)
    lmp.close()
    lmp = slab(comm=comm)
    told_of["boundary"] = told(LammpsForces, lmp, calculator(), comm=comm)
    lmp.close()
    every = comm.gather(told_of)
    if comm.rank == 0:
        print(json.dumps(every))


@needs_lammps
@pytest.mark.slow
def test_two_processes_have_the_same():
    """Each computes its own atoms."""
    check_both(json.loads(on_two_processes("print_computed")[-1]))


@needs_lammps
@pytest.mark.slow
def test_errors_of_one_process_are_raised_on_both():
    """When a model is made and in a step, after which it goes on."""
    every = json.loads(on_two_processes("print_errors")[-1])
    assert [told["interrupt"] for told in every] == ["rank 1: ended by KeyboardInterrupt", "KeyboardInterrupt"]
    for told in every:
        assert told["species"].startswith("rank 1: species: expected types from 1 to 2")
        assert told["other species"].startswith("expected the same on all ranks, got species and energy")
        assert told["charges"].startswith("rank 0: charges: expected finite numbers")
        assert told["comm"].startswith("comm: expected that of LAMMPS, which runs on 2 process(es), got one of 1")
        assert told["mended"] == ""
        assert 2 <= told["steps"] <= 3
        assert told["boundary"].startswith("boundary: on several processes expected")


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
        ({}, {"species": {1: 8.5, 2: 1}}, "species: expected a whole number for type 1, got 8.5"),
        ({}, {"species": {1: 8}}, "species: expected one for every type in use, got none for 2"),
        ({"style": "atomic"}, {"model": CoulombPotential()}, "charges: expected an atom_style with charges"),
        ({}, {"model": CoulombPotential(prefactor=14.4)}, "prefactor: expected 1, .* got 14.4; .* or pass energy"),
        ({}, {"model": InversePowerLawPotential(6)}, "energy: expected the unit of energy of InversePower"),
        ({}, {"energy": 0}, "energy: expected a number above 0"),
        ({}, {"energy": -1.0}, "energy: expected a number above 0"),
        ({}, {"name": "a b"}, "name: expected letters, digits and underscores, got 'a b'"),
        ({}, {"name": ""}, "name: expected letters, digits and underscores, got ''"),
        ({}, {"name": 5}, "name: expected the name of a fix, got int"),
    ],
)
def test_what_does_not_fit_is_named(options, settings, message):
    """Units, species, charges, and the name of the fix."""
    lmp = opened(**options)
    settings, potential = dict(settings), settings.get("model")
    model = network() if settings.pop("model", None) is None else calculator(potential.with_smearing(0.5))
    with pytest.raises((ValueError, TypeError), match=message):
        LammpsForces(lmp, model, **settings)
    lmp.close()


@needs_lammps
def test_units_of_charges():
    """As LAMMPS's own styles, with its dielectric constant; or as one says."""
    made = {}
    own = CoulombPotential(smearing=0.5, prefactor=2.0)
    for name, potential, energy in (("plain", None, None), ("dielectric", None, None), ("own", own, 3.0)):
        lmp = opened()
        if name != "plain":
            lmp.command("dielectric 4.0")
        LammpsForces(lmp, calculator(potential), energy=energy).run(0)
        made[name] = lmp.get_thermo("pe")
        lmp.close()
    assert made["dielectric"] == pytest.approx(made["plain"] / 4, rel=DIGITS)
    assert made["own"] == pytest.approx(made["plain"] / 332.06371 * 6, rel=DIGITS)


@needs_lammps
@pytest.mark.parametrize("which", ["network", "power"])
def test_models_that_need_images_are_refused_between_walls(which):
    """When they are made; charges by Coulomb's law need none."""
    lmp = slab()
    model = network() if which == "network" else calculator(InversePowerLawPotential(6, smearing=0.5))
    with pytest.raises(ValueError, match=r"boundary: .* p p f; periodic"):
        LammpsForces(lmp, model, energy=1.0)
    LammpsForces(lmp, calculator())
    lmp.close()


def walled(boundary: str):
    """The atoms of ``atoms`` in a box with room around them, and virials that can be asked for."""
    positions, charges = atoms()
    lmp = open_lammps()
    lmp.commands_string(
        f"units metal\natom_style charge\natom_modify map yes\nboundary {boundary}\n"
        "region box block -5 15 -5 15 -5 15\ncreate_box 2 box"
    )
    lmp.create_atoms(COUNT, list(range(1, COUNT + 1)), [1 + int(q < 0) for q in charges], positions.ravel().tolist())
    lmp.commands_string(
        "mass * 20.0\npair_style zero 2.0\npair_coeff * *\nfix move all nve\nthermo_modify norm no\n"
        "compute each all pe/atom\ncompute sum all reduce sum c_each"
    )
    lmp.command(f"thermo_style custom step pe vol c_sum {' '.join(PRESSURES)}")
    return lmp


@needs_lammps
def test_a_network_in_an_open_box_has_a_virial():
    """−∂U/∂ε by central differences, whose error is of the square of the step, and rounding over it."""
    lmp, model, step = walled("f f f"), ShortRangeNetwork(LENGTH, 2.5, dim=3, threads=1), 1e-5
    LammpsForces(lmp, model).run(0)
    positions, made = atoms()[0], seen(lmp)
    lmp.close()

    def energy(strain: np.ndarray) -> float:
        """Of strained atoms without images."""
        moved = positions @ (np.eye(3) + strain)
        return model.predict(Structures.from_arrays(moved, 40.0, periodic=False), forces=False).energies[0]

    for (a, b), virial in zip(VOIGT, made["virial"], strict=True):
        strain = np.zeros((3, 3))
        strain[a, b] = step
        wanted = (energy(-strain) - energy(strain)) / (2 * step)
        assert virial == pytest.approx(wanted, rel=1e-6, abs=1e-7 * max(map(abs, made["virial"])))


@needs_lammps
def test_a_virial_that_is_not_known_is_no_number():
    """Networks have none in boxes that are periodic along some axes; forces and energies are there all the same."""
    lmp = walled("p p f")
    LammpsForces(lmp, ShortRangeNetwork(LENGTH, 2.5, dim=3, threads=1)).run(0)
    made = seen(lmp)
    assert np.isnan(made["virial"]).all()
    assert np.isfinite(made["energy"])
    assert np.abs(made["forces"]).max() > 0
    lmp.close()


@needs_lammps
def test_a_step_with_an_error_has_no_virial_of_the_step_before():
    """Its forces are zero, and so is what they add to the pressure, or barostats could not go on after it."""
    lmp = opened()
    forces = LammpsForces(lmp, calculator())
    forces.run(0)
    charges = lmp.numpy.extract_atom("q")
    charges[0] = np.nan
    with pytest.raises(ValueError, match="charges: expected finite numbers"):
        forces.run(0)
    assert np.abs(seen(lmp)["virial"]).max() == 0  # atoms that do not move, without forces
    lmp.close()
