"""Records of ``validation.long_range``: what several calls leave, where they leave it, and words that are refused."""

from __future__ import annotations

import json
import sys
from argparse import Namespace

import numpy as np
import pytest
from test_long_range import water

from lrc_numba.networks import LossWeights
from validation import dimers, long_range, point_charges, sn2
from validation.tools import forms
from validation.tools.learning import Recipe, folder_of, learning_arguments
from validation.tools.report_learning import recorded


def system(steps: int = 20, rate: float = 1e-3) -> forms.System:
    """One task; what is measured is a number."""
    task = forms.Task(water(), Recipe(steps, 2, rate, LossWeights(energy=1.0)), lambda network: {})
    columns = {"error": "error (meV)"}
    return forms.System(
        "toy", "Toys", np.array([1, 8]), 4.0, {}, 16, {"all": task}, columns, lambda runs, path: None, usual_steps=20
    )


def options(folder, **own) -> Namespace:
    usual = {"threads": 1, "plot_only": False, "quick": False, "rehearse": False, "steps": None}
    return Namespace(output=folder, **usual | own)


@pytest.fixture
def call(tmp_path, monkeypatch):
    """Calls of ``run`` that train nothing: their runs hold the number of the call."""
    numbers: list[int] = []

    def made(system: forms.System, rows, seeds=(0, 1), **own) -> dict:
        """The record after a call."""
        numbers.append(len(numbers) + 1)
        runs = [
            {"seed": seed, "row": row, "seconds": 1.0, "parameters": 7, "error": float(numbers[-1])}
            for seed in seeds
            for row in rows
        ]
        monkeypatch.setattr(forms, "run_seeds", lambda *given: runs)
        monkeypatch.setattr(sys, "argv", ["long_range.py", "--call", str(numbers[-1])])
        forms.run(system, "forms", rows, options(tmp_path, **own))
        return json.loads((tmp_path / "toy.json").read_text())

    return made


def made(record: dict) -> dict:
    """By which call each run was made."""
    return {(run["row"], run["seed"]): int(run["error"]) for run in record["runs"]["all"]}


def test_a_part_keeps_what_is_on_file(call):
    """Rows and seeds that are not trained again stay, in the order of the table, and it is told of which call."""
    call(system(), ["none", "attention", "convolution"])
    record = call(system(), ["attention"], seeds=(1,))
    whole = {(row, seed): 1 for row in ("none", "attention", "convolution") for seed in (0, 1)}
    assert made(record) == whole | {("attention", 1): 2}
    assert [line[0] for line in record["lines"]] == [forms.NAMES[row] for row in ("none", "attention", "convolution")]
    record = call(system(), ["none"])
    assert made(record) == whole | {("attention", 1): 2, ("none", 0): 3, ("none", 1): 3}
    calls = {entry["command"][-1]: {tuple(pair) for pair in entry["made"]} for entry in record["earlier"]}
    assert calls == {"1": {("attention", 0), ("convolution", 0), ("convolution", 1)}, "2": {("attention", 1)}}
    page = "\n".join(recorded(record))
    assert "`python -m validation.long_range --call 2`" in page
    record = call(system(), ["none", "attention", "convolution"])
    assert set(made(record).values()) == {4}
    assert "earlier" not in record


def test_other_trainings_are_not_kept(call):
    """With other steps, or another recipe, rows are of no use beside each other; a record may tell its steps alone."""
    call(system(), ["none"])
    assert list(made(call(system(steps=30), ["attention"]))) == [("attention", 0), ("attention", 1)]
    assert list(made(call(system(steps=30, rate=2e-3), ["none"]))) == [("none", 0), ("none", 1)]


def test_records_without_recipes(call, tmp_path):
    """As they were written before: their steps count."""
    record = call(system(), ["none"])
    for steps, kept in ((20, True), (30, False)):
        old = {name: value for name, value in record.items() if name != "recipes"}
        (tmp_path / "toy.json").write_text(json.dumps(old | {"steps": {"all": steps}}))
        assert (("none", 0) in made(call(system(), ["attention"]))) == kept


def test_folders(tmp_path):
    """Trainings of another length, and rehearsals, never replace the usual ones."""
    for own, name in (
        ({}, "."),
        ({"steps": 20}, "."),
        ({"steps": 5}, "steps-5"),
        ({"rehearse": True}, "rehearsed"),
        ({"rehearse": True, "steps": 5}, "rehearsed/steps-5"),
    ):
        assert folder_of(options(tmp_path, **own), system().usual_steps) == tmp_path / name


@pytest.mark.parametrize("number", ["0", "-3", "1.5", "many"])
def test_numbers_of_steps_that_are_refused(number, tmp_path, capsys):
    with pytest.raises(SystemExit):
        learning_arguments("toy", "", "").parse_args(["--data", "x", "--output", str(tmp_path), "--steps", number])
    assert f"argument --steps: expected an integer of at least one, got {number}" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["-1"], ["0,x"], ["0", "1.5"]])
def test_seeds_that_are_refused(words, tmp_path, capsys):
    given = ["--data", "x", "--output", str(tmp_path)]
    parser = learning_arguments("toy", "", "")
    assert parser.parse_args([*given, "--seeds", "0,1", "2"]).seeds == [0, 1, 2]
    with pytest.raises(SystemExit):
        parser.parse_args([*given, "--seeds", *words])
    assert f"--seeds: expected integers from 0 on, got {' '.join(words)}" in capsys.readouterr().err


@pytest.mark.parametrize(("compare", "row"), [("potentials", "attention"), ("forms", "charges-exterior")])
def test_rows_of_another_comparison(compare, row, tmp_path, monkeypatch, capsys):
    """Figures have no looks for them."""
    words = ["--data", str(tmp_path / "none"), "--output", str(tmp_path), "--compare", compare, "--model", "none", row]
    monkeypatch.setattr(sys, "argv", ["long_range.py", *words])
    with pytest.raises(SystemExit) as left:
        long_range.main()
    assert left.value.code == 2
    assert f"--model: expected rows of --compare {compare}, none, " in capsys.readouterr().err


def ended(module, monkeypatch, capsys, words: list) -> str:
    """What a script says that ends with a status of 2."""
    monkeypatch.setattr(sys, "argv", [f"{module.__name__}.py", *map(str, words)])
    with pytest.raises(SystemExit) as left:
        module.main()
    assert left.value.code == 2
    return capsys.readouterr().err


def test_data_that_are_something_else(tmp_path, monkeypatch, capsys):
    """Text, a single array, objects, and other arrays, of which some are named."""
    text, single, objects, strange = (tmp_path / name for name in ("README.md", "a.npy", "objects.npz", "strange.npz"))
    text.write_text("# No data")
    np.save(single, np.zeros(3))
    np.savez(objects, reaction_coordinate=np.array([{}, None], dtype=object))
    np.savez(strange, **{f"array{i}": np.zeros(1) for i in range(9)})
    for module in (long_range, sn2, point_charges):
        for path, words in (
            (text, f"--data: {text} is no .npz of numbers"),
            (single, f"--data: {single} is no .npz of numbers"),
            (strange, f"{strange}, got array0, array1, array2, array3, array4, array5 and 3 more"),
        ):
            said = ended(module, monkeypatch, capsys, ["--data", path, "--output", tmp_path])
            assert words in said.replace(f"{strange} with ", f"{strange}, got ")
            assert "pickle" not in said
    for module in (long_range, sn2):
        said = ended(module, monkeypatch, capsys, ["--data", objects, "--output", tmp_path])
        assert "objects.npz is no .npz of numbers" in said


def test_nothing_to_plot(tmp_path, monkeypatch, capsys):
    """A line that names the file."""
    monkeypatch.setattr(long_range, "system_of", lambda args: system())
    modules = {long_range: "toy", dimers: "dimers", sn2: "sn2", point_charges: "point_charges"}
    for module, name in modules.items():
        words = ["--data", tmp_path, "--output", tmp_path, "--plot-only"]
        assert f"{tmp_path / name}.json is not there" in ended(module, monkeypatch, capsys, words)
