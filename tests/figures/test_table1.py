"""The script of Table 1: what it trains, keeps and prints."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from figures import table1
from lrc_numba import training
from lrc_numba.networks import FullRangeNetwork


@pytest.fixture
def tiny(monkeypatch):
    """A quick preset of some steps."""
    monkeypatch.setattr(training, "QUICK", training.Protocol((training.Stage(4, 2),)))
    monkeypatch.setattr(table1, "SAMPLES", {"quick": 8})
    monkeypatch.setattr(table1, "TESTS", 3)


@pytest.mark.parametrize("kind", [pytest.param("short-range", marks=pytest.mark.slow), "full-range"])
def test_one_training(kind, tiny, tmp_path):
    """Errors, curve and versions; begun anew or gone on with, the same numbers."""
    job = table1.Job("quick", kind, "truth", "smooth", "steps", 2.0, 0)
    first = table1.train(job, tmp_path, resume=False)
    assert first["steps"] == 4
    assert len(first["curve"]) == 3  # two epochs, the last one once more
    assert first["job"]["mu"] == 2.0
    assert set(first["versions"]) == {"python", "numpy", "numba", "lrc_numba", "networks"}
    again, resumed = (table1.train(job, tmp_path, resume=flag) for flag in (False, True))
    assert first["errors"] == again["errors"] == resumed["errors"]
    if kind == "full-range":
        network = FullRangeNetwork.load(tmp_path / f"{job.name}-network.npz")
        assert first["lam"] == network.parameters["lam"].tolist()
        np.testing.assert_allclose(first["lam"], [2.0, 20.0], rtol=1e-2)


@pytest.fixture
def arguments(tmp_path):
    """Two short-range networks at a time."""
    given = {"preset": "quick", "init": "blind", "cutoff": "smooth", "counting": "epochs", "seed": 3, "jobs": 2}
    given |= {"kinds": ["short-range"], "mu": [1.0, 2.0], "resume": False, "restart": False}
    return argparse.Namespace(**given, folder=tmp_path / "folder", output=tmp_path / "table.json")


def test_all_jobs(tiny, arguments, monkeypatch, capsys):
    """Each is trained once and written; --resume does those of old networks again; without it nothing is destroyed."""
    monkeypatch.setattr(table1, "ProcessPoolExecutor", lambda jobs, *rest: ThreadPoolExecutor(jobs))
    trained, plain = [], table1.train

    def train(job, folder, resume):
        trained.append((job.mu, job.counting, job.seed, resume))
        return plain(job, folder, resume)

    monkeypatch.setattr(table1, "train", train)
    results = {"jobs": {"another": {}}}
    assert table1.run(arguments, results)
    assert sorted(trained) == [(1.0, "epochs", 3, False), (2.0, "epochs", 3, False)]
    kept = json.loads(arguments.output.read_text())
    assert set(kept["jobs"]) == {"another", *(f"quick-short-range-mu{mu}-blind-smooth-epochs-3" for mu in (1, 2))}
    assert kept == json.loads(json.dumps(results))
    arguments.resume = True
    trained.clear()
    old = results["jobs"]["quick-short-range-mu2-blind-smooth-epochs-3"]
    old["versions"]["networks"] -= 1
    assert table1.run(arguments, results)
    assert [row[0] for row in trained] == [2.0]
    arguments.resume = False
    with pytest.raises(SystemExit, match="mu2-blind-smooth-epochs-3 has begun; --resume goes on, --restart"):
        table1.run(arguments, results)  # though finished: its checkpoint would be lost
    arguments.restart = True
    assert table1.run(arguments, results)
    assert "relative force error" in capsys.readouterr().out


def test_two_runs_write_to_one_file(tiny, arguments):
    """What another has added meanwhile stays."""
    arguments.output.write_text(json.dumps({"jobs": {"of another run": {}}}))
    done = Future()
    done.set_result({"errors": {"true": 0.5}})
    assert table1._keep(table1.Job("quick", *[""] * 4, 1.0, 0), done, arguments, {"jobs": {}})
    assert len(json.loads(arguments.output.read_text())["jobs"]) == 2


def test_trainings_end_with_the_program(tmp_path):
    """They write to its checkpoints, where the next one would go on."""
    code = "import os, subprocess, sys; p = subprocess.Popen([sys.executable, '-c', sys.argv[1], str(os.getpid())], "
    code += (
        "stdout=subprocess.PIPE, stderr=subprocess.DEVNULL); p.stdout.readline(); print(p.pid, flush=True); os._exit(0)"
    )
    child = "import sys, time; from figures.table1 import _follow; _follow(int(sys.argv[1])); print('on', flush=True); "
    child += "time.sleep(60)"
    done = subprocess.run([sys.executable, "-c", code, child], capture_output=True, text=True, check=True)
    number, end = int(done.stdout), time.monotonic() + 20
    while time.monotonic() < end:
        try:
            os.kill(number, 0)
        except ProcessLookupError:
            return
        state = Path(f"/proc/{number}/stat")
        if state.exists() and state.read_text().rsplit(")", 1)[1].split()[0] == "Z":
            return
        time.sleep(0.1)
    os.kill(number, signal.SIGKILL)
    pytest.fail("the training went on")


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
    for other in ("[]", "null", '{"jobs": []}', '{"jobs": {"a": {}}}'):
        output.write_text(other, encoding="utf-8")
        assert run("--plot") == 2
    assert run("--mu", "1", "inf") == 2
    output.write_text(json.dumps({"jobs": {}}), encoding="utf-8")
    assert run("--plot") == 0


@pytest.mark.parametrize("kind", table1.KINDS)
def test_results_are_of_this_code(kind, tmp_path, monkeypatch):
    """The first epoch of every network in the file, trained again; without vectors its loss differed by 2e-16."""
    monkeypatch.setattr(training, "PAPER", training.Protocol((training.Stage(8, 1),)))
    monkeypatch.setattr(table1, "SETS", 1)
    results = Path(table1.__file__).parent / "results" / "table1_paper.json"
    jobs = json.loads(results.read_text(encoding="utf-8"))["jobs"]
    for mu in table1.MU:
        job = table1.Job("paper", kind, "blind", "smooth", "steps", mu, 0)
        found = table1.train(job, tmp_path, resume=False)
        np.testing.assert_allclose(found["curve"][0], jobs[job.name]["curve"][0], rtol=1e-6)


def test_results_are_of_the_networks_as_they_are():
    """Every column of both rows is there, trained with the networks of this version; pages show what the file holds."""
    root = Path(table1.__file__).parents[1]
    jobs = json.loads((root / "figures" / "results" / "table1_paper.json").read_text(encoding="utf-8"))["jobs"]
    for kind in table1.KINDS:
        found = [jobs[table1.Job("paper", kind, "blind", "smooth", "steps", mu, 0).name] for mu in table1.MU]
        assert {job["versions"]["networks"] for job in found} == {table1.NETWORK_VERSION}
