"""Training that is killed, interrupted or run twice: it goes on with the same numbers, and loses nothing."""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from runs import trainer

from lrc_numba.training import Protocol, Stage, TrainingError

CHILD = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from runs import trainer
from lrc_numba.training import Protocol, Stage
trainer(Path({folder!r}), Protocol((Stage(2, 4000),)), save_every={save_every}).run(progress=False)
"""


LONG = Protocol((Stage(2, 4000),))


@contextmanager
def training(folder, save_every: float = 0.0, before: str = ""):
    """A process that trains and has saved once; killed at the end."""
    folder.mkdir(exist_ok=True)
    code = before + CHILD.format(tests=str(Path(__file__).parent), folder=str(folder), save_every=save_every)
    process = subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parents[1])
    try:
        while not (folder / "state.npz").exists() and process.poll() is None:
            time.sleep(0.01)
        assert process.poll() is None
        yield process
    finally:
        process.kill()
        process.wait()


def assert_goes_on(folder, whole) -> None:
    """Five steps after what a killed process left are those of a run that nobody killed."""
    rest = trainer(folder, LONG)
    assert rest.resume()
    assert 0 < rest.step < LONG.total_steps(7)
    end = rest.step + 5
    rest.run(5, progress=False)
    uninterrupted = trainer(whole, LONG)
    uninterrupted.run(end, progress=False)
    np.testing.assert_array_equal(rest.network.parameters.flat, uninterrupted.network.parameters.flat)
    logs = [(path / "log.jsonl").read_text() for path in (folder, whole)]
    assert logs[0] == logs[1]


def test_killed_and_resumed(tmp_path):
    """SIGKILL in the middle: what the checkpoint has goes on, and no kill, not even in a save, leaves other files."""
    with training(tmp_path / "killed") as process:
        time.sleep(0.3)
        process.kill()
        process.wait()
    unfinished = [
        tmp_path / "killed" / f".{name}.{platform.node()}.{process.pid}" for name in ("state.npz", "log.jsonl")
    ]
    for path in unfinished:
        path.write_bytes(b"half a che")
    alive = unfinished[0].with_name(f".state.npz.{platform.node()}.{os.getppid()}")
    alive.write_bytes(b"half a che")
    assert_goes_on(tmp_path / "killed", tmp_path / "whole")
    assert {path.name for path in (tmp_path / "killed").iterdir()} == {"state.npz", "log.jsonl", alive.name}


IGNORED = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"


@pytest.mark.slow
@pytest.mark.parametrize("before", ["", IGNORED])
def test_terminated_and_resumed(before, tmp_path):
    """SIGTERM saves, with two minutes to the next checkpoint, and ends the process; also where SIGINT is ignored."""
    with training(tmp_path / "ended", save_every=120.0, before=before) as process:
        log = tmp_path / "ended" / "log.jsonl"
        while not log.read_text():
            time.sleep(0.01)
        if before:
            process.send_signal(signal.SIGINT)
            time.sleep(0.2)
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == -signal.SIGTERM
    rest = trainer(tmp_path / "ended", LONG)
    assert rest.resume()
    assert rest.step >= 4  # an epoch; the checkpoint before was of the start
    assert_goes_on(tmp_path / "ended", tmp_path / "whole")


@pytest.mark.slow
def test_one_process_has_a_checkpoint(tmp_path):
    """Another one that resumes or begins is told who has it; when that one is dead it may."""
    with training(tmp_path / "shared") as process:
        message = rf"process {process.pid} on .* is training with .*state\.npz"
        with pytest.raises(TrainingError, match=message):
            trainer(tmp_path / "shared", LONG).resume()
        with pytest.raises(TrainingError, match=message):
            trainer(tmp_path / "shared", LONG).run(1, progress=False)
        with pytest.raises(TrainingError, match=rf"process {process.pid} on .* is training with .*log\.jsonl"):
            trainer(tmp_path / "shared", LONG, checkpoint=None).run(1, progress=False)
    assert_goes_on(tmp_path / "shared", tmp_path / "whole")


def test_both_resumed_before_either_ran(tmp_path):
    """The second one to run is told that its checkpoint is an old one, and writes nothing."""
    trainer(tmp_path).run(2, progress=False)
    both = [trainer(tmp_path) for _ in range(2)]
    assert all(one.resume() for one in both)
    both[0].run(2, progress=False)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(TrainingError, match=r"another process went on with .*state"):
        both[1].run(progress=False)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    both[0].run(1, progress=False)  # while its own it goes on with
    assert both[1].resume()
    assert both[1].step == 5


def test_a_log_of_two_runs(tmp_path):
    """Epochs that are there twice are an error, and nothing is changed."""
    trainer(tmp_path).run(progress=False)
    log = tmp_path / "log.jsonl"
    lines = log.read_text().splitlines(keepends=True)
    for mixed in ("".join(line + line for line in lines), "".join(lines[:2] + lines)):
        log.write_text(mixed)
        rest = trainer(tmp_path)
        with pytest.raises(ValueError, match=r"log\.jsonl has step 3 in line . after step .*nothing was changed"):
            rest.resume()
        assert rest.step == 0
        assert log.read_text() == mixed


def test_killed_before_it_saved(tmp_path):
    """Only a log: it begins anew. Half a line at the end of a log is no line; a file that is no log is left alone."""
    log = tmp_path / "log.jsonl"
    log.write_text('{"step": 3, "loss": 1.0}\n{"step": 6, "lo')
    one = trainer(tmp_path)
    assert not one.resume()
    one.run(4, progress=False)
    first = log.read_text().splitlines()
    assert [json.loads(line)["step"] for line in first] == [3]
    with log.open("a") as file:
        file.write('{"step": 6, "lo')
    rest = trainer(tmp_path)
    assert rest.resume()
    assert log.read_text().splitlines() == first
    for other in ("a book\nof mine\n", "a page\n", "3\n", '{"a": 1}\n{"step": 3}\n'):
        log.write_text(other)
        again = trainer(tmp_path)
        with pytest.raises(ValueError, match="has no losses in line 1; nothing was changed"):
            again.resume()
        assert again.step == 0
        assert log.read_text() == other


def test_interrupt_leaves_a_checkpoint(tmp_path, monkeypatch):
    """Ctrl-C in a step: the checkpoint is of the step before."""
    one = trainer(tmp_path)
    plain = one.network.loss

    def interrupted(*arguments):
        if one.step == 3:
            raise KeyboardInterrupt
        return plain(*arguments)

    monkeypatch.setattr(one.network, "loss", interrupted)
    with pytest.raises(KeyboardInterrupt):
        one.run(progress=False)
    again = trainer(tmp_path)
    assert again.resume()
    assert again.step == 3


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


def test_a_second_interrupt_does_not_wait(tmp_path, monkeypatch, interruptible):
    """It ends the step in the middle, which is not kept: the checkpoint is of the last save."""
    one = trainer(tmp_path)
    plain = one.adam.step

    def interrupted(*arguments):
        plain(*arguments)
        if one.step == 2:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(one.adam, "step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        one.run(progress=False)
    assert one.step == 2
    rest = trainer(tmp_path)
    assert rest.resume()
    assert rest.step == rest.adam.steps == 0
    rest.run(progress=False)  # a checkpoint of no step is one to go on from
    whole = trainer(tmp_path / "whole")
    whole.run(progress=False)
    np.testing.assert_array_equal(rest.network.parameters.flat, whole.network.parameters.flat)


@pytest.mark.parametrize("where", ["moments", "log"])
def test_half_a_step_is_not_kept(where, tmp_path):
    """What ends a run between Adam's moments and the end of the epoch leaves the checkpoint of the step before."""
    one = trainer(tmp_path, save_every=0.0)
    plain = one.adam.step

    def broken(*arguments):
        plain(*arguments)
        if one.step == 2:
            if where == "moments":
                raise OSError
            (tmp_path / "log.jsonl").unlink()
            (tmp_path / "log.jsonl").mkdir()  # so that the line of the epoch cannot be written

    one.adam.step = broken
    with pytest.raises(OSError):  # noqa: PT011
        one.run(progress=False)
    rest = trainer(tmp_path, log=None)
    assert rest.resume()
    assert rest.step == rest.adam.steps == 2
