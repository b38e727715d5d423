"""What the scripts that learn share: a run goes on where it was interrupted, and anew where anything has changed."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import replace

import numpy as np
import pytest
from drawn_structures import SPECIES, make_structures

from lrc_numba.networks import LossWeights, MessagePassingNetwork
from lrc_numba.training import Trainer
from validation.tools import learning

RECIPE = learning.Recipe(steps=6, batch=2, rate=1e-3, weights=LossWeights(energy=1.0))


def make(seed: int, far: bool) -> MessagePassingNetwork:
    return MessagePassingNetwork(SPECIES, 1.5, channels=8, rounds=1, long_range=2 if far else 0, seed=seed)


def test_changed_sources_begin_anew(tmp_path, monkeypatch):
    """A run that was interrupted goes on with its steps; of other sources or another recipe nothing is taken over."""
    structures = make_structures(3, (3, 4, 2, 3), periodic=False, seed=1)
    rng = np.random.default_rng(0)
    data = replace(structures, energies=rng.standard_normal(4), forces=rng.standard_normal(structures.positions.shape))
    args = Namespace(plot_only=False, quick=False, seeds=[0], output=tmp_path)
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
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "changed.py").write_text("MEANING = 2")
    monkeypatch.setattr(learning.lrc_numba, "__file__", str(tmp_path / "package" / "__init__.py"))
    runs(RECIPE)
    assert begun == [0, 2, 0, 0, 0, 0, 0]
    assert [(run["seed"], run["long_range"]) for run in finished] == [(0, False), (0, True)]
    assert learning.as_lines(finished, ["error"], scale=10.0, digits=1)[0][:2] == ["without", "10.0"]
