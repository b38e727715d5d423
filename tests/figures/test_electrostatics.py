"""The scripts for the figures of Loche et al. (2025): what they compute with, and what is said of it."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from figures import common, ewald_speed, learned_charges, lode, madelung, report_electrostatics
from figures.markdown import fill, span
from lrc_numba.geometry.cell import Cell
from validation.tools.ionic_systems import perturbed_nacl

RESULTS = Path(common.__file__).parent / "results"


@pytest.mark.parametrize("name", madelung.CRYSTALS)
def test_crystals(name):
    """Constants by exact sums; salts are neutral, and nearest neighbours are at distance 1."""
    crystal = madelung.CRYSTALS[name]
    positions, charges, cell = madelung.supercell(crystal)
    assert len(charges) == 1 or len(crystal.charges) == 1 or charges.sum() == 0
    apart = Cell(cell, 3).minimum_image(positions[1:] - positions[0])
    # Square roots in the sites are right to rounding, which the cell multiplies by its few lengths.
    assert np.linalg.norm(apart, axis=1).min() == pytest.approx(1.0, rel=1e-14)
    energy = madelung.exact().compute(positions, charges, cell).energy
    # Pairs and modes end at 2e-16 of where they begin, and add up over some hundreds of neighbours.
    assert madelung.constant(crystal, energy) == pytest.approx(crystal.madelung, rel=1e-12)


def test_measure_of_a_crystal():
    """The force error is within what ``tune`` promises; an accuracy that is out of reach gives a row without errors."""
    crystal = madelung.CRYSTALS["CsCl"]
    positions, charges, cell = madelung.supercell(crystal)
    rattled = positions + madelung.RATTLED * np.random.default_rng(0).standard_normal(positions.shape)
    forces = madelung.exact().compute(rattled, charges, cell, forces=True).forces
    row = madelung.measure(crystal, rattled, forces, "ewald", 1e-3)
    assert row["forces"] < 1.5e-3  # promised: 1.5 times what is asked for
    assert row["madelung"] > 0
    assert row["missed"] is None
    refused = madelung.measure(crystal, rattled, forces, "ewald", 1e-20)
    assert refused["forces"] is None
    assert "out of reach" in refused["missed"]
    lines = madelung.summary([base | {"calculator": "Ewald"} for base in (row, refused)])
    assert lines[0][:3] == ["Ewald", 2, 1]
    assert lines[0][3] == row["forces"] / 1e-3
    assert lines[1][3:] == [None] * 4  # calculators without a row


@pytest.mark.parametrize("name", learned_charges.MODELS)
def test_gradients_that_are_learned_with(name):
    """Against central differences; energies are polynomials of degree two, so only rounding remains."""
    data = learned_charges.structures(2, 0)
    model = learned_charges.MODELS[name](learned_charges.on_mesh)
    parameters, step = np.array([0.7, -0.4]), 1e-3
    energies, gradient = model(parameters, data, True)
    for number, shift in enumerate(step * np.eye(2)):
        up, down = (model(parameters + sign * shift, data, False)[0] for sign in (1, -1))
        # Rounding of energies of size 10 over the step, and pairs' polynomials that are fitted anew to 1e-12 or so.
        np.testing.assert_allclose((up - down) / (2 * step), gradient[:, number], atol=1e-8 * np.abs(energies).max())


def test_distance_from_the_truth():
    """Charges count with either sign, weights do not."""
    assert learned_charges.distance("charges", np.array([-1.0, 1.25])) == 0.25
    assert learned_charges.distance("weights", np.array([-1.0, -0.5])) == 2.0
    signs = [np.sign(learned_charges.random_start("charges", np.random.default_rng(i))) for i in range(5)]
    assert all(first == -second for first, second in signs)


def test_ions_of_features():
    """Neutral, apart, and in the cell."""
    positions, charges, cell = lode.ions(8, 0)
    assert charges.sum() == 0
    first, second = np.triu_indices(8, 1)
    apart = np.linalg.norm(Cell(cell, 3).minimum_image(positions[first] - positions[second]), axis=1)
    assert apart.min() > lode.NEAREST
    assert (positions >= 0).all()
    assert (positions < cell[0, 0]).all()


def test_largest_of_structures():
    runs = [{"errors": {"eps": [[1e-2, a], [1e-4, b]]}} for a, b in ((1e-3, 2e-5), (2e-3, 1e-5))]
    settings, errors = lode.largest(runs, "eps")
    assert settings.tolist() == [1e-2, 1e-4]
    assert errors.tolist() == [2e-3, 2e-5]


def test_median_time(monkeypatch):
    """The first call only warms up."""
    monkeypatch.setattr(ewald_speed, "LEAST", 0.0)
    times = iter([100.0, 1.0, 2.0, 4.0, 8.0, 16.0])
    assert ewald_speed.median_time(lambda: next(times)) == 4.0


def test_measuring_goes_on_where_it_was(monkeypatch):
    """Rows that are there are not measured again, and every new one is saved; no row where a peer has no settings."""
    measured, saved = [], []

    def measure(_, kind, accuracy, exact):
        measured.append((kind, accuracy, exact.shape))
        return None if kind == "p3m" and accuracy == 1e-6 else {"error": 0.0, "seconds": 1.0, "choices": ""}

    monkeypatch.setattr(ewald_speed, "ours", measure)
    monkeypatch.setattr(ewald_speed, "installed", lambda _: None)
    rows: list[dict] = []
    preset = ewald_speed.Preset((1, 2), 8)  # explicit sums for the smaller one alone
    ewald_speed.run(preset, [0], rows, lambda each: saved.append(len(each)))
    assert saved == list(range(1, 9))
    assert len(measured) == 10
    ewald_speed.run(preset, [0], rows, lambda each: saved.append(len(each)))
    assert len(rows) == 8
    assert measured[10:] == [("p3m", 1e-6, (8, 3)), ("p3m", 1e-6, (64, 3))]


def test_rms():
    assert common.rms(np.array([[3.0, 4.0, 0.0], [0.0, 0.0, 0.0]])) == pytest.approx(12.5**0.5)


def test_nothing_to_plot(tmp_path, capsys):
    """--plot-only without results says what is missing."""
    parser = common.figure_parser("lode", "text", lode.PRESETS, (0,))
    with pytest.raises(SystemExit):
        common.kept_record(parser, tmp_path / "lode.json", "runs")
    assert "run without --plot-only first" in capsys.readouterr().err
    (tmp_path / "lode.json").write_text("{}", encoding="utf-8")
    with pytest.raises(SystemExit):
        common.kept_record(parser, tmp_path / "lode.json", "runs")


def test_sections_are_those_that_have_results(tmp_path):
    """None without files; a cell of the table is what the file says."""
    assert report_electrostatics.sections(tmp_path) == []
    row = {"seed": 0, "accuracy": 1e-4, "error": 9e-5, "choices": ""}
    rows = [row | {"ions": n, "name": name, "seconds": 1e-6 * n} for n in (64, 1000) for name in ("Ewald", "P3M")]
    made = {"command": "python -m figures.ewald_speed", "date": "today", "processor": "one"}
    made |= {"python": "3", "numpy": "2", "numba": "0", "threads": 1}
    (tmp_path / "ewald_speed.json").write_text(json.dumps({"environment": made, "rows": rows[:3]}), encoding="utf-8")
    about, text = report_electrostatics.sections(tmp_path)
    assert "142501" in about
    assert "| 64 | 64 us | 64 us |" in text
    assert "| 1,000 | 1 ms | - |" in text


def test_paragraphs():
    """Code is not broken over lines."""
    text = fill("word " * 22 + "`python -m figures.lode --preset paper`")
    assert [len(line) <= 118 for line in text.splitlines()] == [True, True]
    assert "\n`python -m figures.lode --preset paper`\n" in text
    assert span([0.5, 2.0]) == "0.50 to 2.0"
    assert span([0.5]) == "0.50"


@pytest.mark.parametrize("name", ["madelung", "learned_charges", "lode"])
def test_what_is_committed_is_small(name):
    """Results, and a picture of less than 1 MB."""
    assert json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))["environment"]["processor"]
    assert (RESULTS / f"{name}.png").stat().st_size < 1_000_000


@pytest.mark.parametrize(("cells", "near"), [(4, None), (5, [{"cutoff": 6.0}])])
def test_settings_of_peers_are_sought_near_those_of_fewer_ions(monkeypatch, cells, near):
    """Of this accuracy, from a thousand ions on; those that were found go into the row, for the next."""
    asked = []
    found = [{"settings": {"cutoff": 7.0}, "error": 1e-5, "seconds": 1.0}]
    monkeypatch.setattr(ewald_speed, "candidates", lambda *given: asked.append(given[-1]) or found)
    peer = SimpleNamespace(open=lambda **_: None, close=lambda: None, step=lambda *_: 1.0)
    peer.forces = lambda: np.zeros((1, 3))
    monkeypatch.setattr(ewald_speed, "LEAST", 0.0)
    smaller = [
        {"accuracy": 1e-4, "among": [{"cutoff": 6.0}], "seconds": 1.0},
        {"accuracy": 1e-6, "among": [{"cutoff": 9.0}], "seconds": 5.0},
    ]
    row = ewald_speed.theirs(perturbed_nacl(cells), lambda *_: peer, 1e-4, np.zeros((1, 3)), smaller)
    assert asked == [near]
    assert row["among"] == [{"cutoff": 7.0}]
    assert ewald_speed.theirs(perturbed_nacl(cells), lambda *_: peer, 1e-6, None, smaller) is None  # it takes too long


def test_times_anew(monkeypatch):
    """Ours are tuned again, a peer has the fastest of the settings of its row, and what is not installed is named."""
    opened = []

    class Made:
        name = "made"

        def __init__(self, ions, threads):
            self.ions = ions

        def open(self, cutoff):
            opened.append(cutoff)

        def close(self):
            pass

        def step(self, rebuild, calls=1):
            return abs(opened[-1] - 7.0) + 0.1

        def forces(self):
            return np.zeros(self.ions.positions.shape)

    monkeypatch.setattr(ewald_speed, "installed", lambda name: Made if name == "torch" else None)
    monkeypatch.setattr(ewald_speed, "LEAST", 0.0)
    old = {"ions": 64, "seed": 0, "accuracy": 1e-4, "seconds": 9.0, "error": 9.0, "choices": ""}
    rows = [old | {"name": "Ewald"}, old | {"name": "made", "among": [{"cutoff": c} for c in (5.0, 7.0, 8.0)]}]
    ewald_speed.again(rows, (2,))
    assert rows[0]["error"] <= 1e-4
    assert rows[0]["seconds"] < 9.0
    assert rows[1]["seconds"] == pytest.approx(0.1)
    assert rows[1]["choices"] == "{'cutoff': 7.0}"
    assert len(rows[1]["among"]) == 3
    with pytest.raises(SystemExit, match="LAMMPS pppm of the record is not installed"):
        ewald_speed.again([old | {"name": "LAMMPS pppm"}], (2,))
