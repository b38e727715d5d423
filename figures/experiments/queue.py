"""A list of tasks, worked off by any number of processes of one thread each.

A process takes the next task that is neither done nor in the hands of another one, so more of them can be started, and
ended, at any time. SIGTERM and Ctrl-C leave a checkpoint.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Sequence

from lrc_numba.files import write_json

from .records import error_of
from .tasks import Task
from .training import Busy, Store, run

__all__ = ["hours", "work"]

SECONDS = {1: 1.5e-5, 2: 1.5e-5, 3: 6e-5}  # of a processor, a gradient and point; by dimension, to begin with
EVERY = 30.0  # seconds between two lines of progress
WAIT = 20.0  # seconds until a task of another process is looked at again


def hours(tasks: Sequence[Task], store: Store) -> float:
    """How long what is missing will take one processor, from what is done, or else from ``SECONDS``.

    Parameters
    ----------
    tasks : sequence of Task
        Each counts once.
    store : Store
        Where results are.
    """
    rates: dict[tuple[int, str], list[float]] = {}
    missing: dict[tuple[str, int], tuple] = {}
    for task in tasks:
        kind = (task.system.dim, task.model.kind)
        if (result := store.result(task)) is not None:
            rates.setdefault(kind, []).append(result["seconds"] / max(task.gradients, 1))
        else:
            missing[task.key, task.training.polish] = (kind, task)
    total = 0.0
    for kind, task in missing.values():
        known = sorted(rates.get(kind, []))
        rate = known[len(known) // 2] if known else SECONDS[kind[0]] * (0.6 if kind[1] == "short-range" else 1.0)
        total += rate * task.gradients / 3600
    return total


def work(tasks: Sequence[Task], store: Store, *, patient: bool = True) -> bool:
    """Do all tasks in their order; whether all succeeded.

    Parameters
    ----------
    tasks : sequence of Task
        What to do.
    store : Store
        Where.
    patient : bool
        Whether to wait for those that other processes are at.
    """
    print(f"{len(tasks)} trainings, about {hours(tasks, store):.1f} hours of a processor to go", flush=True)
    failed: set[tuple[str, int]] = set()
    while True:
        busy = False
        for number, task in enumerate(tasks):
            if (task.key, task.training.polish) in failed or store.result(task) is not None:
                continue
            try:
                _one(task, store, f"{number + 1}/{len(tasks)} {task.name}")
                print(f"about {hours(tasks, store):.1f} hours of a processor to go", flush=True)
            except Busy:
                busy = True
            except BrokenPipeError:  # nobody reads what is printed
                raise
            except Exception as wrong:
                failed.add((task.key, task.training.polish))
                write_json(store.path(task, "error"), {"error": repr(wrong)})
                traceback.print_exc()
        if not (busy and patient):
            return not failed
        time.sleep(WAIT)


def _one(task: Task, store: Store, name: str) -> None:
    """A task, with its progress on a line from time to time."""
    begin, spoken = time.monotonic(), -EVERY

    def report(what: str, share: float) -> None:
        nonlocal spoken
        if time.monotonic() - spoken >= EVERY or share == 0.0:
            spoken = time.monotonic()
            print(f"{time.strftime('%H:%M:%S')} {name}: {what} {share:.0%}", flush=True)

    result = run(task, store, report)
    (store.path(task, "error")).unlink(missing_ok=True)
    errors = {stage: error_of(errors) for stage, errors in result["errors"].items() if errors}
    text = ", ".join(f"{stage} {error:.2e}" for stage, error in errors.items())
    print(f"{time.strftime('%H:%M:%S')} {name}: {text}; {time.monotonic() - begin:.0f} s", flush=True)
