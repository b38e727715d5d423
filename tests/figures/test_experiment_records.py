"""Records that outlive trainings: what of an earlier one stays, and what counts as done."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

from figures.experiments.figure import final
from figures.experiments.records import merged, recorded
from figures.experiments.tasks import Model, System, Task, Test, Training
from figures.experiments.training import Store
from lrc_numba.files import write_json
from lrc_numba.training import Protocol, Stage

ROWS = ("full", "short")
TASKS = [SimpleNamespace(seed=seed, row=row, column="1", key=f"{row}{seed}") for seed in range(3) for row in ROWS]
PROTOCOLS = [{"rate": 1.0}]


def run_of(seed: int, row: str, stream: str, **more) -> dict:
    return {"seed": seed, "row": row, "column": "1", "stream": stream, "key": f"{row}{seed}", "polish": 0} | more


def record_of(*runs: dict, protocols=PROTOCOLS) -> dict:
    return {"runs": list(runs), "seeds": sorted({run["seed"] for run in runs}), "protocols": protocols, "expected": 9}


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


def test_done_by_its_record(tmp_path):
    """Of the polish that was evaluated, with the tests that the table has; what is trained anew counts by itself."""
    path, system = tmp_path / "record.json", System("screened_coulomb", (6,), (2.0,), (1.0,), cell=0.5)
    training = Training(8, Protocol((Stage(4, 2),)), 3)
    task = Task("tiny", "full", "1", system, Model("full-range", 1.0, 15), training, 0, tests=(Test("new", system),))
    errors = {"adam": {"new": {"true": [0.5]}}}
    run = run_of(0, "full", "final", key=task.key, polish=3, errors=errors, development={"adam": {}})
    path.write_text(json.dumps(record_of(run, run_of(1, "full", "development"), {"stream": "final", "seed": 5})))
    store = Store(tmp_path, recorded(path))
    assert list(store.recorded) == [(task.key, 3)]
    assert store.result(task)["errors"] == {"adam": {}}
    assert store.result(task, "final")["errors"] == errors
    assert store.result(task, "error") is None
    assert store.result(replace(task, training=replace(training, polish=4))) is None
    assert store.result(replace(task, tests=(Test("others", system),))) is None
    longer = replace(task, training=replace(training, polish=4))
    assert store.evaluated_otherwise(longer)
    assert not store.evaluated_otherwise(task)
    store.folder(task).mkdir()
    store.path(longer, "result").write_text("{}")
    with pytest.raises(SystemExit, match="a second evaluation would be one to choose by"):
        final([longer], store)
    store.path(task, "result").write_text("{}")
    assert store.result(task, "final") is None
    assert recorded(tmp_path / "none.json") == {}
    write_json(tmp_path / "times.json", {"runs": [{"points": 20, "convolution": 1e-3}]})
    assert recorded(tmp_path / "times.json") == {}  # where nothing is trained


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"runs": 3}'])
def test_files_that_are_no_records(tmp_path, text):
    """They are named, and what is wrong."""
    (tmp_path / "wrong.json").write_text(text)
    with pytest.raises(SystemExit, match=r"wrong\.json: (no JSON|expected the record)"):
        recorded(tmp_path / "wrong.json")
