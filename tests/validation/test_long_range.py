"""What ``validation.long_range`` compares: networks of each form, the rigid scan, and which data --data names."""

from __future__ import annotations

from argparse import Namespace

import numpy as np
import pytest

from lrc_numba.geometry.structures import Structures
from lrc_numba.networks import LossWeights
from validation import long_range
from validation.systems import random_ions, sn2
from validation.systems.dimers import CLASSES, named, separations
from validation.tools.forms import COMPARISONS, System, Task, network_of
from validation.tools.learning import Recipe

ARGS = Namespace(quick=True, rehearse=False, steps=2, threads=1, plot_only=False, seeds=[0], classes=CLASSES)


def water() -> Structures:
    """Three molecules, one of them twice, in free space."""
    rng = np.random.default_rng(0)
    one = np.array([[0.0, 0.0, 0.0], [0.96, 0.0, 0.0], [-0.24, 0.93, 0.0]])
    positions = np.stack([np.concatenate([one, one + np.array([0.0, 0.0, gap])]) for gap in (2.5, 3.5, 9.0)])
    species, forces = np.tile([8, 1, 1], 2), rng.standard_normal(positions.shape)
    return Structures.from_arrays(positions, None, species=species, energies=[1.0, 2.0, 3.0], forces=forces)


def system() -> tuple[System, Task]:
    recipe = Recipe(2, 2, rate=1e-3, weights=LossWeights(energy=1.0, forces=0.1))
    task = Task(water(), recipe, lambda network: {})
    settings = {"channels": 8, "rounds": 1, "dtype": np.float32}
    return System("toy", "", np.array([1, 8]), 4.0, settings, 16, {"all": task}, {}, lambda runs, path: None), task


@pytest.mark.parametrize("form", dict.fromkeys(form for forms in COMPARISONS.values() for form in forms))
def test_networks_of_each_form(form):
    """Only those with a long range feel molecules move that are beyond the reach of messages."""
    own, task = system()
    network = network_of(own, task, form, 0, 1)
    counts = network.count_parameters()
    assert ("long range" in counts) == ("attention" in form or form == "convolution")
    assert ("learned charges" in counts) == ("charges" in form)
    far = task.data[2:]
    moved = Structures.from_arrays(
        far.positions + np.repeat([[0.0, 0.0, 0.0], [0.0, 0.0, 1.0]], 3, axis=0), None, species=far.species
    )
    change = network.predict(far).energies - network.predict(moved).energies
    assert (np.abs(change[0]) > 1e-9) == (form != "none")


def test_rigid_scan():
    """Molecules are those of the ends, and the ion is as far away as in the data."""
    coordinate = np.linspace(-10, 10, 9)
    species, rng = np.array([6, 1, 1, 1, 9, 53]), np.random.default_rng(0)
    molecules = np.zeros((9, 6, 3))
    molecules[:, 1:4] = rng.standard_normal((9, 3, 3)) * 0.01 + np.eye(3)
    molecules[:, 4, 2] = 2.0 + np.maximum(-coordinate, 0)
    molecules[:, 5, 2] = -2.0 - np.maximum(coordinate, 0)
    energies = np.arange(9.0)
    given = Structures.from_arrays(molecules, None, species=species, energies=energies)
    scan, where = sn2.rigid_scan(given, coordinate)
    assert where.tolist() == [0, 1, 7, 8]
    assert np.array_equal(scan.energies, energies[where])
    made = scan.positions.reshape(4, 6, 3)
    for i, at in enumerate(where):
        end, ion = (0, 4) if coordinate[at] < 0 else (8, 5)
        fixed = [a for a in range(6) if a != ion]
        assert np.array_equal(made[i, fixed], molecules[end, fixed])
        wanted = np.linalg.norm(molecules[at, ion] - molecules[at, 0])
        assert np.linalg.norm(made[i, ion] - made[i, 0]) == pytest.approx(wanted, rel=1e-12)


def test_separations():
    """The distance of the centres of what is not bonded at the largest distance."""
    assert separations(water()) == pytest.approx([2.5, 3.5, 9.0])


def test_names_of_records():
    """Other classes than the usual ones do not replace their record."""
    assert named("dimers", CLASSES) == named("dimers", list(CLASSES)) == "dimers"
    assert named("dimers", ["CA", "PA"]) == "dimers_CA_PA"


def test_random_ions(monkeypatch):
    """Half of each species, apart, with forces that are those of the energies."""
    monkeypatch.setattr(random_ions, "IONS", 16)
    monkeypatch.setattr(random_ions, "SIDE", 20.0)
    made = random_ions.draw_structures(2, 0)
    assert np.bincount(made.species).tolist() == [0, 16, 16]
    assert np.abs(made.forces.reshape(2, 16, 3).sum(axis=1)).max() < 1e-9  # of some eV/A, but for rounding
    again = random_ions.draw_structures(2, 0)
    assert np.array_equal(again.forces, made.forces)


def test_what_the_data_are(tmp_path):
    """Told by what is in them; what is not there, and what is something else, is named."""
    with pytest.raises(SystemExit, match=r"--data: there is no .*none\.npz"):
        long_range.system_of(Namespace(data=tmp_path / "none.npz", **vars(ARGS)))
    with pytest.raises(ValueError, match=f"expected dimer_{CLASSES[0]}.npz"):
        long_range.system_of(Namespace(data=tmp_path, **vars(ARGS)))
    for classes, wrong in ((("CA", "CA"), "each of them once"), (("CA", "PA"), "expected dimer_CA.npz")):
        folder = Namespace(data=tmp_path, **vars(ARGS) | {"classes": classes})
        (tmp_path / "dimer_CA.npz").touch() if classes[1] == "CA" else (tmp_path / "dimer_CA.npz").unlink()
        with pytest.raises(ValueError, match=wrong):
            long_range.system_of(folder)
    with pytest.raises(ValueError, match="are those of dimers"):
        long_range.system_of(Namespace(data=tmp_path / "other.npz", **vars(ARGS) | {"classes": ("CA",)}))
    np.savez(tmp_path / "other.npz", things=np.zeros(3))
    with pytest.raises(ValueError, match=r"other.npz with things"):
        long_range.system_of(Namespace(data=tmp_path / "other.npz", **vars(ARGS)))
