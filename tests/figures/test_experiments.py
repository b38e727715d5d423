"""The runner of the LRC paper's tables: tasks, their keys, trainings that are ended and gone on with, records."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from figures import report_learning, table1, table3
from figures.experiments import command, presets, queue, tasks, training
from figures.experiments.budget import by_cost
from figures.experiments.changes import CHANGES
from figures.experiments.figure import Column, Figure, final
from figures.experiments.presets import PRESETS, STREAMS, Preset
from figures.experiments.records import recorded
from figures.experiments.tasks import Model, Small, System, Task, Test, Training
from figures.experiments.training import Busy, Store, run
from lrc_numba.networks import EnergyNetwork, LossWeights
from lrc_numba.networks.start import bent
from lrc_numba.training import Protocol, Stage

SYSTEM = System("screened_coulomb", (6,), (2.0,), (1.0,), cell=0.5)
TINY = Preset("tiny", Protocol((Stage(4, 2),)), 3, 1.0, "a few steps")
TESTS = (Test("stratified", SYSTEM, count=2, sets=2), Test("uniform", SYSTEM, "uniform", count=2, sets=1))


def task_of(**changes) -> Task:
    """A full-range network on eight snapshots."""
    how = Training(8, TINY.protocol, TINY.polish)
    model = Model("full-range", 1.0, 15)
    return replace(Task("tiny", "row", "column", SYSTEM, model, how, 0, tests=TESTS), **changes)


FIGURE = Figure(
    "tiny",
    "about",
    table1.draw,
    lambda preset: [
        Column(row, "2", SYSTEM, Model(row, 1.0, 15 if row == "full-range" else 0), Training(8, preset.protocol), TESTS)
        for row in table1.KINDS
    ],
    {"full-range": {"2": 0.1}},
    kept=table1.KINDS,
)


# ---------------------------------------------------------------------- tasks
def test_keys():
    """They tell apart what decides on a training, and nothing else."""
    task = task_of()
    same = [{"figure": "other"}, {"row": "other"}, {"tests": ()}, {"training": replace(task.training, polish=7)}]
    assert {task_of(**change).key for change in same} == {task.key}
    other = [
        {"seed": 1},
        {"system": replace(SYSTEM, mu=(2.5,))},
        {"model": replace(task.model, modes=17)},
        {"model": replace(task.model, lam=(1.0,))},
        {"training": replace(task.training, drawn="uniform")},
        {"training": replace(task.training, protocol=Protocol((Stage(4, 3),)))},
        {"small": Small(SYSTEM, task.training)},
    ]
    assert len({task.key, *(task_of(**change).key for change in other)}) == len(other) + 1


def test_keys_of_paper_trainings_stay():
    """Trainings of many hours are found again after a change of the scripts."""
    keys = {(t.row, t.column, t.seed): t.key for t in table1.FIGURE.tasks(PRESETS["paper"], (0,))}
    assert keys["full-range", "0.5", 0] == "b3dfde893c"
    assert keys["short-range", "10", 0] == "aab4207f68"


def test_streams_of_random_numbers_are_apart():
    """So that no test is trained with, and no final test was looked at."""
    spans = [range(base, base + presets.SEEDS_BELOW) for base in (*STREAMS.values(), *presets.FORMER)]
    assert all(a == b or not set(a) & set(b) for a in spans for b in spans)
    final_points, development, training = (
        SYSTEM.draw(2, "stratified", STREAMS[name], 0).positions for name in ("final", "development", "training")
    )
    assert not np.intersect1d(final_points, development).size
    assert not np.intersect1d(final_points, training).size


@pytest.mark.parametrize("name", command.FIGURES)
def test_every_figure_has_its_tasks(name):
    """All presets can be made, a network of every task as well; names are those of files."""
    figure = command.figure_of(name)
    assert figure.name == name
    for preset in PRESETS.values():
        tasks = figure.tasks(preset, (0,))
        assert (figure.compute is None) == bool(tasks)
        assert len({(task.key, task.training.polish) for task in tasks}) == len(tasks)
        for task in tasks:
            assert set(task.name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
            if preset.name == "quick":
                assert task.model.make(task.small.system if task.small else task.system, 0).dim == task.system.dim


def test_cost_is_shared():
    """Adam takes as many gradients with few and with many snapshots; the paper's protocol is the paper's."""
    made = [by_cost(PRESETS["reduced"].polished(0), samples, {"reduced": 20_000}) for samples in (10, 100, 1000)]
    assert {training.gradients(10**9) for training in made} == {20_000}
    assert by_cost(PRESETS["paper"], 10, {"reduced": 20_000}).protocol == presets.PAPER


def test_the_polish_sees_some():
    """Where there are many snapshots, others in each piece."""
    task = table3.FIGURE.tasks(PRESETS["reduced"], (0,), None)[-1]
    assert task.training.samples == 10_000
    assert task.at_once * task.system.points * task.system.dim <= 100_000 < (task.at_once + 1) * 900
    data = System("screened_coulomb", (5,), (1.0,), (1.0,)).draw(12, "stratified", 0)
    first, second = (training._some(data, 5, done) for done in (0, 20))
    assert len(first) == len(second) == 5
    assert not np.array_equal(first.positions, second.positions)
    assert training._some(data, 12, 0) is data


# ---------------------------------------------------------------------- networks
@pytest.mark.slow
@pytest.mark.parametrize(("kind", "change"), [(kind, change) for kind in CHANGES for change in CHANGES[kind]])
def test_changed_networks(kind, change, tmp_path):
    """Right gradients, and files that are read as what they are."""
    data, weights = SYSTEM.draw(3, "stratified", 1), LossWeights()
    network = Model(kind, 1.0, 15 if kind == "full-range" else 0, change=change).make(SYSTEM, 0)
    network.set_scales(data)
    usual = Model(kind, 1.0, 15 if kind == "full-range" else 0).make(SYSTEM, 0)
    usual.set_scales(data)
    flat = network.parameters.flat
    flat += 0.02 * np.random.default_rng(0).standard_normal(flat.size)  # off zeros, where all networks are alike
    _, gradient = network.loss(data, weights)
    direction, before, step = np.random.default_rng(1).standard_normal(flat.size), flat.copy(), 1e-6
    losses = []
    for sign in (1, -1):
        flat[...] = before + sign * step * direction
        losses.append(network.loss_alone(data, weights))
    flat[...] = before
    # Central differences: step² of third derivatives, and rounding of the loss over the step.
    assert (losses[0] - losses[1]) / (2 * step) == pytest.approx(gradient @ direction, rel=1e-6)
    network.save(tmp_path / "network.npz")
    again = EnergyNetwork.load(tmp_path / "network.npz", threads=1)
    np.testing.assert_array_equal(again.predict(data).forces, network.predict(data).forces)
    if usual.parameters.flat.size == flat.size:
        usual.parameters.flat[...] = flat
        assert not np.array_equal(usual.predict(data).forces, network.predict(data).forces) or change == "plain start"


# ---------------------------------------------------------------------- trainings
@pytest.mark.slow
def test_a_task(tmp_path, monkeypatch):
    """Its result has errors after each stage on both tests; a second run computes nothing; a longer polish goes on."""
    store, task = Store(tmp_path), task_of()
    result = run(task, store)
    assert list(result["errors"]) == ["adam", "polished"]
    assert [len(result["errors"]["polished"][name]["true"]) for name in ("stratified", "uniform")] == [2, 1]
    assert result["losses"]["polished"] < result["losses"]["adam"]
    assert set(result["learned"]["adam"]) == {"lam", "beta"}
    ((done, before, after),) = result["curves"]["polish"]
    assert (done, result["sources"]) == (TINY.polish, tasks.sources())
    assert before > after
    network = EnergyNetwork.load(store.path(task, "network", ".npz"), threads=1)
    seen = task.system.draw(task.training.samples, "stratified", STREAMS["training"] + task.seed)
    assert not bent(network.post, network.parameters, network.values(seen, "scaled u"))
    assert result["stream"] == "development"
    stamps = {path: path.stat().st_mtime_ns for path in store.folder(task).iterdir()}
    assert run(task, store) == result
    assert {path: path.stat().st_mtime_ns for path in store.folder(task).iterdir()} == stamps
    longer = replace(task, training=replace(task.training, polish=6))
    assert store.result(longer) is None
    monkeypatch.setattr(training, "sources", lambda: "other")
    more = run(longer, store)
    assert more["sources"] == f"{tasks.sources()}+other"
    assert more["errors"]["adam"] == result["errors"]["adam"]
    assert more["losses"]["polished"] < result["losses"]["polished"]
    assert store.result(task) == result


@pytest.mark.slow
def test_interrupted_and_gone_on_with(tmp_path, monkeypatch):
    """The same numbers as in one go, also of a polish whose pieces see other snapshots."""
    monkeypatch.setattr(tasks, "RESIDUALS", 3 * SYSTEM.points * SYSTEM.dim)
    assert task_of().at_once == 3 < task_of().training.samples
    monkeypatch.setattr(training, "SLICE", 1)
    monkeypatch.setattr(training, "PIECE", 1)
    whole = run(task_of(), Store(tmp_path / "whole"))

    class Cut(Exception):
        pass

    spoken = []

    def report(what: str, _: float) -> None:
        spoken.append(what)
        if len(spoken) in (3, 6, 9):
            raise Cut

    cuts = 0
    while True:
        try:
            pieces = run(task_of(), Store(tmp_path / "pieces"), report)
            break
        except Cut:
            cuts += 1
    assert cuts == 3
    assert {"adam", "polish"} <= set(spoken)
    assert pieces["errors"] == whole["errors"]
    assert pieces["learned"] == whole["learned"]


@pytest.mark.parametrize("adam", [True, False])
def test_two_scales(tmp_path, monkeypatch, adam):
    """The first is a task that others share; the second, and its polish, leave f₁ and f₂ alone in another box."""
    how = Training(4, TINY.protocol if adam else None, TINY.polish)
    model = Model("full-range", 1.0, 15)
    task = task_of(system=SYSTEM.times(2), model=model, training=how, small=Small(SYSTEM, Training(8, TINY.protocol)))
    before = task.before()
    store = Store(tmp_path, {(before.key, before.training.polish): {"errors": {}, "development": {}}})
    with monkeypatch.context() as patched:
        patched.setattr(training, "sources", lambda: "first")
        run(before, Store(tmp_path))
    run(task, store)  # a record of the first has no network to begin with
    first = EnergyNetwork.load(store.path(before, "network", ".npz"), threads=1)
    second = EnergyNetwork.load(store.path(task, "network", ".npz"), threads=1)
    for name in first.parameters:
        same = np.array_equal(first.parameters[name], second.parameters[name])
        assert same == name.startswith(("f1", "f2")), name
    other = replace(task, training=replace(how, samples=3))
    assert other.before().key == before.key
    result = store.result(task)
    assert result["sources"] == f"first+{tasks.sources()}"
    assert list(result["errors"]) == ["adam" if adam else "start", "polished"]
    assert ("adam" in result["curves"]) == (store.folder(task) / "adam.npz").exists() == adam


def test_two_processes_take_different_tasks(tmp_path):
    """What another process is at is left alone, and waited for only where that is asked for."""
    store, task = Store(tmp_path), task_of()
    entered, leave = threading.Event(), threading.Event()

    def report(_what: str, _share: float) -> None:
        entered.set()
        leave.wait(60)

    thread = threading.Thread(target=run, args=(task, store, report))
    thread.start()
    assert entered.wait(60)
    with pytest.raises(Busy):
        run(task, store)
    assert queue.work([task], store, patient=False)
    assert store.result(task) is None
    leave.set()
    thread.join()
    assert store.result(task) is not None


def test_a_failed_task(tmp_path, monkeypatch, capsys):
    """The others are done, and what went wrong is kept."""
    bad = task_of(model=Model("full-range", 100.0, 15))
    store, good = Store(tmp_path), task_of()
    assert not queue.work([bad, good], store)
    assert store.result(good) is not None
    assert "cutoff" in store.result(bad, "error")["error"]
    capsys.readouterr()


@pytest.mark.slow
def test_ended_by_a_signal(tmp_path):
    """SIGTERM leaves a checkpoint, from which the same command goes on."""
    words = ["--only", "table1", "--preset", "quick", "--seeds", "100", "--worker", "--folder", str(tmp_path)]
    root = Path(table1.__file__).parents[1]
    process = subprocess.Popen([sys.executable, "-m", "figures", *words], cwd=root, stdout=subprocess.DEVNULL)
    end = time.monotonic() + 120
    while not list(tmp_path.glob("*/adam.jsonl")) or not next(tmp_path.glob("*/adam.jsonl")).stat().st_size:
        assert time.monotonic() < end
        assert process.poll() is None
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(60) == -signal.SIGTERM
    (checkpoint,) = tmp_path.glob("*/adam.npz")
    assert json.loads(str(np.load(checkpoint)["header"]))["progress"]["step"] > 0


# ---------------------------------------------------------------------- records
@pytest.mark.slow
def test_record_and_final_tests(tmp_path, capsys):
    """A record holds what is done; final tests need all of it, and are evaluated once."""
    store, seeds = Store(tmp_path / "runs"), (0, 1)
    tasks = FIGURE.tasks(TINY, seeds)
    queue.work(tasks[:1], store)
    assert [run["row"] for run in FIGURE.collect(TINY, seeds, store)["runs"]] == ["short-range"]
    with pytest.raises(SystemExit, match="not done yet"):
        final(tasks, store)
    queue.work(tasks, store)
    final(tasks, store)
    record = FIGURE.collect(TINY, seeds, store)
    assert record["expected"] == len(record["runs"]) == 4
    assert {run["stream"] for run in record["runs"]} == {"final"}
    for run_ in record["runs"]:
        assert run_["errors"]["adam"] != run_["development"]["adam"]
    stamps = [store.path(task, "final").stat().st_mtime_ns for task in tasks]
    final(tasks, store)
    assert [store.path(task, "final").stat().st_mtime_ns for task in tasks] == stamps
    FIGURE.show(TINY, seeds, store, results=tmp_path)
    assert "4 of 4 trainings" in capsys.readouterr().out
    networks = list((tmp_path / "networks").iterdir())
    assert sorted(path.name for path in networks) == ["tiny_tiny-full-range-2-0.npz", "tiny_tiny-short-range-2-0.npz"]
    assert EnergyNetwork.load(networks[0], threads=1).dim == 1
    for ending in ("json", "png", "pdf"):
        assert 0 < (tmp_path / f"tiny_tiny.{ending}").stat().st_size < 1_000_000
    _goes_on_from_its_record(tmp_path, record)


def _goes_on_from_its_record(results: Path, record: dict) -> None:
    """Where the folders of trainings are gone, what was evaluated counts as done, and stays when less is asked for."""
    store, seeds = Store(results / "others", recorded(results / "tiny_tiny.json")), (0, 1)
    assert queue.hours(FIGURE.tasks(TINY, seeds), store) == 0.0
    final(FIGURE.tasks(TINY, seeds), store)
    assert FIGURE.collect(TINY, seeds, store) == record
    FIGURE.show(TINY, (1,), store, results=results)
    assert json.loads((results / "tiny_tiny.json").read_text())["runs"] == record["runs"]
    longer = replace(FIGURE.tasks(TINY, seeds)[0], training=Training(8, TINY.protocol, 7))
    assert store.result(longer) is None
    assert [task.row for task in FIGURE.tasks(TINY, (0,), ["short-range"])] == ["short-range"]


def _made_up(figure: Figure, preset: Preset) -> dict:
    """A record of trainings that never were."""
    rng, runs = np.random.default_rng(0), []
    for seed in (0, 1):
        for c in figure.columns(preset):
            errors = {test.name: {"true": rng.uniform(1e-4, 1e-2, 3).tolist()} for test in c.tests}
            run_ = {"row": c.row, "column": c.column, "seed": seed, "seconds": 60.0, "stream": "development"}
            run_ |= {"errors": {"adam": errors, "polished": errors}, "curves": {"adam": [[10, 1.0], [20, 0.5]]}}
            run_ |= {"losses": {"adam": 0.5, "polished": 0.1}, "polish": 10}
            learned = {"lam": list(c.model.lam or (0.4, 4.0))} if c.model.kind == "full-range" else {}
            run_ |= {"learned": {"adam": learned, "polished": learned}}
            run_ |= {"key": ""}
            run_["environment"] = {"date": "2026-01-01", "python": "3", "numpy": "2", "numba": "0"}
            runs.append(run_)
    about = {"name": figure.recorded_as, "preset": preset.name, "about": "", "paper": figure.paper, "seeds": [0, 1]}
    return about | {"expected": len(runs), "protocols": [], "runs": runs}


DRAWN = [name for name in command.FIGURES if command.figure_of(name).compute is None]


SLOW = {name: [pytest.mark.slow] * (name not in ("table1", "fig8")) for name in DRAWN}


@pytest.mark.parametrize("name", [pytest.param(name, marks=marks) for name, marks in SLOW.items()])
def test_pictures_and_report(name, tmp_path, capsys):
    """Of a record with all columns, and of one in which most are missing yet."""
    figure, preset = command.figure_of(name), PRESETS["quick"]
    record = _made_up(figure, preset)
    figure.path(preset, tmp_path).write_text(json.dumps(record), encoding="utf-8")
    if figure.trained_as:  # no page before there is a picture
        assert f"{name}_quick.png" not in "\n".join(report_learning.sections(tmp_path))
    for runs in (record["runs"][:1], record["runs"]):
        figure.draw(record | {"runs": runs}, tmp_path / f"{name}_quick")
        assert (tmp_path / f"{name}_quick.png").stat().st_size < 1_000_000
        assert (tmp_path / f"{name}_quick.pdf").stat().st_size < 1_000_000
    text = "\n".join(report_learning.sections(tmp_path))
    assert text.count(f"{name}_quick.png") == 1
    for row in {run_["row"] for run_ in record["runs"]}:
        assert text.count(f"| {row}, polished, {figure.columns(preset)[0].tests[0].name} |") == 1
    capsys.readouterr()


def test_what_is_there_is_drawn(tmp_path, monkeypatch, capsys):
    """Also where other tables are missing, which is said at the end."""
    figure, preset = command.figure_of("fig8"), PRESETS["quick"]
    figure.path(preset, tmp_path).write_text(json.dumps(_made_up(figure, preset)), encoding="utf-8")
    words = ["--folder", str(tmp_path / "runs"), "--results", str(tmp_path), "--plot-only", "--only", "table1", "fig8"]
    monkeypatch.setattr("sys.argv", ["figures", *words])
    with pytest.raises(SystemExit, match="table1: no results of preset quick"):
        command.main("")
    assert (tmp_path / "fig8_quick.png").exists()
    capsys.readouterr()


def test_list_of_figures(tmp_path, monkeypatch, capsys):
    """Without an option: every figure and preset, with what is missing."""
    words = ["figures", "--folder", str(tmp_path / "runs"), "--results", str(tmp_path)]
    monkeypatch.setattr("sys.argv", words)
    command.main("")
    lines = capsys.readouterr().out.splitlines()
    for name in command.FIGURES:
        assert sum(line.startswith(name + " ") for line in lines) == len(PRESETS)
    monkeypatch.setattr("sys.argv", ["figures", "--help"])
    with pytest.raises(SystemExit):
        command.main("what it is for")
    assert "what it is for" in capsys.readouterr().out
