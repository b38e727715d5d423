"""Training: the schedule, going on after any end with the same numbers, and what it refuses."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from lrc_numba.nbody import PairPotential, Snapshots
from lrc_numba.networks import Adam, FullRangeNetwork
from lrc_numba.training import PAPER, Protocol, Stage, Trainer, TrainingError, force_error

SHORT = Protocol((Stage(3, 2), Stage(5, 2)))


def trainer(folder, protocol: Protocol = SHORT, seed: int = 0, **options) -> Trainer:
    """A full-range network on seven snapshots of six points."""
    potential = PairPotential("screened_coulomb", (3.0,), (1.0,), (1.0,))
    data = Snapshots.make(potential, 7, (3,), 2, 0.05, seed=1)
    network = FullRangeNetwork(3.0, 1.0, 15, dim=1, seed=seed)
    network.set_scales(data.points)
    files = {"checkpoint": folder / "state.npz", "log": folder / "log.jsonl"}
    return Trainer(network, data.points, data.forces, protocol, seed=seed, **(files | options))


def test_rates_of_the_paper():
    """Both readings: eighty decays by steps, one more because small last batches count as steps here; or by epochs."""
    steps = PAPER.total_steps(1000)
    assert PAPER.rate_at(steps - 1, 2999, 1000) == pytest.approx(1.65e-5, rel=0.06)
    assert PAPER.rate_at(0, 0, 1000) == 1e-3
    by_epochs = Protocol(PAPER.stages, counting="epochs")
    assert by_epochs.rate_at(5, 99, 1000) == pytest.approx(1e-3 * 0.95**9)
    by_stages = Protocol(PAPER.stages, counting="stages")
    for epoch, decays in ((0, 0), (199, 19), (200, 0), (599, 39), (600, 0), (1400, 0), (2999, 159)):
        assert by_stages.rate_at(5, epoch, 1000) == pytest.approx(1e-3 * 0.95**decays)


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


KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_training import trainer
from lrc_numba.training import Protocol, Stage
print("ready", flush=True)
trainer(Path({folder!r}), Protocol((Stage(2, 400),)), save_every=0.0).run(progress=False)
"""


def test_killed_and_resumed(tmp_path):
    """SIGKILL in the middle: what the checkpoint has goes on to the numbers of a run that nobody killed."""
    from pathlib import Path

    (tmp_path / "killed").mkdir()
    (tmp_path / "whole").mkdir()
    code = KILLED.format(tests=str(Path(__file__).parent), folder=str(tmp_path / "killed"))
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "ready"
    while not (tmp_path / "killed" / "state.npz").exists() and process.poll() is None:
        time.sleep(0.01)
    time.sleep(0.3)
    process.send_signal(signal.SIGKILL)
    process.wait()
    protocol = Protocol((Stage(2, 400),))
    rest = trainer(tmp_path / "killed", protocol)
    assert rest.resume()
    assert 0 < rest.step < protocol.total_steps(7)
    end = rest.step + 5
    rest.run(5, progress=False)
    whole = trainer(tmp_path / "whole", protocol)
    whole.run(end, progress=False)
    np.testing.assert_array_equal(rest.network.parameters.flat, whole.network.parameters.flat)


def test_interrupt_leaves_a_checkpoint(tmp_path, monkeypatch):
    """Ctrl-C in a step: the checkpoint is of the step before."""
    one = trainer(tmp_path)
    plain = one.network.loss_gradient

    def interrupted(*arguments):
        if one.step == 3:
            raise KeyboardInterrupt
        return plain(*arguments)

    monkeypatch.setattr(one.network, "loss_gradient", interrupted)
    with pytest.raises(KeyboardInterrupt):
        one.run(progress=False)
    again = trainer(tmp_path)
    assert again.resume()
    assert again.step == 3


@pytest.fixture
def interruptible():
    """Python's own handler of SIGINT, which a process in the background may not have."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_interrupts_take_effect_between_steps(tmp_path, monkeypatch, interruptible):
    """SIGINT in the middle of a step: the step is finished, and the checkpoint goes on to the usual numbers."""
    (tmp_path / "whole").mkdir()
    whole = trainer(tmp_path / "whole")
    whole.run(progress=False)
    one = trainer(tmp_path)
    plain = one.adam.step

    def interrupted(*arguments):
        if one.step == 2:
            signal.raise_signal(signal.SIGINT)
        plain(*arguments)

    monkeypatch.setattr(one.adam, "step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        one.run(progress=False)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    rest = trainer(tmp_path)
    assert rest.resume()
    assert (rest.step, rest.adam.steps) == (3, 3)
    rest.run(progress=False)
    np.testing.assert_array_equal(rest.network.parameters.flat, whole.network.parameters.flat)


@pytest.mark.parametrize(("where", "after"), [("step", 2), ("_end_epoch", 3)])
def test_half_a_step_is_not_kept(where, after, tmp_path, monkeypatch):
    """What ends a run between Adam's moments and the counters leaves the checkpoint of the step before."""
    one = trainer(tmp_path, save_every=0.0)
    owner = one.adam if where == "step" else one
    plain = getattr(owner, where)

    def broken(*arguments):
        plain(*arguments)
        if one.step == after:
            raise KeyboardInterrupt

    monkeypatch.setattr(owner, where, broken)
    with pytest.raises(KeyboardInterrupt):
        one.run(progress=False)
    rest = trainer(tmp_path)
    assert rest.resume()
    assert rest.step == rest.adam.steps == 2


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
    with pytest.raises(TrainingError, match=r"no two of them in one place, got 0 and 1 of snapshot . .*batch 0"):
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
    for other in ({}, {"energies": energies + 1.0, "energy_weight": 0.3}, {"energies": energies}):
        with pytest.raises(ValueError, match="of another network, protocol or data"):
            trainer(tmp_path, **other).resume()


def test_logged_losses_are_means_over_snapshots(tmp_path, monkeypatch):
    """Also where the last batch is smaller: seven snapshots in batches of three."""
    one = trainer(tmp_path)
    losses = iter([1.0, 2.0, 10.0, *[0.0] * 20])
    flat = np.zeros(one.adam.mean.size)
    monkeypatch.setattr(one.network, "loss_gradient", lambda *_: (next(losses), flat))
    one.run(progress=False)
    first = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[0])
    assert first == {"step": 3, "stage": 1, "epoch": 0, "loss": pytest.approx((3 + 6 + 10) / 7), "rate": 1e-3}


def test_no_number_stops_with_the_last_good_state(tmp_path, monkeypatch):
    """A NaN loss says where, and the checkpoint has the parameters before it."""
    one = trainer(tmp_path)
    plain = one.network.loss_gradient
    monkeypatch.setattr(one.network, "loss_gradient", lambda *a: (np.nan, plain(*a)[1]) if one.step == 2 else plain(*a))
    with pytest.raises(TrainingError, match="step 2, stage 1, epoch 0, batch 2"):
        one.run(progress=False)
    again = trainer(tmp_path)
    assert again.resume()
    assert again.step == 2
    assert np.isfinite(again.network.parameters.flat).all()


def test_wrong_checkpoints(tmp_path, monkeypatch):
    """Damaged, of another run or of networks that meant something else: an error, and nothing is changed."""
    trainer(tmp_path).run(2, progress=False)
    other = trainer(tmp_path, seed=1)
    before = other.network.parameters.flat.copy()
    same = trainer(tmp_path)
    moved = Trainer(same.network, same.points, same.forces + 1.0, SHORT, checkpoint=same.checkpoint)
    with pytest.raises(ValueError, match=r"checkpoint: .* is of another network, protocol or data"):
        moved.resume()
    with pytest.raises(ValueError, match=r"checkpoint: .* is of another network, protocol or data"):
        other.resume()
    with monkeypatch.context() as patch:
        patch.setattr("lrc_numba.training.trainer.NETWORK_VERSION", 1)
        with pytest.raises(ValueError, match="of another network, protocol or data"):
            same.resume()
    state = tmp_path / "state.npz"
    state.write_bytes(state.read_bytes()[:100])
    with pytest.raises(ValueError, match=r"checkpoint: .* is damaged"):
        other.resume()
    np.testing.assert_array_equal(other.network.parameters.flat, before)
    assert (other.step, other.stage, other.epoch, other.batch, other.adam.steps) == (0, 0, 0, 0, 0)


def test_wrong_data(tmp_path):
    """Forces of another shape, and forces that are no numbers."""
    with pytest.raises(ValueError, match="forces: expected the shape"):
        Trainer(None, np.zeros((2, 3, 1)), np.zeros((2, 4, 1)), SHORT)
    with pytest.raises(ValueError, match="forces: expected finite numbers, got nan"):
        Trainer(None, np.zeros((2, 3, 1)), np.full((2, 3, 1), np.nan), SHORT)
    with pytest.raises(ValueError, match="points: expected at least one snapshot"):
        Trainer(None, np.zeros((0, 3, 1)), np.zeros((0, 3, 1)), SHORT)
    with pytest.raises(ValueError, match="rate, decay, every: expected a positive rate"):
        Protocol(SHORT.stages, rate=float("nan"))


def test_force_error():
    """Over the true forces and over the predicted ones."""
    found = force_error(np.array([[2.0]]), np.array([[1.0]]))
    assert found == {"true": 1.0, "predicted": 0.5}
    with pytest.raises(ValueError, match="forces: expected two of one shape"):
        force_error(np.ones((2, 1)), np.ones(2))
