"""The page of measurements says what the JSON files say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_measurements_are_those_of_the_json_files():
    """``python -m validation.report`` writes the page anew."""
    command = [sys.executable, "-m", "validation.report", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_measurements_that_changed_are_noticed(tmp_path, monkeypatch):
    """Against a page with one digit more, the check fails."""
    from validation import report

    page = report.text()
    results = ROOT / "validation" / "results"
    (tmp_path / "results").symlink_to(results)
    (tmp_path / "README.md").write_text(page + "1\n", encoding="utf-8")
    monkeypatch.setattr(report, "HERE", tmp_path)
    monkeypatch.setattr(sys, "argv", ["report", "--check"])
    assert report.main() == 1
    (tmp_path / "README.md").write_text(page, encoding="utf-8")
    assert report.main() == 0


def test_errors_of_gradients_get_a_table():
    """Of a record of ``validation.gradient_error``: one table for each of what is computed, with all its ratios."""
    from validation.tools import report_tables

    ratios = {"median": 0.01234, "95%": 0.5, "largest": 0.75, "above": 3}
    entry = {"what": "exact", "dim": 2, "eps": None, "cases": 40, "itself": ratios, "terms": ratios, "bound": ratios}
    page = "\n".join(report_tables.gradient_error({"cases": 40, "seed": 7, "summary": [entry, entry | {"eps": 1e-2}]}))
    three = "0.012, 0.5, 0.75 (3 above 1)"
    assert f"| 2 | all | 40 | {three} | {three} | {three} |" in page
    assert f"| 2 | 1e-02 | 40 | {three} | " in page


def test_electrostatics_get_tables():
    """Of records of ``truths``, ``electrostatics`` and ``benchmark_electrostatics``, the last also while it runs."""
    from validation.tools import report_charges

    row = {"calculator": "mesh", "splitting": "prolate", "asked": 2.0, "estimated": 4.0, "measured": 1.0, "seconds": 3}
    record = {"summary": {"kept": True}, "rows": [row, row | {"measured": 3.0}]}
    page = "\n".join(report_charges.accuracies(record))
    assert "| mesh | prolate | 2 | 1.00 | 1.50 | 0.25 | 0.50 | 0.75 | 3.00 |" in page
    printed = {"title": "Errors", "header": ["case", "error"], "lines": [["a", "1e-12"]]}
    page = "\n".join(report_charges.truths(printed | {"lattice_sums": 2e-13}))
    assert "| a | 1e-12 |" in page
    assert "largest relative error 2.0e-13" in page
    page = "\n".join(report_charges.peers(printed | {"rows": [], "small": {"1": {"alone": 1.2e-4, "together": 3e-4}}}))
    assert "| 1 | 120 | 300 |" in page
    assert "Not finished" in "\n".join(report_charges.peers({"rows": []}))


def test_neighbours_get_a_table():
    """Of a record with vesin and of one without it, measured on few points."""
    from validation import neighbours
    from validation.tools import report_tables

    rows = [neighbours.measure("triclinic", count, False, 1, 1, None) for count in (300, 600)]
    assert rows[1]["pairs"]["lrc_numba"] == pytest.approx(600 * neighbours.NEIGHBOURS / 2, rel=0.1)  # points are random
    grown = neighbours.growth(rows)
    assert list(grown[0]["exponents"]) == ["lrc_numba"]
    both = {"seconds": {"lrc_numba": 2.0, "vesin": 5.0}, "pairs": {"lrc_numba": 7, "vesin": 6}}
    rows.append(rows[0] | both | {"points": 1000, "ratio": 2.5, "difference": 1e-9})
    page = "\n".join(report_tables.neighbours({"rows": rows, "growth": grown, "neighbours": neighbours.NEIGHBOURS}))
    assert "| triclinic | half | 1000 | 1 | 2 s | 2 ms | 5 s | 2.50 | 7 | 1 | 1.0e-09 |" in page
    assert "| triclinic | half | 300 | 1 |" in page
    assert f"| triclinic | half | 1 | {grown[0]['exponents']['lrc_numba']:.2f} |" in page


def test_goals_are_held_against_what_was_measured():
    """Of the form that comes nearest to them, and of attention against the sum over its own modes."""
    from validation.tools.report_attention import attention
    from validation.tools.report_learning import CHARGES, DIMERS, judged

    def run(row: str, seed: int, forces: float, energies: float) -> dict:
        kept = {"CC": 1.0, "CP": 1.0, "CC forces": 1.0, "PP forces": 1.0}
        return {"row": row, "seed": seed, "CP forces": forces, "PP": energies} | kept

    runs = [run("none", 0, 50.0, 3.0), *(run("convolution", seed, 6.5 + seed, 7.0 + seed / 2) for seed in range(3))]
    record = {"title": "Errors", "header": ["form"], "lines": [["none"]], "runs": {"all": runs}}
    page = "\n".join(judged(DIMERS)(record))
    assert "Nearest to what was asked is convolution, medians over the seeds: CC energies 1.0 meV" in page
    assert "CP forces 7.5 meV/A, asked for at most 8: kept" in page
    assert "PP energies 7.5 meV, asked for at most 8: kept" in page
    runs += [run("convolution", seed, 9.0, 8.5) for seed in (3, 4, 5)]
    page = "\n".join(judged(DIMERS)(record))
    assert "CP forces 8.8 meV/A, asked for at most 8: not kept" in page
    assert "PP energies 8.2 meV, asked for at most 8: not kept" in page
    tasks = {"with core": 0.008, "without core": 0.0124}
    runs = {task: [{"row": "charges", "seed": 0, "test": value}] for task, value in tasks.items()}
    page = "\n".join(judged(CHARGES)(record | {"runs": runs}))
    assert "with the core 0.8 %, asked for at most 3: kept; without it 1.2 %, asked for at most 1: not kept" in page
    row = {"sigma": 2.0, "atoms": 10, "seconds": {"layer": 1.0, "same modes": 24.0, "converged": 60.0}}
    row |= {"error": {"layer": 1e-4}, "modes": {"same modes": 5, "converged": 9}}
    for ratio, kept in ((24.0, False), (26.0, True)):
        sums = [row | {"ratio": {"same modes": ratio, "converged": 60.0}}]
        page = "\n".join(attention({"sums": sums, "goals": {"2": 25.0}, "missed": []}))
        assert ("24.0 times as fast at sigma 2, goal 25" in page) != kept
        assert "26.0 times as fast" not in page
