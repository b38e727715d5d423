"""Threads: what goes wrong in one is raised where it was asked for, and nothing is still written then."""

from __future__ import annotations

import gc
import multiprocessing
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import weakref
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext

import numpy as np
import pytest

from lrc_numba.machine.cpu import compile, parallel, spin_wait

PARTS = [0, 1, 2, 3]
SOON = 20  # seconds: what does not happen until then does not happen


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """No thread is there yet; two at most."""
    threads = parallel._Threads(2)
    monkeypatch.setattr(parallel, "_THREADS", threads)
    return threads


def _mark(part, lo, hi, out):
    out[part] += hi - lo


def _until(condition):
    """Wait for what another thread is about to do."""
    deadline = time.monotonic() + SOON
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def _all_at_once(threads):
    """A part that is done only when so many threads do one."""
    barrier = threading.Barrier(threads)
    return lambda part, lo, hi: barrier.wait(SOON)


def test_every_part_is_done_once():
    """More parts than threads, again and again."""
    out = np.zeros(3)
    for _ in range(200):
        parallel.run(_mark, PARTS, out)
    assert out.tolist() == [200.0] * 3


def test_all_threads_work(fresh):
    """Two, and who calls: twice, so they go back."""
    for _ in range(2):
        parallel.run(_all_at_once(3), PARTS)
    _until(lambda: len(fresh.free) == 2)
    assert fresh.unused == []


@pytest.mark.parametrize("patience", [0, parallel.PATIENCE])
def test_threads_that_went_to_sleep_are_woken(fresh, monkeypatch, patience):
    """At once, where they do not wait awake, or where there was nothing to do for longer than they do."""
    monkeypatch.setattr(parallel, "PATIENCE", patience)
    for _ in range(20):
        parallel.run(_all_at_once(3), PARTS)
        _until(lambda: len(fresh.free) == 2 and all(worker.asleep for worker in fresh.free))
    assert fresh.unused == []


def test_nobody_waits_for_who_comes_late(fresh):
    """Threads that do not wake up in time find nothing left to do; or the next job, if there is one by then."""
    parallel.run(_all_at_once(3), PARTS)
    _until(lambda: len(fresh.free) == 2 and all(worker.asleep for worker in fresh.free))
    out, bells = np.zeros(3), [worker.bell for worker in fresh.all]
    for worker in fresh.all:
        worker.bell = queue.SimpleQueue()  # it is rung, and the thread waits for the other
    for times in (1, 2, 3):
        parallel.run(_mark, PARTS, out)
        assert out.tolist() == [times] * 3
        assert fresh.free == []
    threading.Timer(0.05, lambda: [bell.put(None) for bell in bells]).start()
    parallel.run(_all_at_once(3), PARTS)
    _until(lambda: len(fresh.free) == 2)
    assert out.tolist() == [3.0] * 3


def test_waiting_ends():
    """What is posted is seen, what is not is given up, and FINISHED says what was done last."""
    cells = np.zeros(spin_wait.CELLS, dtype=np.int64)
    cells[spin_wait.POSTED] = 3
    assert not spin_wait.until_posted(cells, 3, 1000)
    assert cells[spin_wait.FINISHED] == 3
    assert spin_wait.until_posted(cells, 2, 1)
    assert cells[spin_wait.FINISHED] == 2
    assert spin_wait.until_finished(cells, 2, 0)
    assert spin_wait.until_finished(cells, 1, 0)
    assert not spin_wait.until_finished(cells, 3, 1000)


def test_waiting_leaves_the_lock_to_others():
    """What it waits for is posted by Python meanwhile."""
    cells, seen = np.zeros(spin_wait.CELLS, dtype=np.int64), []
    spin_wait.until_posted(cells, 0, 0)  # compiled
    waits = threading.Thread(target=lambda: seen.append(spin_wait.until_posted(cells, 0, SOON * 10**9)), daemon=True)
    waits.start()
    cells[spin_wait.POSTED] = 1
    waits.join(SOON)
    assert seen == [True]


def test_what_is_left_is_shared():
    """Many more parts than threads: whoever is done takes the next."""
    barrier, names = threading.Barrier(3), []

    def slow(part, lo, hi):
        names.append(threading.current_thread().name)
        if names.count(names[-1]) <= 2:
            barrier.wait(SOON)

    parallel.run(slow, list(range(13)))
    assert len(names) == 12
    assert len(set(names)) == 3


@pytest.mark.parametrize("where", ["post", "wait", "_taken"])
def test_an_interrupt_at_any_time(fresh, where):
    """Nothing is at work any more when it is raised; the next call works."""
    begun, ended, out = [], [], np.zeros(3)
    owner = parallel._Threads if where == "_taken" else parallel._Worker
    inner, first = getattr(owner, where), []

    def slow(part, lo, hi):
        begun.append(part)
        time.sleep(0.01)
        ended.append(part)

    def interrupted(*arguments):
        result = inner(*arguments)
        if not first:
            first.append(True)
            raise KeyboardInterrupt
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, where, interrupted)
        with pytest.raises(KeyboardInterrupt):
            parallel.run(slow, PARTS)
    assert sorted(begun) == sorted(ended)
    time.sleep(0.05)
    assert sorted(begun) == sorted(ended)
    parallel.run(_mark, PARTS, out)
    assert out.tolist() == [1.0] * 3


def test_a_worker_that_cannot_be_made(monkeypatch, fresh):
    """Its error is raised, when what was begun has ended; later there are threads again."""
    with monkeypatch.context() as patch:
        patch.setattr(parallel, "until_posted", lambda *_: (_ for _ in ()).throw(OSError("full")))
        with pytest.raises(OSError, match="full"):
            parallel.run(_mark, PARTS, np.zeros(3))
    assert len(fresh.unused) == 2
    parallel.run(_all_at_once(3), PARTS)


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
    _until(lambda: gone() is None)


def test_an_error_in_a_thread_is_raised():
    """When all parts that were begun have ended, and no other is begun then; the next call works."""
    begun, ended, failed, out = [], [], threading.Event(), np.zeros(3)

    def fail(part, lo, hi):
        begun.append(part)
        if part == 1:
            failed.set()
            raise ArithmeticError("part 1")
        failed.wait(SOON)
        time.sleep(0.1)
        ended.append(part)

    with pytest.raises(ArithmeticError, match="part 1"):
        parallel.run(fail, list(range(20)))
    assert sorted(begun) == sorted([1, *ended])
    assert len(begun) <= 4
    parallel.run(_mark, PARTS, out)
    assert out.tolist() == [1.0] * 3


def test_without_threads_the_caller_does_it(monkeypatch, fresh):
    """Where the system has none, and with threads again when it has."""
    with monkeypatch.context() as patch:
        patch.setattr(parallel.Thread, "start", lambda self: (_ for _ in ()).throw(RuntimeError("no more")))
        out = np.zeros(3)
        parallel.run(_mark, PARTS, out)
        assert out.tolist() == [1.0] * 3
        assert (len(fresh.unused), fresh.free) == (2, [])
    parallel.run(_all_at_once(3), PARTS)


def test_ctrl_c_waits_for_what_is_being_written():
    """The other parts are done when the interrupt arrives at the caller."""
    out, barrier = np.zeros(3), threading.Barrier(3)

    def slow(part, lo, hi, out):
        barrier.wait(SOON)
        if threading.current_thread() is not threading.main_thread():
            if part == max(workers):
                os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.3)
        out[part] = 1

    def noting(part, lo, hi, out):
        if threading.current_thread() is not threading.main_thread():
            workers.append(part)
        slow(part, lo, hi, out)

    workers: list[int] = []
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # shells have it ignored in the background
    try:
        with pytest.raises(KeyboardInterrupt):
            parallel.run(noting, PARTS, out)
    finally:
        signal.signal(signal.SIGINT, before)
    assert [out[part] for part in workers] == [1.0] * 2


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
    _until(lambda: len(fresh.free) + len(fresh.unused) == 2)


def test_garbage_is_looked_for_again():
    """When the last of those that compile is done, whoever began."""
    assert gc.isenabled()
    for _ in range(2):
        compile._UNCOLLECTED.__enter__()
    compile._UNCOLLECTED.__exit__()
    assert not gc.isenabled()
    compile._UNCOLLECTED.__exit__()
    assert gc.isenabled()


def test_weighted():
    """No more ranges than there is work for, and none without items."""
    assert parallel.weighted(np.array([0, 10, 20, 30]), 40, 8, 15) == [0, 2, 4]
    assert parallel.weighted(np.array([0, 1, 2, 100]), 101, 4, 10) == [0, 3, 4]


PRINTS_THREADS = """
import warnings
from lrc_numba import LRCPlan
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    plans = [LRCPlan(1.0, 9, dim=1) for _ in range(2)]
print(plans[0].threads, LRCPlan(1.0, 9, dim=1, threads=3).threads, len(told))
"""


def _threads(**environment: str) -> tuple[int, int, int]:
    """In a process of its own: threads of a plan, of one with ``threads=3``, and how many warnings there were."""
    clean = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    command = [sys.executable, "-c", PRINTS_THREADS]
    done = subprocess.run(command, env=clean | environment, capture_output=True, text=True, check=True)
    default, asked, warned = (int(word) for word in done.stdout.split())
    return default, asked, warned


@pytest.mark.slow
def test_threads_of_the_environment():
    """The smallest of the processors and what both variables say; ``threads`` says otherwise."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert _threads() == (processors, 3, 0)
    assert _threads(OMP_NUM_THREADS="1") == (1, 3, 0)
    assert _threads(NUMBA_NUM_THREADS="1", OMP_NUM_THREADS="64") == (1, 3, 0)
    assert _threads(OMP_NUM_THREADS=" 1,2 ") == (1, 3, 0)  # of loops, and of loops within


@pytest.mark.parametrize("value", ["x", "0", "-1", "1.5", ",1"])
def test_what_is_no_number_of_threads(monkeypatch, value):
    """Is ignored, with one warning that names the variable."""
    monkeypatch.delenv("NUMBA_NUM_THREADS", raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    processors = parallel.available_threads()
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    with pytest.warns(RuntimeWarning, match="OMP_NUM_THREADS: expected a positive integer") as told:
        assert [parallel.available_threads() for _ in range(2)] == [processors] * 2
    assert len(told) == 1


def _in_a_worker(_) -> tuple[int, int]:
    """Threads of a plan, and of Python, after work for two."""
    from lrc_numba import LRCPlan, Yukawa

    plan = LRCPlan(1.0, 31, eps=1e-2).set_points(np.linspace(0, 1, 200_000)[:, None])
    plan.convolve(None, Yukawa(1.0, 5.0))
    return plan.threads, sum(thread.name.startswith("lrc_numba") for thread in threading.enumerate())


@pytest.mark.slow
def test_workers_that_share_a_machine(monkeypatch):
    """As libraries start them, with OMP_NUM_THREADS=1: each works alone."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as workers:
        assert list(workers.map(_in_a_worker, range(2))) == [(1, 0)] * 2


def test_two_functions_at_once():
    """Both are called once, what the first returns is returned, and an error of either is raised."""
    called = []
    assert parallel.both(lambda: 5, lambda: called.append("second")) == 5
    assert called == ["second"]
    for pair in ((lambda: 1 / 0, lambda: None), (lambda: None, lambda: 1 / 0)):
        with pytest.raises(ZeroDivisionError):
            parallel.both(*pair)
    with parallel.compile_only(lambda module: False):
        assert parallel.both(lambda: 6, lambda: called.append("again")) == 6
    assert called == ["second", "again"]
