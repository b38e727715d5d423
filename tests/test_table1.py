"""The script of Table 1: what it trains, keeps and prints."""

from __future__ import annotations

import argparse
import json

import numpy as np
import pytest

from figures import table1
from lrc_numba import training


@pytest.fixture
def tiny(monkeypatch):
    """A quick preset of some steps."""
    monkeypatch.setattr(training, "QUICK", training.Protocol((training.Stage(4, 2),)))
    monkeypatch.setattr(table1, "SAMPLES", {"quick": 8})
    monkeypatch.setattr(table1, "TESTS", 3)


@pytest.mark.parametrize("kind", table1.KINDS)
def test_one_training(kind, tiny, tmp_path):
    """Errors, curve and versions; begun anew or gone on with, the same numbers."""
    job = table1.Job("quick", kind, "truth", "smooth", "steps", 2.0, 0)
    first = table1.train(job, tmp_path, resume=False)
    assert first["steps"] == 4
    assert len(first["curve"]) == 3  # two epochs, the last one once more
    assert first["job"]["mu"] == 2.0
    assert set(first["versions"]) == {"python", "numpy", "numba", "lrc_numba"}
    again, resumed = (table1.train(job, tmp_path, resume=flag) for flag in (False, True))
    assert first["errors"] == again["errors"] == resumed["errors"]
    if kind == "full-range":
        np.testing.assert_allclose(first["lam"], [2.0, 20.0], rtol=1e-2)


def test_what_is_shown(tmp_path, capsys):
    """The rows of one start and seed, for the μ asked for, beside the paper's; other results stay out."""
    jobs = [
        table1.Job("paper", "full-range", init, "smooth", "steps", mu, 0)
        for init in ("blind", "truth")
        for mu in (0.5, 3.0)
    ]
    errors = {"true": 0.125, "predicted": 0.25}
    results = {"jobs": {j.name: {"job": vars(j), "errors": errors, "curve": [[1, 2.0], [2, 1.0]]} for j in jobs[:3]}}
    args = argparse.Namespace(
        preset="paper",
        init="blind",
        cutoff="smooth",
        counting="steps",
        seed=0,
        mu=[0.5, 3.0, 10.0],
        output=tmp_path / "table.json",
    )
    table1.show(results, args)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["full-range", "0.12500", "0.12500", "-"] in lines
    assert ["paper,", "full-range", "0.00828", "-", "0.00054"] in lines
    assert (tmp_path / "table.png").exists()


def test_command_line(tmp_path, monkeypatch, capsys):
    """Damaged results and senseless numbers are errors; --plot of nothing prints empty rows."""
    output = tmp_path / "table.json"

    def run(*words: str) -> object:
        monkeypatch.setattr("sys.argv", ["table1", "--output", str(output), *words])
        with pytest.raises(SystemExit) as end:
            table1.main()
        return end.value.code

    assert run("--plot") == 0
    assert run("--jobs", "0") == 2
    assert run("--mu", "nan") == 2
    output.write_text("{", encoding="utf-8")
    assert run("--plot") == 2
    assert "is damaged" in capsys.readouterr().err
    output.write_text(json.dumps({"jobs": {}}), encoding="utf-8")
    assert run("--plot") == 0
