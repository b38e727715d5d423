"""Threads: what goes wrong in one is raised where it was asked for, and nothing is still written then."""

from __future__ import annotations

import os
import signal
import threading
import time
import weakref
from contextlib import nullcontext

import numpy as np
import pytest

from lrc_numba import waiting
from lrc_numba.cpu import parallel

PARTS = [0, 1, 2, 3]


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """No thread is there yet; two at most."""
    threads = parallel._Threads()
    threads.most = 2
    monkeypatch.setattr(parallel, "_THREADS", threads)
    return threads


def _mark(part, lo, hi, out):
    out[part] += hi - lo


def test_every_part_is_done_once():
    """More parts than threads, again and again."""
    out = np.zeros(3)
    for _ in range(200):
        parallel.run(_mark, PARTS, out)
    assert out.tolist() == [200.0] * 3


@pytest.mark.parametrize("pause", [0.0, 0.003])
def test_threads_that_went_to_sleep_are_woken(fresh, pause):
    """At once, where they do not wait awake, or where there was nothing to do for longer than they do."""
    fresh.patience, out = (0 if pause == 0 else parallel.PATIENCE), np.zeros(3)
    parallel.run(_mark, PARTS, out)
    for _ in range(100):
        time.sleep(pause)
        parallel.run(_mark, PARTS, out)
    assert out.tolist() == [101.0] * 3
    deadline = time.monotonic() + 10
    while not all(worker.asleep for worker in fresh.free):
        assert time.monotonic() < deadline, "a thread that has nothing to do is awake"


def test_waiting_ends():
    """What is posted is seen, what is not is given up, and FINISHED says what was done last."""
    cells = np.zeros(waiting.CELLS, dtype=np.int64)
    cells[waiting.POSTED] = 3
    assert not waiting.until_posted(cells, 3, 1000)
    assert cells[waiting.FINISHED] == 3
    assert waiting.until_posted(cells, 2, 1)
    assert cells[waiting.FINISHED] == 2
    assert waiting.until_finished(cells, 2, 0)
    assert waiting.until_finished(cells, 1, 0)
    assert not waiting.until_finished(cells, 3, 1000)


def test_waiting_leaves_the_lock_to_others():
    """What it waits for is posted by Python meanwhile."""
    cells, seen = np.zeros(waiting.CELLS, dtype=np.int64), []

    def wait(patience):
        return waiting.until_posted(cells, 0, patience)

    wait(0)  # compiled
    waits = threading.Thread(target=lambda: seen.append(wait(1 << 40)), daemon=True)
    waits.start()
    cells[waiting.POSTED] = 1
    waits.join(10)
    assert seen == [True]


def test_what_is_left_is_shared(fresh):
    """Many more parts than threads: whoever is done takes the next."""
    names = []

    def slow(part, lo, hi):
        time.sleep(0.02)
        names.append(threading.current_thread().name)

    parallel.run(slow, list(range(13)))
    assert len(names) == 12
    assert all(names.count(name) >= 2 for name in set(names))
    assert len(set(names)) == 3


def test_an_interrupt_at_any_time(fresh):
    """Threads that were told, or were about to be, are there again, and work."""
    out = np.zeros(3)

    def interrupted(self, job, part, pause):
        post(self, job, part, pause)
        raise KeyboardInterrupt

    post = parallel._Worker.post
    for _ in range(20):
        deadline = time.monotonic() + 10
        while fresh.count == fresh.most and not fresh.free:  # what was interrupted has ended
            assert time.monotonic() < deadline
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(parallel._Worker, "post", interrupted)
            with pytest.raises(KeyboardInterrupt):
                parallel.run(_mark, PARTS, np.zeros(3))
        parallel.run(_mark, PARTS, out)
    assert out.tolist() == [20.0] * 3
    assert fresh.count <= 2


def test_a_worker_that_cannot_be_made(monkeypatch, fresh):
    """Its error is raised, after the other parts; later there are threads again."""
    out = np.zeros(3)
    with monkeypatch.context() as patch:
        patch.setattr(parallel, "until_posted", lambda *_: (_ for _ in ()).throw(OSError("full")))
        with pytest.raises(OSError, match="full"):
            parallel.run(_mark, PARTS, out)
    assert fresh.count == 0
    parallel.run(_mark, PARTS, out)
    assert fresh.count == 2


@pytest.mark.parametrize("fails", [True, False])
def test_no_array_is_kept(fails):
    """Neither by a thread that worked on it, nor by its error."""
    array = np.zeros(3)
    gone = weakref.ref(array)

    def fail(part, lo, hi, array):
        if fails:
            raise ArithmeticError

    with pytest.raises(ArithmeticError) if fails else nullcontext():
        parallel.run(fail, PARTS, array)
    del array
    deadline = time.monotonic() + 10  # a thread may still be on its way from the part to its rest
    while gone() is not None:
        assert time.monotonic() < deadline, "somebody holds it"


def test_an_error_in_a_thread_is_raised():
    """When all parts that were begun have ended, and no other is begun then; the next call works."""
    begun, ended, out = [], [], np.zeros(3)

    def fail(part, lo, hi):
        begun.append(part)
        if part == 1:
            raise ArithmeticError("part 1")
        time.sleep(0.05)
        ended.append(part)

    with pytest.raises(ArithmeticError, match="part 1"):
        parallel.run(fail, list(range(20)))
    assert 0 in ended
    assert len(begun) == len(ended) + 1 <= 4
    parallel.run(_mark, PARTS, out)
    assert out.tolist() == [1.0] * 3


def test_without_threads_the_caller_does_it(monkeypatch, fresh):
    """Where the system has none, and with threads again when it has."""
    with monkeypatch.context() as patch:
        patch.setattr(parallel.Thread, "start", lambda self: (_ for _ in ()).throw(RuntimeError("no more")))
        out = np.zeros(3)
        parallel.run(_mark, PARTS, out)
        assert out.tolist() == [1.0] * 3
        assert (fresh.count, fresh.free) == (0, [])
    parallel.run(_mark, PARTS, out)
    assert out.tolist() == [2.0] * 3
    assert fresh.count == len(fresh.free) == 2


def test_ctrl_c_waits_for_what_is_being_written(fresh):
    """The other parts are done when the interrupt arrives at the caller."""
    out = np.zeros(3)

    def slow(part, lo, hi, out):
        if part:
            time.sleep(0.5)
        out[part] = 1

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # shells have it ignored in the background
    try:
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            parallel.run(slow, PARTS, out)
    finally:
        signal.signal(signal.SIGINT, before)
    assert out.tolist() == [1.0] * 3
    assert fresh.count == len(fresh.free) == 2


def test_callers_at_the_same_time(fresh):
    """Eight of a user's threads, each with work of its own."""
    outs = np.zeros((8, 3))

    def work(row):
        for _ in range(100):
            parallel.run(_mark, PARTS, row)

    callers = [threading.Thread(target=work, args=(row,)) for row in outs]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert np.all(outs == 100)
    assert fresh.count == len(fresh.free) == 2
