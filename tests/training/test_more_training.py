"""Trainings beyond the paper's: structures, validation, schedules, frozen parameters, L-BFGS, two scales."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from runs import MIXED as SHORT
from runs import molecules, network

from lrc_numba.geometry.structures import Structures
from lrc_numba.networks import FullRangeNetwork, LossWeights, ShortRangeNetwork
from lrc_numba.training import Protocol, Stage, Trainer, TrainingError, polish, train_two_scales


@pytest.mark.parametrize(
    "weights", [LossWeights(1.0, 0.0), LossWeights(0.0, 1.0), LossWeights(1.0, 0.1, per_point=True)]
)
def test_losses_fall_on_mixed_sizes(weights):
    """Energies alone, forces alone, both."""
    made, data = network(), molecules()
    before = made.loss_alone(data, weights)
    Trainer(made, data, protocol=Protocol((Stage(3, 40),), rate=5e-3), weights=weights).run(progress=False)
    assert made.loss_alone(data, weights) < 0.6 * before


def test_resume_is_exact(tmp_path):
    """With structures, validation and shortened gradients, bit for bit."""
    options = {
        "weights": LossWeights(1.0, 0.1),
        "validation": molecules(3, 1),
        "largest_gradient": 0.5,
        "protocol": SHORT,
    }
    whole = Trainer(network(), molecules(), **options)
    whole.run(progress=False)
    for steps in (3, 5, None):
        part = Trainer(network(), molecules(), checkpoint=tmp_path / "state.npz", **options)
        part.resume()
        part.run(steps, progress=False)
    np.testing.assert_array_equal(part.network.parameters.flat, whole.network.parameters.flat)
    changed = Trainer(
        network(), molecules(), checkpoint=tmp_path / "state.npz", **(options | {"validation": molecules(3, 2)})
    )
    with pytest.raises(ValueError, match="of a run with other data"):
        changed.resume()


def test_what_makes_data_other_data(tmp_path):
    """Also which axes are periodic, where structures begin, and species: the very numbers, of however many points."""
    rng = np.random.default_rng(0)
    points, forces = rng.random((2, 6, 1)) * 3, rng.standard_normal((2, 6, 1))
    data = Structures.from_arrays(points, 3.0, forces=forces, species=np.arange(12).reshape(2, 6))
    made, path = ShortRangeNetwork(3.0, 1.0, dim=1), tmp_path / "state.npz"
    Trainer(made, data, protocol=SHORT, checkpoint=path).run(1, progress=False)
    species = data.species.copy()
    species[3] += 1
    changes = {"periodic": ~data.periodic, "offsets": np.array([0, 5, 12]), "species": species}
    for changed in (replace(data, **{name: array}) for name, array in changes.items()):
        with pytest.raises(ValueError, match="of a run with other data; nothing was changed"):
            Trainer(made, changed, protocol=SHORT, checkpoint=path).resume()
    assert Trainer(made, data, protocol=SHORT, checkpoint=path).resume()


def test_a_single_energy_among_large_ones(tmp_path):
    """Half a meV in one of many energies near −29,000 eV is other data; the last digits of all are not."""
    rng = np.random.default_rng(0)
    points, made = rng.random((1000, 2, 1)) * 3, ShortRangeNetwork(3.0, 1.0, dim=1)

    def trainer(energies: np.ndarray) -> Trainer:
        data = Structures.from_arrays(points, 3.0, energies=energies)
        weights = LossWeights(energy=1.0, forces=0.0)
        return Trainer(made, data, protocol=SHORT, weights=weights, checkpoint=tmp_path / "state.npz")

    energies = -29_000 + rng.standard_normal(1000)
    trainer(energies).save()
    changed = energies.copy()
    changed[117] += 5e-4
    for other in (changed, energies + 5e-4):
        with pytest.raises(ValueError, match="of a run with other data; nothing was changed"):
            trainer(other).resume()
    assert trainer(energies * (1 + 1e-14 * rng.standard_normal(1000))).resume()


def test_settings_that_change_between_making_and_going_on(tmp_path):
    """A trainer is of the network as it is when it runs or resumes, not as it was when the trainer was made."""
    data, weights = molecules(), LossWeights(1.0, 0.1)

    def trainer(fitted_before: bool) -> Trainer:
        made = network()
        if fitted_before:
            made.fit_references(data)
        return Trainer(made, data, protocol=SHORT, weights=weights, checkpoint=tmp_path / "state.npz")

    first = trainer(fitted_before=False)
    first.network.fit_references(data)
    first.run(1, progress=False)
    unfitted = trainer(fitted_before=False)
    with pytest.raises(ValueError, match="of a run with other network; nothing was changed"):
        unfitted.resume()
    unfitted.network.fit_references(data)
    assert unfitted.resume()
    assert trainer(fitted_before=True).resume()
    unfitted.network.references.energies = unfitted.network.references.energies + 1.0
    with pytest.raises(ValueError, match="of a run with other network"):
        unfitted.run(1, progress=False)
    assert trainer(fitted_before=True).resume()


def test_the_best_parameters_are_kept(tmp_path):
    """They are those of the smallest loss on the validation data, and training ends when it gets no better."""
    log, held = tmp_path / "log.jsonl", molecules(3, 1)
    weights = LossWeights(1.0, 0.1)
    options = {"weights": weights, "validation": held, "patience": 4, "log": log}
    protocol = Protocol((Stage(7, 400),), rate=2e-2)
    trainer = Trainer(network(), molecules(), protocol=protocol, **options, checkpoint=tmp_path / "state.npz")
    trainer.run(progress=False)
    losses = [json.loads(line)["validation"] for line in log.read_text().splitlines()]
    assert len(losses) == int(np.argmin(losses)) + 1 + 4 < 400
    assert trainer.network.loss_alone(held, weights) == min(losses)
    assert trainer.finished
    again = Trainer(network(), molecules(), protocol=trainer.protocol, **options, checkpoint=tmp_path / "state.npz")
    assert again.resume()
    assert again.finished
    np.testing.assert_array_equal(again.network.parameters.flat, trainer.network.parameters.flat)


def test_frozen_parameters_stay():
    """Their beginnings name them; the others move."""
    made = network()
    before = made.parameters.flat.copy()
    Trainer(made, molecules(), protocol=SHORT, frozen=("embedding", "send")).run(progress=False)
    moved = made.parameters.flat != before
    for name in made.parameters:
        begin = made.parameters.offsets[name]
        part = moved[begin : begin + made.parameters[name].size]
        assert not part.any() if name.startswith(("embedding", "send")) else part.any()
    with pytest.raises(ValueError, match="frozen: expected beginnings of"):
        Trainer(made, molecules(), protocol=SHORT, frozen=("nothing",))


def test_schedules():
    """A cosine ends at its last share, a cycle rises to the rate first, a warm-up starts small."""
    steps = 100
    for schedule in ("cosine", "one-cycle"):
        protocol = Protocol((Stage(1, steps),), rate=2.0, schedule=schedule, last=0.01, warmup=0)
        rates = [protocol.rate_at(step, step, 1) for step in range(steps + 1)]
        assert rates[-1] == pytest.approx(0.02)
        assert max(rates) == pytest.approx(2.0, rel=2e-3)
        assert int(np.argmax(rates)) == (0 if schedule == "cosine" else 30)
    protocol = Protocol((Stage(1, steps),), rate=1.0, warmup=10, decay=1.0)
    assert [protocol.rate_at(step, 0, 1) for step in (0, 4, 9, 50)] == pytest.approx([0.1, 0.5, 1.0, 1.0])
    for wrong in ({"schedule": "none"}, {"warmup": -1}, {"last": 2.0}):
        with pytest.raises(ValueError, match="expected"):
            Protocol((Stage(1, 1),), **wrong)


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"warmup": 2.5}, ValueError, r"warmup: expected an integer of at least zero, got 2\.5"),
        ({"every": 1.5}, ValueError, r"every: expected an integer of at least one, got 1\.5"),
        ({"rate": "a"}, TypeError, "rate: expected a number, got str"),
        ({"rate": np.inf}, ValueError, "rate: expected a number above 0"),
        ({"decay": "a"}, TypeError, "decay: expected a number, got str"),
        ({"decay": 1.5}, ValueError, "decay: expected a number above 0 and up to 1"),
        ({"last": np.nan}, ValueError, "last: expected a finite number"),
        ({"counting": "days"}, ValueError, "counting: expected one of 'steps', 'epochs', 'stages', got 'days'"),
    ],
)
def test_protocols_that_are_none(wrong, error, message):
    """Found when they are made, and by name."""
    with pytest.raises(error, match=message):
        Protocol((Stage(1, 1),), **wrong)


@pytest.mark.parametrize(("wrong", "error"), [("a", TypeError), (np.nan, ValueError), (-1.0, ValueError)])
def test_seconds_between_checkpoints(wrong, error):
    """What is no time is found when the trainer is made; a time that never comes is one."""
    with pytest.raises(error, match="save_every: expected"):
        Trainer(network(), molecules(), protocol=SHORT, save_every=wrong)
    Trainer(network(), molecules(), protocol=SHORT, save_every=np.inf)


def test_polish_goes_further():
    """L-BFGS finds a smaller loss than it began with, and the network has the best parameters seen."""
    made, data, weights = network(), molecules(), LossWeights(1.0, 0.0)
    made.fit_references(data)
    found = polish(made, data, weights, iterations=30, progress=False)
    assert found.after < 0.5 * found.before
    assert made.loss_alone(data, weights) == pytest.approx(found.after)


def test_polish_leaves_frozen_parameters_alone():
    """Their bits stay, others move; names that are none, and nothing to change, are refused as by the trainer."""
    made, data, weights = network(), molecules(), LossWeights(1.0, 0.0)
    before = {name: view.copy() for name, view in made.parameters.items()}
    held = {name for name in before if name.startswith(("mix0", "energy.weight0"))}
    polished = polish(made, data, weights, iterations=5, progress=False, frozen=("mix0", "energy.weight0"))
    assert polished.after < polished.before
    moved = {name for name, view in made.parameters.items() if not np.array_equal(view, before[name])}
    assert held
    assert moved
    assert not held & moved
    with pytest.raises(TypeError, match="frozen: expected a tuple of names, got 'mix0'"):
        polish(made, data, weights, frozen="mix0")
    with pytest.raises(ValueError, match=r"frozen: expected beginnings of \[.*, got 'near'"):
        polish(made, data, weights, frozen=("near",))
    with pytest.raises(ValueError, match="frozen: expected some parameters to be left"):
        polish(made, data, weights, frozen=("",))


def test_two_scales(tmp_path):
    """Small boxes teach the neighbours, large ones the rest; the functions of pairs then stay as they are."""
    rng = np.random.default_rng(0)
    made = FullRangeNetwork(3.0, 1.0, 15, dim=1)

    def structures(times: int, count: int) -> Structures:
        points = (np.arange(6 * times)[:, None] + 0.3 * rng.random((count, 6 * times, 1))) * 0.5
        return Structures.from_arrays(points, 3.0 * times, forces=rng.standard_normal(points.shape))

    small, large = structures(1, 6), structures(3, 2)
    made.set_scales(small)
    protocol = Protocol((Stage(2, 2),))
    first, second = train_two_scales(made, (small, protocol), (large, protocol), folder=tmp_path, progress=False)
    assert first.finished
    assert second.finished
    again = FullRangeNetwork(3.0, 1.0, 15, dim=1)
    again.set_scales(small)
    Trainer(again, small, protocol=protocol).run(progress=False)
    for name in set(made.parameters) - {"fit.bias6"}:  # forces do not move the zero of the energy
        same = np.array_equal(made.parameters[name], again.parameters[name])
        assert same == name.startswith(("f1", "f2"))


def test_two_scales_of_a_network_without_those_names():
    """Said before anything is trained."""
    made, data = network(), molecules()
    before = made.parameters.flat.copy()
    with pytest.raises(ValueError, match="frozen: expected beginnings of"):
        train_two_scales(made, (data, SHORT), (data, SHORT), progress=False, weights=LossWeights(1.0, 0.0))
    np.testing.assert_array_equal(made.parameters.flat, before)


def test_messages_name_structures_by_their_number_among_all():
    """Not by that in the batch."""
    data = molecules(7)
    positions = data.positions.copy()
    positions[data.offsets[5] + 1] = positions[data.offsets[5]]
    with pytest.raises(TrainingError, match="no two of them in one place, got 0 and 1 of structure 5"):
        Trainer(network(), replace(data, positions=positions), protocol=SHORT).run(progress=False)


def test_polish_and_parameters_that_are_refused():
    """To begin with it is an error; along the way a shorter step is tried."""
    made, data, weights = network(), molecules(), LossWeights(1.0, 0.0)
    plain, asked = made.loss, []

    def loss(*arguments):
        asked.append(1)
        if len(asked) == 3:
            raise ValueError("sigma: too small")
        return plain(*arguments)

    made.loss = loss
    found = polish(made, data, weights, iterations=5, progress=False)
    assert found.evaluations > 3
    assert found.message.endswith("1 steps were too long, the last one to sigma: too small")
    made.loss = lambda *_: (np.nan, made.parameters.flat.copy())
    with pytest.raises(ValueError, match="parameters: expected some whose loss is a number to begin with"):
        polish(made, data, weights, progress=False)


@pytest.mark.parametrize(
    ("sigma", "message"),
    [(-0.1, r"far0.sigma = -0.1: SmearedCoulomb: sigma must be positive"), (1e-6, r"far0.sigma = 1e-06: cell: .* GiB")],
)
def test_widths_that_training_led_astray(sigma, message, tmp_path):
    """The error names the parameter, with step and batch; what was saved stays."""
    made, data, weights = network(train_sigma=True), molecules(3), LossWeights(1.0, 0.0)
    data = replace(data, cell=np.tile(9 * np.eye(3), (3, 1, 1)), periodic=np.ones((3, 3), dtype=bool))
    trainer = Trainer(made, data, protocol=SHORT, weights=weights, checkpoint=tmp_path / "state.npz")
    trainer.run(1, progress=False)
    kept = made.parameters.flat.copy()
    made.parameters["far0.sigma"][...] = sigma
    with pytest.raises(TrainingError, match=message + ".* at step 1, stage 1"):
        trainer.run(1, progress=False)
    assert trainer.resume()
    np.testing.assert_array_equal(made.parameters.flat, kept)
    made.parameters["far0.sigma"][...] = sigma
    with pytest.raises((MemoryError, ValueError), match=message):
        polish(made, data, weights, progress=False)


def test_bad_data():
    """Named before any step."""
    made, data = network(), molecules()
    with pytest.raises(ValueError, match=r"stress: expected them for every structure"):
        Trainer(made, data, weights=LossWeights(stress=1.0))
    with pytest.raises(ValueError, match="forces, energies: expected none beside Structures"):
        Trainer(made, data, data.forces)
    with pytest.raises(ValueError, match="validation: expected at least one structure, got none"):
        Trainer(made, data, validation=data[:0])
    with pytest.raises(ValueError, match="structures: expected at least one, got none"):
        made.loss_alone(data[:0], LossWeights())
    with pytest.raises(ValueError, match="structures: expected at least one, got none"):
        made.values(data[:0], "s0")
    with pytest.raises(ValueError, match="patience: expected at least one epoch, and validation data"):
        Trainer(made, data, patience=3)
    with pytest.raises(ValueError, match=r"structures: expected 3 dimension\(s\), got 1"):
        Trainer(made, Structures.from_arrays(np.zeros((2, 1)), 3.0))
    with pytest.raises(TypeError, match="structures: expected Structures, got ndarray"):
        Trainer(made, np.zeros((2, 3, 3)), np.zeros((2, 3, 3)))
    with pytest.raises(ValueError, match="points: expected at least one structure of one point"):
        Trainer(ShortRangeNetwork(5.0, 1.0, dim=3), data[:0])
