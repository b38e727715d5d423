"""What the scripts that learn share: a run goes on where it was interrupted, and anew where anything has changed."""

from __future__ import annotations

import json
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from drawn_structures import SPECIES, make_structures

import lrc_numba
from lrc_numba.geometry.structures import Structures
from lrc_numba.networks import LossWeights, MessagePassingNetwork
from lrc_numba.training import Trainer
from validation.tools import learning
from validation.tools.finished import Finished

RECIPE = learning.Recipe(steps=6, batch=2, rate=1e-3, weights=LossWeights(energy=1.0))


def make(seed: int, row: str) -> MessagePassingNetwork:
    return MessagePassingNetwork(SPECIES, 1.5, channels=8, rounds=1, long_range=2 if row == "with" else 0, seed=seed)


def labelled() -> Structures:
    """Molecules with random energies and forces."""
    structures = make_structures(3, (3, 4, 2, 3), periodic=False, seed=1)
    rng = np.random.default_rng(0)
    return replace(structures, energies=rng.standard_normal(4), forces=rng.standard_normal(structures.positions.shape))


def sources(folder: Path, text: str) -> str:
    """A package of one file, as ``__file__`` names it."""
    folder.mkdir(exist_ok=True)
    (folder / "changed.py").write_text(text)
    return str(folder / "__init__.py")


def test_what_a_run_depends_on(tmp_path, monkeypatch):
    """Its key is that of the same network, data, recipe and sources, and changes with each of them."""
    data, key = labelled(), Finished.key
    keys = [key(make(0, "with"), data, RECIPE)]
    assert key(make(0, "with"), labelled(), replace(RECIPE)) == keys[0]
    keys += [key(make(*which), data, RECIPE) for which in ((1, "with"), (0, "without"))]
    fitted = make(0, "with")
    fitted.references.energies = fitted.references.energies + 1.0
    keys.append(key(fitted, data, RECIPE))
    for name in ("positions", "species", "energies", "forces"):
        array = getattr(data, name).copy()
        array.flat[-1] += 1
        keys.append(key(make(0, "with"), replace(data, **{name: array}), RECIPE))
    keys.append(key(make(0, "with"), replace(data, energies=None), RECIPE))
    changes = {"steps": 7, "weights": LossWeights(energy=2.0), "polishing": 1, "pairs": True}
    keys += [key(make(0, "with"), data, replace(RECIPE, **{name: value})) for name, value in changes.items()]
    for text in ("MEANING = 1", "MEANING = 2"):
        monkeypatch.setattr(lrc_numba, "__file__", sources(tmp_path / "package", text))
        keys.append(key(make(0, "with"), data, RECIPE))
    assert len(set(keys)) == len(keys)


def test_files_that_are_refused(tmp_path):
    """A line that was cut off, a record that is not there, and a part that it does not have: the file is named."""
    path = tmp_path / "toy.runs.jsonl"
    finished = Finished(path)
    finished.add("a", {"error": 1.0})
    finished.add("b", {"error": 2.0})
    assert Finished(path).runs == {"a": {"error": 1.0}, "b": {"error": 2.0}}
    whole = path.read_text()
    for line in (whole.splitlines()[1][:-5], "7", '{"run": 1}'):
        path.write_text(whole.splitlines()[0] + "\n" + line)
        with pytest.raises(ValueError, match=r"toy.runs.jsonl: line 2 is no run; without the line .* anew"):
            Finished(path)
    args = Namespace(plot_only=True, output=tmp_path, threads=1)
    with pytest.raises(ValueError, match=r"toy.json is not there: --plot-only shows what was trained before"):
        learning.run_seeds(make, None, RECIPE, dict, args, "toy part")
    (tmp_path / "toy.json").write_text(json.dumps({"runs": {"part": [1], "other": [2]}}))
    assert learning.on_file(args, "toy part") == [1]
    with pytest.raises(ValueError, match=r"toy.json: expected runs of 'none', got those of part, other"):
        learning.on_file(args, "toy none")


def test_changed_sources_begin_anew(tmp_path, monkeypatch):
    """A run that was interrupted goes on with its steps; of other sources or another recipe nothing is taken over."""
    data, args = labelled(), Namespace(plot_only=False, quick=False, seeds=[0], output=tmp_path)
    begun: list[int] = []

    class Watched(Trainer):
        interrupted = True

        def run(self, *arguments, **options) -> None:
            begun.append(self.step)
            super().run(2 if Watched.interrupted else None, progress=False)
            if Watched.interrupted:
                raise KeyboardInterrupt

    monkeypatch.setattr(learning, "Trainer", Watched)

    def runs(recipe: learning.Recipe) -> list[dict]:
        return learning.run_seeds(make, data, recipe, lambda network: {"error": 1.0}, args, "toy part")

    with pytest.raises(KeyboardInterrupt):
        runs(RECIPE)
    Watched.interrupted = False
    finished = runs(RECIPE)
    assert begun == [0, 2, 0]
    assert runs(RECIPE) == finished
    assert begun == [0, 2, 0]
    runs(replace(RECIPE, rate=2e-3))
    assert begun == [0, 2, 0, 0, 0]
    monkeypatch.setattr(lrc_numba, "__file__", sources(tmp_path / "package", "MEANING = 2"))
    runs(RECIPE)
    assert begun == [0, 2, 0, 0, 0, 0, 0]
    assert [(run["seed"], run["row"]) for run in finished] == [(0, "without"), (0, "with")]
    assert learning.as_lines(finished, ["error"], scale=10.0, digits=1)[0][:2] == ["without", "10.0"]
