"""Training: the schedule, the same numbers after a pause, and what it refuses."""

from __future__ import annotations

import json

import numpy as np
import pytest
from runs import SHORT, trainer

from lrc_numba.training import PAPER, Adam, Progress, Protocol, Stage, Trainer, TrainingError, force_error


def test_rates_of_the_paper():
    """Both readings: eighty decays by steps, one more because small last batches count as steps here; or by epochs."""
    steps = PAPER.total_steps(1000)
    assert PAPER.rate_at(steps - 1, 2999, 1000) == pytest.approx(1.65e-5, rel=0.06)
    assert PAPER.rate_at(0, 0, 1000) == 1e-3
    assert PAPER.rate_at(20, 0, 15) == pytest.approx(1e-3 * 0.95**2)  # ⌊15/8⌋ = 1 step of the first stage is an epoch
    by_epochs = Protocol(PAPER.stages, counting="epochs")
    assert by_epochs.rate_at(5, 99, 1000) == pytest.approx(1e-3 * 0.95**9)
    by_stages = Protocol(PAPER.stages, counting="stages")
    for epoch, decays in ((0, 0), (199, 19), (200, 0), (599, 39), (600, 0), (1400, 0), (2999, 159)):
        assert by_stages.rate_at(5, epoch, 1000) == pytest.approx(1e-3 * 0.95**decays)


@pytest.mark.parametrize("counting", ["steps", "epochs", "stages"])
def test_rates_of_a_run(counting, tmp_path):
    """What Adam is given in the last step of each epoch, seven snapshots in batches of three and of two."""
    one = trainer(tmp_path, Protocol((Stage(3, 4), Stage(2, 5)), every=2, counting=counting))
    plain, given = one.adam.step, []
    one.adam.step = lambda flat, gradient, rate: given.append(rate) or plain(flat, gradient, rate)
    one.run(progress=False)
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [3, 6, 9, 12, 16, 20, 24, 28, 32]
    counts = {"steps": [2, 5, 8, 11, 15, 19, 23, 27, 31], "epochs": range(9), "stages": [0, 1, 2, 3, 0, 1, 2, 3, 4]}
    wanted = [1e-3 * 0.95 ** (count // 2) for count in counts[counting]]
    np.testing.assert_allclose([row["rate"] for row in rows], wanted, rtol=1e-14)
    np.testing.assert_allclose([given[row["step"] - 1] for row in rows], wanted, rtol=1e-14)


def test_order_of_the_snapshots(tmp_path):
    """Every epoch has each snapshot once, in another order, and another seed in yet another."""
    orders = []
    for seed in (0, 1):
        one = trainer(tmp_path, Protocol((Stage(3, 3), Stage(7, 2))), checkpoint=None, log=None)
        one.seed, seen = seed, []
        flat = np.zeros(one.adam.mean.size)
        one.network.loss = _noting(seen, flat)
        one.run(progress=False)
        orders += np.array(seen).reshape(5, 7).tolist()
    assert all(sorted(order) == sorted(orders[0]) for order in orders)
    assert len({tuple(order) for order in orders}) == 10


def _noting(seen: list, flat: np.ndarray):
    """A loss that notes which snapshots it is of."""

    def loss(structures, weights):
        seen.extend(structures.positions[structures.offsets[:-1], 0])
        return 0.0, flat

    return loss


def test_losses_fall(tmp_path):
    """And the log has a line for each epoch."""
    one = trainer(tmp_path, Protocol((Stage(2, 30),)))
    one.run(progress=False)
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert len(rows) == 30
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert one.finished


@pytest.mark.parametrize("steps", [1, 4, 6])
def test_resume_gives_the_same_numbers(steps, tmp_path):
    """Interrupted anywhere, also inside an epoch, and gone on with by another process's objects."""
    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()
    whole = trainer(tmp_path / "whole")
    whole.run(progress=False)
    trainer(tmp_path / "parts").run(steps, progress=False)
    rest = trainer(tmp_path / "parts")
    assert rest.resume()
    assert rest.step == steps
    rest.run(progress=False)
    np.testing.assert_array_equal(rest.network.parameters.flat, whole.network.parameters.flat)
    logs = [(tmp_path / name / "log.jsonl").read_text() for name in ("whole", "parts")]
    assert logs[0] == logs[1]


@pytest.mark.parametrize(
    "factor", [23.06, 1 + 1e-6, *(pytest.param(factor, marks=pytest.mark.slow) for factor in (2.0, 1e6, -1.0))]
)
@pytest.mark.parametrize("name", ["points", "forces", "energies"])
def test_scaled_data_are_other_data(name, factor, tmp_path):
    """Also where all numbers differ by one factor, as in another unit; one number alone counts as well."""
    energies = np.arange(1.0, 8.0)
    one = trainer(tmp_path, energies=energies)
    one.run(1, progress=False)
    data = {"points": one.points, "forces": one.forces, "energies": energies}
    single = data[name].copy()
    single.flat[5] *= factor
    for changed in (data[name] * factor, single, data[name][::-1]):
        given = data | {name: changed}
        same = Trainer(one.network, protocol=SHORT, checkpoint=one.checkpoint, **given)
        with pytest.raises(ValueError, match=r"of a run with other data; nothing was changed"):
            same.resume()
    rounded = {
        key: value * (1 + 1e-13 * np.sin(np.arange(value.size)).reshape(value.shape)) for key, value in data.items()
    }
    assert Trainer(one.network, protocol=SHORT, checkpoint=one.checkpoint, **rounded).resume()


def test_nothing_is_overwritten(tmp_path):
    """A new run beside an old checkpoint or log is refused; one that fails at once leaves none."""
    trainer(tmp_path).run(3, progress=False)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(FileExistsError, match=r"state\.npz is there; resume\(\)"):
        trainer(tmp_path).run(progress=False)
    with pytest.raises(FileExistsError, match=r"log\.jsonl is there; resume\(\)"):
        trainer(tmp_path, checkpoint=None).run(progress=False)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    (tmp_path / "new").mkdir()
    one = trainer(tmp_path / "new")
    one.points[3, 1] = one.points[3, 0]
    with pytest.raises(TrainingError, match=r"no two of them in one place, got 0 and 1 of structure . .*batch 0"):
        Trainer(one.network, one.points[3:4], one.forces[3:4], SHORT, checkpoint=one.checkpoint).run(progress=False)
    assert not list((tmp_path / "new").iterdir())


def test_energies_of_the_batch(tmp_path):
    """The first step with energies is a step by the gradient of those snapshots, and other energies another run."""
    energies = np.arange(7.0)
    one = trainer(tmp_path, energies=energies, energy_weight=0.3)
    chosen = np.random.default_rng([0, 0, 0]).permutation(7)[:3]
    network = trainer(tmp_path).network
    _, gradient = network.loss_gradient(one.points[chosen], one.forces[chosen], energies[chosen], 0.3)
    Adam(gradient.size).step(network.parameters.flat, gradient, 1e-3)
    one.run(1, progress=False)
    np.testing.assert_array_equal(one.network.parameters.flat, network.parameters.flat)
    moved = {"energies": energies + 1.0, "energy_weight": 0.3}
    for other, what in (({}, "weights, data"), (moved, "data"), ({"energies": energies}, "weights")):
        with pytest.raises(ValueError, match=f"of a run with other {what}; nothing was changed"):
            trainer(tmp_path, **other).resume()


def test_logged_losses_are_means_over_snapshots(tmp_path, monkeypatch):
    """Also where the last batch is smaller: seven snapshots in batches of three."""
    one = trainer(tmp_path)
    losses = iter([1.0, 2.0, 10.0, *[0.0] * 20])
    flat = np.zeros(one.adam.mean.size)
    monkeypatch.setattr(one.network, "loss", lambda *_: (next(losses), flat))
    one.run(progress=False)
    first = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[0])
    assert first == {"step": 3, "stage": 1, "epoch": 0, "loss": pytest.approx((3 + 6 + 10) / 7), "rate": 1e-3}


@pytest.mark.parametrize("part", [0, 1])
def test_no_number_stops_with_the_last_good_state(part, tmp_path, monkeypatch):
    """A loss or a gradient that is NaN says where, and the checkpoint is of the last step with a number."""
    one = trainer(tmp_path, save_every=0.0)
    plain = one.network.loss

    def broken(*arguments):
        found = list(plain(*arguments))
        found[part] *= np.nan if one.step == 2 else 1.0
        return found

    monkeypatch.setattr(one.network, "loss", broken)
    with pytest.raises(TrainingError, match="step 2, stage 1, epoch 0, batch 2"):
        one.run(progress=False)
    again = trainer(tmp_path)
    assert again.resume()
    assert again.step == 1


def test_a_run_that_diverges(tmp_path):
    """Its parameters are not kept; those from before the step that led there are."""
    protocol = Protocol((Stage(4, 20),), rate=1e308)
    one = trainer(tmp_path, protocol, save_every=0.0)
    start = one.network.parameters.flat.copy()
    with pytest.raises(TrainingError, match=r"at step 1, stage 1, epoch 0, batch 1"), np.errstate(all="ignore"):
        one.run(progress=False)
    again = trainer(tmp_path, protocol)
    assert again.resume()
    np.testing.assert_array_equal(again.network.parameters.flat, start)
    with pytest.raises(TrainingError, match=r"at step 1, stage 1"), np.errstate(all="ignore"):
        again.run(progress=False)


def test_wrong_checkpoints(tmp_path):
    """Damaged, of another run or of networks that meant something else: an error, and nothing is changed."""
    trainer(tmp_path).run(2, progress=False)
    other = trainer(tmp_path, seed=1)
    before = other.network.parameters.flat.copy()
    same = trainer(tmp_path)
    moved = Trainer(same.network, same.points, same.forces + 1.0, SHORT, checkpoint=same.checkpoint)
    with pytest.raises(ValueError, match=r"checkpoint: .* is of a run with other data; nothing was changed"):
        moved.resume()
    for change in ({"seed": 1}, {"protocol": Protocol((Stage(3, 2), Stage(5, 3)))}):
        given = {"protocol": SHORT, "checkpoint": same.checkpoint} | change
        with pytest.raises(ValueError, match=f"checkpoint: .* is of a run with other {next(iter(change))}"):
            Trainer(same.network, same.points, same.forces, **given).resume()
    state = tmp_path / "state.npz"
    with np.load(state) as file:
        arrays = dict(file)
    whole, header = state.read_bytes(), json.loads(str(arrays["header"]))
    header["identity"]["networks"] -= 1
    np.savez(state, **(arrays | {"header": np.array(json.dumps(header))}))
    with pytest.raises(ValueError, match="of a run with other networks"):
        same.resume()
    header["version"] = 2
    np.savez(state, **(arrays | {"header": np.array(json.dumps(header))}))
    with pytest.raises(ValueError, match=r"checkpoint: expected version 5 in .*, got 2; nothing was changed"):
        same.resume()
    state.write_bytes(whole)
    digits = Trainer(same.network, same.points, same.forces * (1 + 1e-12), SHORT, checkpoint=same.checkpoint)
    assert digits.resume()
    state.write_bytes(state.read_bytes()[:100])
    with pytest.raises(ValueError, match=r"checkpoint: .* is damaged"):
        other.resume()
    np.testing.assert_array_equal(other.network.parameters.flat, before)
    assert (other.progress, other.adam.steps) == (Progress(), 0)


def test_wrong_data(tmp_path):
    """Points or forces of another shape or dtype, or that are no numbers, before the first step."""
    one = trainer(tmp_path)
    cases = (
        (one.points, one.forces[:, :4], "forces: expected the shape"),
        (one.points, one.forces * np.nan, "forces: .* nan"),
        (one.points * np.nan, one.forces, "points: .* nan"),
        (one.points[0], one.forces[0], r"points: expected snapshots \(B, N, d\)"),
        (one.points[:0], one.forces[:0], "points: expected at least one snapshot"),
    )
    for points, forces, message in cases:
        with pytest.raises(ValueError, match=message):
            Trainer(one.network, points, forces, SHORT)
    with pytest.raises(ValueError, match="weight: expected a finite number"):
        Trainer(one.network, one.points, one.forces, SHORT, energies=np.zeros(7), energy_weight=-1.0)
    with pytest.raises(ValueError, match="rate: expected a number above 0"):
        Protocol(SHORT.stages, rate=float("nan"))
    with pytest.raises(ValueError, match=r"epochs: expected an integer of at least one, got 2\.5"):
        Stage(4, 2.5)


def test_force_error():
    """Over the true forces and over the predicted ones."""
    found = force_error(np.array([[2.0]]), np.array([[1.0]]))
    assert found == {"true": 1.0, "predicted": 0.5}
    assert force_error(np.array([[0.0]]), np.array([[1.0]])) == {"true": 1.0, "predicted": np.inf}
    with pytest.raises(ValueError, match="forces: expected two of one shape"):
        force_error(np.ones((2, 1)), np.ones(2))


def test_checkpoint_and_log_are_two_files(tmp_path):
    """One would overwrite the other."""
    with pytest.raises(ValueError, match="log: expected another file than the checkpoint"):
        trainer(tmp_path, log=tmp_path / "state.npz")
