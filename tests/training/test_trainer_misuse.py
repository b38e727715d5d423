"""What a trainer says of data and options that would go wrong silently, or after hours."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from runs import MIXED as SHORT
from runs import molecules, network

from lrc_numba.geometry.structures import Structures
from lrc_numba.networks import EnergyNetwork, LossWeights, MessagePassingNetwork, ShortRangeNetwork
from lrc_numba.networks.parts.embedding import Embedding
from lrc_numba.networks.parts.program import Program, Step
from lrc_numba.training import Protocol, Stage, Trainer, TrainingError, polish, train_two_scales


@pytest.mark.parametrize("patience", [pytest.param(None, marks=pytest.mark.slow), 1])
def test_a_validation_loss_that_is_no_number(patience, tmp_path):
    """It names the structure; the log stays JSON, and the network is not put back to where it began."""
    pairs = np.array([[0.0, 0, 0], [2.0, 0, 0]])
    known = {"species": [1, 1], "energies": 0.0, "forces": np.zeros((2, 3))}
    data = Structures.from_arrays(pairs, **known)
    close = Structures.concatenate([data, Structures.from_arrays(pairs * 5e-5, **known)])
    made, log = MessagePassingNetwork([1], 4.0, channels=8, core=1.0, dtype=np.float32), tmp_path / "log.jsonl"
    made.parameters["core.coefficients"][...] = 0.1  # whose powers of the distance overflow in single precision
    start = made.parameters.flat.copy()
    options = {"protocol": Protocol((Stage(1, 3),)), "patience": patience, "log": log}
    trainer = Trainer(made, data, validation=close, **options)
    message = r"loss of structure 1 is .*, in the validation after step 1"
    with np.errstate(all="ignore"), pytest.raises(TrainingError, match=message):
        trainer.run(progress=False)
    assert "NaN" not in log.read_text()
    assert not np.array_equal(made.parameters.flat, start)
    with pytest.raises(TrainingError, match="the epoch up to step 1 did not end; resume, or make another trainer"):
        trainer.run(progress=False)


def own_composition() -> Program:
    """A number for each species."""
    return Program([Step(Embedding("energy", (1, 2), 1), (), "e")], "e")


def test_own_compositions_are_trained(tmp_path):
    """Without settings as well; with a checkpoint the error says what is missing, before anything is done."""
    made, data = EnergyNetwork(own_composition(), cutoff=1.0, dim=3), molecules()
    options = {"protocol": Protocol((Stage(7, 40),), rate=5e-2), "weights": LossWeights(1.0, 0.0)}
    before = made.loss_alone(data, options["weights"])
    Trainer(made, data, log=tmp_path / "log.jsonl", validation=data, **options).run(progress=False)
    assert made.loss_alone(data, options["weights"]) < before
    with pytest.raises(
        NotImplementedError, match=r"to train it with checkpoints, define a subclass with a kind, settings"
    ):
        Trainer(made, data, checkpoint=tmp_path / "state.npz", **options)
    assert [path.name for path in tmp_path.iterdir()] == ["log.jsonl"]

    class Own(EnergyNetwork):
        kind = "of this test"

        def settings(self):
            return {"kind": self.kind}

    parts = [Own(own_composition(), cutoff=1.0, dim=3) for _ in range(2)]
    for steps, own in zip((10, None), parts, strict=True):
        trainer = Trainer(own, data, checkpoint=tmp_path / "state.npz", **options)
        assert trainer.resume() == (steps is None)
        trainer.run(steps, progress=False)
    whole = Own(own_composition(), cutoff=1.0, dim=3)
    Trainer(whole, data, **options).run(progress=False)
    np.testing.assert_array_equal(parts[1].parameters.flat, whole.parameters.flat)


# ---------------------------------------------------------------------- what is found before the first step
def strange(data: Structures) -> Structures:
    """With a species that no network knows in structure 5."""
    species = data.species.copy()
    species[data.offsets[5]] = 9
    return replace(data, species=species)


def with_empty(data: Structures) -> Structures:
    """With a structure without points among the others."""
    return replace(data, offsets=np.insert(data.offsets[:-1], 4, data.offsets[4])[: len(data.offsets)])


def stressed(data: Structures) -> Structures:
    """In cells but for structure 5, all with a stress."""
    cell = np.tile(30 * np.eye(3), (len(data), 1, 1))
    cell[5] = 0
    along = np.ones((len(data), 3), dtype=bool)
    along[5] = False
    return replace(data, cell=cell, periodic=along, stress=np.zeros(cell.shape))


BAD_DATA = {
    "species": (strange, {}, "species: 9 of point 0 of structure 5 is none of the known ones"),
    "empty": (with_empty, {}, "positions: structure 4 has no points, and tells nothing; leave it out"),
    "stress": (stressed, {"weights": LossWeights(stress=1.0)}, "stress: expected a cell, .*, for structure 5"),
    "slab": (
        lambda data: replace(data, periodic=np.arange(len(data))[:, None] == [5, 8, 8]),
        {},
        "periodic: structure 5 is periodic along some axes alone",
    ),
    "no species": (lambda data: replace(data, species=None), {}, "species: expected some of .* got none"),
}


@pytest.mark.parametrize("name", list(BAD_DATA))
def test_bad_data_are_found_before_the_first_step(name, tmp_path):
    """By structure and point, also those for validation, whatever batch they are in; no file is written."""
    spoil, options, message = BAD_DATA[name]
    made, good = network(extent=20.0), molecules()
    if name == "stress":
        along = np.ones((len(good), 3), dtype=bool)
        cell = np.tile(30 * np.eye(3), (len(good), 1, 1))
        good = replace(good, cell=cell, periodic=along, stress=np.zeros(cell.shape))
    options = options | {"protocol": SHORT, "checkpoint": tmp_path / "state.npz"}
    with pytest.raises(ValueError, match=f"^{message}"):
        Trainer(made, spoil(molecules()), **options)
    with pytest.raises(ValueError, match=f"^validation: {message}"):
        Trainer(made, good, validation=spoil(molecules()), **options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {},
            ValueError,
            r"forces: expected them .* weight is 1, got none; .* pass weights=LossWeights\(energy=1, forces=0\)",
        ),
        (
            {"weights": LossWeights(0.5, 1.0)},
            ValueError,
            r"forces: .* pass weights=LossWeights\(energy=0\.5, forces=0\)",
        ),
        ({"weights": LossWeights(0.0, 1.0)}, ValueError, r"forces: .* pass weights=LossWeights\(energy=1, forces=0\)"),
        ({"weights": {"energy": 1.0}}, TypeError, "weights: expected LossWeights, got {'energy': 1.0}"),
        ({"weights": LossWeights(1.0, 0.0), "energy_weight": 2.0}, ValueError, "energy_weight: expected none beside"),
        (
            {"energy_weight": -1.0},
            ValueError,
            r"energy_weight: expected a finite number that is not negative, got -1\.0",
        ),
        ({"energy_weight": "1"}, TypeError, "energy_weight: expected a number, got str"),
        (
            {"weights": LossWeights(1.0, 0.0), "frozen": "energy"},
            TypeError,
            r"frozen: .* got 'energy'; .* \('energy',\)",
        ),
        ({"weights": LossWeights(1.0, 0.0), "patience": 1.5}, ValueError, r"patience: expected an integer .* got 1\.5"),
    ],
)
def test_traps_of_weights_and_options(options, error, message):
    """Energies alone need weights that say so; what is meant otherwise is said, and nothing is ignored."""
    energies_alone = replace(molecules(), forces=None)
    with pytest.raises(error, match=message):
        Trainer(network(), energies_alone, protocol=SHORT, **options)


def test_weights_are_numbers():
    """Named one by one, before anything is computed with them."""
    for wrong, message in (({"energy": "1"}, "energy: .* got str"), ({"per_point": 1}, "per_point: expected True or")):
        with pytest.raises(TypeError, match=message):
            LossWeights(**wrong)
    made, data = network(), molecules(3)
    for ask in (made.loss, made.loss_alone, lambda *given: polish(made, *given, progress=False)):
        with pytest.raises(TypeError, match=r"weights: expected LossWeights, got \{'energy': 1\}"):
            ask(data, {"energy": 1})
    with pytest.raises(ValueError, match="energy_weight: expected none without energies, got 2"):
        Trainer(made, replace(data, energies=None), protocol=SHORT, energy_weight=2.0)
    with pytest.raises(ValueError, match="iterations: expected an integer of at least one, got 0"):
        polish(made, data, LossWeights(), iterations=0)


def test_energies_alone_as_arrays():
    """Arrays of points need no forces where these have no weight."""
    points = np.arange(4.0)[None, :, None] + 0.1 * np.random.default_rng(0).random((3, 4, 1))
    options = {"energies": np.arange(3.0), "protocol": SHORT}
    trainer = Trainer(ShortRangeNetwork(5.0, 1.5, dim=1), points, weights=LossWeights(1.0, 0.0), **options)
    trainer.run(progress=False)
    assert trainer.finished
    with pytest.raises(ValueError, match=r"forces: expected them .*pass weights=LossWeights\(energy=1, forces=0\)"):
        Trainer(ShortRangeNetwork(5.0, 1.5, dim=1), points, **options)


def test_steps_are_counted():
    """No negative or half ones; none is none."""
    trainer = Trainer(network(), molecules(), protocol=SHORT)
    for steps in (-3, 2.5, True):
        with pytest.raises(ValueError, match=r"steps: expected an integer of at least zero"):
            trainer.run(steps, progress=False)
    trainer.run(0, progress=False)
    assert trainer.step == 0


def test_what_a_trainer_was_made_with_is_not_replaced():
    """It would go on with the old weights and data."""
    trainer = Trainer(network(), molecules(), protocol=SHORT)
    changes = {"weights": LossWeights(1.0), "frozen": ("embedding",), "validation": molecules(), "log": "log.jsonl"}
    for name, value in changes.items():
        with pytest.raises(AttributeError, match=f"{name}: Trainer was made with it; make another trainer"):
            setattr(trainer, name, value)


def test_parameters_that_are_better_after_a_polish_are_kept(tmp_path):
    """A finished trainer that runs again compares them with its best ones; worse ones give way to those."""
    data, weights = molecules(), LossWeights(1.0, 0.0)
    options = {"protocol": Protocol((Stage(7, 3),)), "weights": weights, "validation": data, "patience": 9}
    trainer = Trainer(network(), data, checkpoint=tmp_path / "state.npz", **options)
    trainer.run(progress=False)
    flat, first = trainer.network.parameters.flat, trainer.progress.best
    polish(trainer.network, data, weights, iterations=10, progress=False)
    polished = flat.copy()
    trainer.run(progress=False)
    np.testing.assert_array_equal(flat, polished)
    assert trainer.progress.best == trainer.network.loss_alone(data, weights) < first
    again = Trainer(network(), data, checkpoint=tmp_path / "state.npz", **options)
    assert again.resume()
    np.testing.assert_array_equal(again.network.parameters.flat, polished)
    flat += 1.0
    trainer.run(progress=False)
    np.testing.assert_array_equal(flat, polished)


def test_two_scales_have_their_own_validation():
    """Large structures are compared with large ones; one set for both is refused, as is one log."""
    made, data, weights = network(), molecules(), LossWeights(1.0, 0.0)
    small, large = molecules(3, 1), molecules(3, 2)
    options = {"frozen": ("embedding",), "weights": weights, "progress": False}
    for held, patience in (((small, large), 5), ((None, large), 5), ((small, None), 5), (None, None)):
        kept = {"validation": held, "patience": patience}
        first, second = train_two_scales(made, (data, SHORT), (data, SHORT), **kept, **options)
        for trainer, own in zip((first, second), held or (None, None), strict=True):
            assert trainer.validation is own
            assert np.isfinite(trainer.progress.best) == (own is not None)
    with pytest.raises(
        TypeError, match="validation: expected a pair, of small and of large structures, got Structures"
    ):
        train_two_scales(made, (data, SHORT), (data, SHORT), validation=small, **options)
    with pytest.raises(ValueError, match="log: expected none, as one file cannot be of two trainings"):
        train_two_scales(made, (data, SHORT), (data, SHORT), log="log.jsonl", **options)
