"""Records that outlive trainings: what of an earlier one stays, and what counts as done."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from figures.experiments import command, training
from figures.experiments.figure import Column, Figure, as_folders, final
from figures.experiments.presets import FORMER, PRESETS, STREAMS
from figures.experiments.records import RUN, merged, rank, read, recorded
from figures.experiments.tasks import Model, System, Task, Test, Training
from figures.experiments.training import FIRST, METHOD, Store
from lrc_numba.files import write_json
from lrc_numba.training import Protocol, Stage

ROWS = ("full", "short")
TASKS = [SimpleNamespace(seed=seed, row=row, column="1", key=f"{row}{seed}") for seed in range(3) for row in ROWS]
PROTOCOLS = [{"rate": 1.0}]


def run_of(seed: int, row: str, stream: str, **more) -> dict:
    about = {"seed": seed, "row": row, "column": "1", "stream": stream, "key": f"{row}{seed}", "polish": 0}
    return about | {"method": METHOD} | more


def record_of(*runs: dict, protocols=PROTOCOLS) -> dict:
    about = {"seeds": sorted({run["seed"] for run in runs}), "protocols": protocols, "expected": 9, "paper": {}}
    return {"runs": list(runs)} | about


def test_what_is_not_made_again_stays():
    """Runs of other seeds and rows; what is made again is new."""
    earlier = record_of(run_of(0, "full", "final"), run_of(0, "short", "development"), run_of(2, "full", "final"))
    new = record_of(run_of(0, "short", "development", polish=7), run_of(1, "full", "development"), protocols=[{}])
    both = merged(new, earlier, TASKS)
    found = [(run["seed"], run["row"], run["polish"]) for run in both["runs"]]
    assert found == [(0, "full", 0), (0, "short", 7), (1, "full", 0), (2, "full", 0)]  # in the order of the table
    assert both["seeds"] == [0, 1, 2]
    assert both["expected"] == 6
    assert both["protocols"] == [{}, *PROTOCOLS]


def test_final_results_give_way_to_final_ones_alone():
    """A training begun anew replaces what was evaluated once it is evaluated itself."""
    earlier = record_of(run_of(0, "full", "final"))
    for stream, kept in (("development", 0), ("final", 7)):
        both = merged(record_of(run_of(0, "full", stream, polish=7)), earlier, TASKS)
        assert [run["polish"] for run in both["runs"]] == [kept]


def test_what_a_table_has_no_more():
    """Rows, and trainings of another system or protocol, are left behind."""
    for run in (run_of(0, "renamed", "final"), run_of(1, "full", "final", key="of others")):
        assert len(merged(record_of(run_of(0, "full", "final")), record_of(run), TASKS)["runs"]) == 1


def _task() -> Task:
    system = System("screened_coulomb", (6,), (2.0,), (1.0,), cell=0.5)
    training = Training(8, Protocol((Stage(4, 2),)), 3)
    return Task(
        "tiny_quick", "full", "1", system, Model("full-range", 1.0, 15), training, 0, tests=(Test("new", system),)
    )


def _longer(task: Task) -> Task:
    return replace(task, training=replace(task.training, polish=task.training.polish + 1))


def _written(folder: Path, *runs: dict, **changes) -> Path:
    """The record of a table "tiny"."""
    path, fields = folder / "tiny_quick.json", dict.fromkeys(RUN, 0) | {"errors": {}, "development": {}}
    write_json(path, record_of(*(fields | run for run in runs)) | {"name": "tiny", "preset": "quick"} | changes)
    return path


def test_done_by_its_record(tmp_path):
    """Of the polish that was evaluated, with the tests that the table has; what is trained anew counts by itself."""
    task, errors = _task(), {"adam": {"new": {"true": [0.5]}}}
    run = run_of(0, "full", "final", key=task.key, polish=3, errors=errors, development={"adam": {}}, final_stream=7)
    store = Store(tmp_path, recorded(_written(tmp_path, run, run_of(1, "full", "development"))))
    assert list(store.recorded) == [(task.key, 3)]
    assert store.result(task)["errors"] == {"adam": {}}
    assert store.result(task, "final") == {"errors": errors, "stream": 7}
    assert store.result(task, "error") is None
    assert store.result(_longer(task)) is None
    assert store.result(replace(task, tests=(Test("others", task.system),))) is None
    store.folder(task).mkdir()
    store.path(task, "result").write_text("{")
    with pytest.raises(SystemExit, match=r"result-3\.json: no JSON"):
        store.result(task)
    write_json(store.path(task, "result"), {"method": METHOD})
    assert store.result(task, "final") is None
    assert recorded(tmp_path / "none.json") == {}
    write_json(tmp_path / "a_b.json", {"name": "a", "preset": "b", "environment": {}, "runs": [{"points": 20}]})
    assert recorded(tmp_path / "a_b.json") == {}  # where nothing is trained


def test_a_polish_by_another_optimiser_is_another(tmp_path):
    """It counts as done neither by a record nor in a folder; without a polish there is no difference."""
    task = _task()
    run = run_of(0, "full", "final", key=task.key, polish=3, method=FIRST)
    store = Store(tmp_path, recorded(_written(tmp_path, run)))
    assert store.result(task) is store.result(task, "final") is None
    alone = replace(task, training=replace(task.training, polish=0))
    for each in (task, alone):
        write_json(store.path(each, "result"), {})  # the first results did not say it
    assert store.result(task) is None
    assert store.result(alone) == {}


def test_final_tests_are_read_once(tmp_path):
    """By a table: not after another polish, and not by a training anew; those of another stream are others."""
    task, now = _task(), STREAMS["final"]
    run = run_of(0, "full", "final", key=task.key, polish=3, final_stream=now)
    store = Store(tmp_path, recorded(_written(tmp_path, run)))
    assert store.evaluated_before(_longer(task))
    assert not store.evaluated_before(task)  # it is done
    for other in (replace(task, seed=1), replace(_longer(task), figure="another_quick")):
        assert not store.evaluated_before(other)
    store.folder(task).mkdir()
    for each in (task, _longer(task)):
        write_json(store.path(each, "result"), {"method": METHOD})
        with pytest.raises(SystemExit, match="a second evaluation would be one to choose by"):
            final([each], store)
    other = Store(tmp_path, recorded(_written(tmp_path, run | {"final_stream": now - 1})))
    assert not other.evaluated_before(task)
    former = {"errors": {}, "stream": now - 1, "table": task.figure}
    write_json(store.path(task, "final"), former)
    assert other.result(task, "final") is None
    assert not other.evaluated_before(_longer(task))
    write_json(store.path(task, "final"), former | {"stream": now})
    assert not other.evaluated_before(task)
    assert other.evaluated_before(_longer(task))
    write_json(store.path(_longer(task), "final"), former | {"stream": now, "table": "another_quick"})
    final([task, _longer(task)], other)  # both are done: two tables share them


def test_records_of_former_tests(tmp_path, capsys):
    """They stay what they are when they are recorded again, and give way to those of the present tests."""
    task, now = _task(), STREAMS["final"]
    errors = {"adam": {"new": {"true": [0.5]}}}
    former = run_of(0, "full", "final", key=task.key, polish=3, errors=errors)
    store = Store(tmp_path, recorded(_written(tmp_path, former)))
    assert store.result(task, "final")["stream"] == FORMER[0]
    final([task], store)
    assert f"recorded on the tests {FORMER[0]}" in capsys.readouterr().out
    assert [rank(former | more) for more in ({}, {"final_stream": now}, {"stream": "development"})] == [1, 2, 0]
    tasks = [SimpleNamespace(seed=0, row="full", column="1", key=task.key)]
    for one, two in ((former, former | {"final_stream": now}), (former | {"final_stream": now}, former)):
        (kept,) = merged(record_of(one), record_of(two), tasks)["runs"]
        assert kept["final_stream"] == now
    made = Figure(
        "tiny", "", print, lambda _: [Column("full", "1", task.system, task.model, task.training, task.tests)]
    )
    kept = ("sources", "parameters", "training_error")
    recorded_ = recorded(_written(tmp_path, former | dict.fromkeys(kept, 0)))
    preset = replace(PRESETS["quick"], polish=3)
    (run,) = made.collect(preset, (0,), Store(tmp_path, recorded_))["runs"]
    assert (run["final_stream"], run["errors"]) == (FORMER[0], errors)


def test_tables_that_share_a_training(tmp_path, monkeypatch):
    """What says more is taken, whichever table comes first."""
    run = run_of(0, "full", "final", key="same", polish=3)
    for number, stream in enumerate((FORMER[0], STREAMS["final"], FORMER[-1])):
        path = _written(tmp_path, run | {"final_stream": stream}, name=("table4", "table5", "table2")[number])
        path.rename(tmp_path / f"{('table4', 'table5', 'table2')[number]}_quick.json")
    store = command._store(("table4", "table5", "table2"), None, tmp_path, tmp_path)
    assert store.recorded["same", 3]["final_stream"] == STREAMS["final"]


NAMED = '{"name": "wrong", "preset": "file", "environment": {}, "runs": %s}'


@pytest.mark.parametrize(
    "text", [b"{", b"[]", b"{}", *((NAMED % runs).encode() for runs in ("3", "[1]", "[]")), b"\xff"]
)
def test_files_that_are_no_records(tmp_path, text):
    """They are named, and what is wrong."""
    (tmp_path / "wrong_file.json").write_bytes(text)
    with pytest.raises(SystemExit, match=r"wrong_file\.json: (no JSON|.*with a list of runs)"):
        recorded(tmp_path / "wrong_file.json")


def test_records_of_something_else(tmp_path):
    """Of another table or preset, or without what a page needs."""
    assert read(_written(tmp_path, run_of(0, "full", "final")))["name"] == "tiny"
    with pytest.raises(SystemExit, match="expected the record that its name says, got that of other, preset quick"):
        read(_written(tmp_path, run_of(0, "full", "final"), name="other"))
    with pytest.raises(SystemExit, match="found no column, curves, environment, errors"):
        read(_written(tmp_path, run_of(0, "full", "final"), runs=[{"row": ""}]))
    record = read(_written(tmp_path, run_of(0, "full", "final")))
    del record["paper"]
    write_json(tmp_path / "tiny_quick.json", record)
    with pytest.raises(SystemExit, match="found no paper"):
        read(tmp_path / "tiny_quick.json")


def test_versions_that_worked_in_a_folder(tmp_path):
    """All of them, each once; what was not noted is "earlier"."""
    assert training._versions(tmp_path) == []
    training._worked(tmp_path, ["a"])
    training._worked(tmp_path, ["b", "a"])
    assert training._versions(tmp_path) == ["a", "b"]
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "adam.npz").touch()
    assert training._versions(tmp_path / "old") == ["earlier"]
    (tmp_path / "old" / "adam.npz").rename(tmp_path / "old" / "levenberg-20.npz")
    training._worked(tmp_path / "old", ["c"])
    assert training._versions(tmp_path / "old") == ["earlier", "c"]
    write_json(tmp_path / "noted" / "result-3.json", {"sources": "a+b"})
    training._worked(tmp_path / "noted", ["c"])
    assert training._versions(tmp_path / "noted") == ["a", "b", "c"]


def test_folders_are_looked_at_first(tmp_path):
    """Before hours of training for a place where nothing can be kept."""
    (tmp_path / "file").touch()
    as_folders(tmp_path / "new" / "one", tmp_path)
    assert (tmp_path / "new" / "one").is_dir()
    with pytest.raises(SystemExit, match="file: no folder can be made there"):
        as_folders(tmp_path, tmp_path / "file")


def test_failed_trainings_end_with_an_error(tmp_path, monkeypatch, capsys):
    """After what there is has been shown."""
    shown = []
    monkeypatch.setattr(Figure, "show", lambda self, *_, **__: shown.append(self.name))
    monkeypatch.setattr("sys.argv", ["table1", "--folder", str(tmp_path), "--results", str(tmp_path)])
    for whole in (True, False):
        monkeypatch.setattr("figures.experiments.figure.work", lambda *_, whole=whole: whole)
        if whole:
            command.figure_of("table1").main()
        else:
            with pytest.raises(SystemExit, match="table1: some trainings failed"):
                command.figure_of("table1").main()
    assert shown == ["table1", "table1"]


def test_a_worker_trains_alone(tmp_path, monkeypatch, capsys):
    """It would do so instead of what was asked for."""
    monkeypatch.setattr(command, "work", lambda *_, **__: True)
    for way in ("--final", "--plot-only"):
        folders = ["--folder", str(tmp_path / "runs"), "--results", str(tmp_path / "results")]
        monkeypatch.setattr("sys.argv", ["figures", "--worker", way, *folders])
        with pytest.raises(SystemExit):
            command.main("")
        assert "--worker trains" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("seeds", ["x", "0,0", "-1", "0,,1", "", "100000"])
@pytest.mark.parametrize("script", ["figures", "figures.fig3"])
def test_seeds_that_are_none(script, seeds, monkeypatch, capsys):
    """Twice the same one would look like two."""
    monkeypatch.setattr("sys.argv", [script, f"--seeds={seeds}"])
    with pytest.raises(SystemExit):
        command.main("") if script == "figures" else command.figure_of("fig3").main()
    assert "expected different numbers from 0 to 99999, as 0,1,2" in capsys.readouterr().err
