"""Plans, charges and networks on 1 to 4 ranks beside one process, errors on all ranks, and ranks that die."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lrc_numba.distributed.launch import command, why_not
from lrc_numba.training import Protocol, Stage

HERE = Path(__file__).parent
LIMIT = 400.0  # seconds, with compiling; nothing may hang
# The grid is that of one process, so only the order of sums differs: some hundred terms, and what transforms and
# windows make of their rounding. Derivatives by parameters add up the squares of modes that cancel in part.
ROUNDING = 1e-12
TRAINED = 1e-12  # of a hundred steps, in each of which a rounding of 1e-15 is added to what is left of the others

pytestmark = [
    pytest.mark.slow,  # several processes on few processors
    pytest.mark.skipif(bool(why_not()), reason=why_not() or "-"),
    pytest.mark.xdist_group("ranks"),
]


def run(ranks: int, *arguments: str, limit: float = LIMIT) -> subprocess.CompletedProcess:
    """What some ranks of this interpreter do; an error where they take too long."""
    return subprocess.run(command(ranks, *arguments), capture_output=True, text=True, timeout=limit, check=False)


@pytest.fixture(scope="module")
def seen(tmp_path_factory) -> dict:
    """What ``cases.py`` saw on four ranks."""
    done = run(4, str(HERE / "cases.py"), str(tmp_path_factory.mktemp("resumed")))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
@pytest.mark.parametrize("case", ["convolution", "energy", "charges", "network"])
def test_ranks_compute_what_one_process_does(seen, case, ranks):
    """Values, and derivatives by everything, with uneven ranks and empty ones."""
    differences = seen[f"{case} {ranks}"]
    assert max(differences.values()) < ROUNDING, differences


@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
def test_training_on_ranks_is_that_of_one_process(seen, ranks):
    """Losses and parameters after a hundred steps, and of a run that went on on another number of ranks."""
    assert max(seen[f"training {ranks}"].values()) < TRAINED
    assert max(seen[f"resumed {ranks}"].values()) < TRAINED


@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
def test_ghosts_are_all_neighbours(seen, ranks):
    """And what they receive comes back."""
    assert seen[f"halo {ranks}"] == {"missing": 0.0, "received": 0.0}


@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
def test_bits_depend_on_the_number_of_ranks_alone(seen, ranks):
    """Of sums long enough to be cut into pieces."""
    assert seen[f"bits {ranks}"] == {"again": 0.0, "ranks": 0.0}


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("modes", "ValueError: expected the same on all ranks, got settings .*modes=9.* on rank 0 and .*modes=11"),
        ("eps", "ValueError: rank 1: eps: 1e-30"),
        ("backend", "NotImplementedError: backend: plans on several ranks are for 'cpu'"),
        ("dimensions", "ValueError: .*in 1 dimension.* on rank 0 and .*in 2 dimension.* on rank 1"),
        ("snapshots", "ValueError: .* 1 snapshot.* on rank 0 and .* 2 snapshot"),
        ("targets", "ValueError: expected the same on all ranks, .* on rank 0 and .*with targets' on rank 1"),
        ("no points", "ValueError: rank 1: points: none are set; call set_points first"),
        ("values", "ValueError: rank 1: values: expected finite numbers, got nan"),
        ("overflow", "ValueError: .*values: expected numbers whose results are within the range of float64"),
        ("channels", "ValueError: expected the same on all ranks, got convolve '1 channel.* and convolve '2 channel"),
        ("multiplier", "ValueError: multiplier: expected the same on all ranks, got another one on rank 1"),
        ("sign", "ValueError: multiplier: expected the same on all ranks, got another one on rank 1"),
        ("order", "ValueError: multiplier: expected the same on all ranks, got another one on rank 1"),
        (
            "cell of a plan",
            r"ValueError: expected the same on all ranks, got cell 1.5 on rank 0 and cell 2.0 on rank 1",
        ),
        ("no wrt", "TypeError: rank 1: .*int.* not iterable"),
        ("charge", "ValueError: rank 1: charges: expected finite numbers, got nan"),
        ("charges", r"ValueError: rank 1: charges: .*4"),
        ("no calculator", "TypeError: rank 1: calculator: expected a MeshCalculator, got str"),
        ("no network", "TypeError: rank 1: network: expected an EnergyNetwork, got str"),
        ("data", "ValueError: rank 1: frozen: expected beginnings of"),
        ("a generator", "True True"),
        ("wrt", r"ValueError: expected the same on all ranks, got vjp by \['points'\] .* and vjp by \['values'\]"),
        ("method", "ValueError: expected the same on all ranks, got convolve .* on rank 0 and energy"),
        ("complex", "ValueError: .* got convolve of real values on rank 0 and convolve of complex values on rank 1"),
        ("complex cotangent", "TypeError: rank 1: cotangent: expected float64, as derivatives are of real numbers"),
        ("set_cell", "ValueError: .* got spread of real values on rank 0 and set_cell on rank 1"),
        ("frozen", r"ValueError: .* got mesh of freeze_mesh None on rank 0 and mesh of freeze_mesh \(\[\[5\.0"),
        ("parameter gradient", "NotImplementedError: parameter_gradient: not for points on several ranks"),
        ("linearise", "NotImplementedError: linearise: not for points on several ranks; use vjp"),
        ("repeat", "NotImplementedError: repeat_energy: not for points on several ranks; use set_points"),
        ("comm", "TypeError: comm: expected a communicator of mpi4py, got str"),
        ("cell", "ValueError: expected the same on all ranks, got cell, .*5.0.* on rank 0 and cell, .*6.0"),
        ("training", "ValueError: expected the same on all ranks, got network"),
        ("network", "ValueError: expected the same on all ranks, got network"),
        (
            "network's cutoff",
            r"ValueError: .* got network's cutoff 1\.9 on rank 0 and .* 2\.0 on rank 1",
        ),
        ("network's sigma", r"ValueError: .* got network's sigma 0\.5 on rank 0 and .* 1\.0 on rank 1"),
        ("network's eps", "ValueError: .* got network's eps 0.001 on rank 0 and .* 1e-06 on rank 1"),
        (
            "network's references",
            r"ValueError: .* got network's references \[1.0\] on rank 0 and .* \[2.0\]",
        ),
        ("unnamed", r"ValueError: .* got network's cutoff 1\.9 on rank 0 and .* 2\.0 on rank 1"),
        ("seed", "nothing"),
    ],
)
def test_errors_are_those_of_all_ranks(seen, case, message):
    """Whatever is wrong on one rank is named, with the rank, and nobody waits for it."""
    assert re.match(message, seen["errors"][case]), seen["errors"][case]


UNCAUGHT = """
import sys
import numpy as np
from mpi4py import MPI
from lrc_numba import Yukawa
from lrc_numba.distributed import DistributedPlan
rank = MPI.COMM_WORLD.rank
plan = DistributedPlan(None, 1.0, 9, dim=1).set_points(np.full((4, 1), 0.3))
{then}
"""


@pytest.mark.parametrize(
    ("then", "message"),
    [
        ("plan.convolve(np.full(4, np.nan if rank else 1.0), Yukawa(1.0, 1.0))", "ValueError: rank 1: values"),
        ("plan.convolve(np.ones(4), Yukawa(1.0, 1.0)) if rank else [][1]", "IndexError"),
        (
            "part = MPI.COMM_WORLD.Split(rank)\n"
            "plan = DistributedPlan(part, 1.0, 9, dim=1).set_points(np.full((4, 1), 0.3))\n"
            "part.barrier() if rank else plan.convolve(np.full(4, np.nan), Yukawa(1.0, 1.0))\n"
            "MPI.COMM_WORLD.barrier()",
            "ValueError: values: expected finite numbers",
        ),
        (
            "sys.exit(3) if rank else plan.convolve(np.ones(4), Yukawa(1.0, 1.0))",
            "ValueError: expected the same on all ranks, got convolve .* and the end of the process on rank 1",
        ),
    ],
    ids=["all", "one", "all of a part", "ended"],
)
@pytest.mark.slow
def test_an_error_nobody_catches_is_printed_once_and_ends_all(then, message):
    """One that all ranks raise, and one of a rank that the others would wait for."""
    done = run(2, "-c", UNCAUGHT.format(then=then))
    assert done.returncode != 0
    assert len(re.findall(message, done.stderr)) == 1, done.stderr


def test_without_mpi_the_message_says_what_to_install():
    """And the package is imported all the same."""
    hidden = "import sys; sys.modules['mpi4py'] = None; from lrc_numba.distributed import Ranks; Ranks()"
    done = subprocess.run([sys.executable, "-c", hidden], capture_output=True, text=True, timeout=60, check=False)
    assert "ImportError: comm: several processes need mpi4py" in done.stderr


KILLED = """
import os, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from mpi4py import MPI
from runs import trainer
from lrc_numba.training import Protocol, Stage
made = trainer(Path({folder!r}), Protocol((Stage(2, 4000),)), comm=MPI.COMM_WORLD, save_every=0.0)
made.run(20, progress=False)
if MPI.COMM_WORLD.rank:
    os.kill(os.getpid(), 9)
made.run(20, progress=False)
"""


@pytest.mark.slow
def test_a_rank_that_is_killed_ends_the_training_and_leaves_a_checkpoint(tmp_path):
    """The others end, it is said which one and how, and one process goes on."""
    sys.path.insert(0, str(HERE.parent / "training"))
    from runs import trainer

    done = run(2, "-c", KILLED.format(tests=str(HERE.parent / "training"), folder=str(tmp_path)))
    assert done.returncode != 0
    assert "signal 9" in done.stderr
    assert "rank 1" in done.stderr
    rest = trainer(tmp_path, Protocol((Stage(2, 4000),)))
    assert rest.resume()
    assert rest.step >= 20
    rest.run(5, progress=False)


STOPPED = """
import os, signal, sys, threading, time
from pathlib import Path
sys.path.insert(0, {tests!r})
from mpi4py import MPI
from runs import trainer
from lrc_numba.training import Protocol, Stage
from lrc_numba.training.checkpoint import Checkpoint
write = Checkpoint.write
def late(self, *arguments, **options):
    time.sleep(1.0)
    return write(self, *arguments, **options)
made = trainer(Path({folder!r}), Protocol((Stage(2, 400000),)), comm=MPI.COMM_WORLD)
made.run(5, progress=False)
Checkpoint.write = late
threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
made.run(progress=False)
"""


@pytest.mark.slow
def test_an_interrupted_training_ends_when_its_checkpoint_is_written(tmp_path):
    """However long that takes: the other ranks wait for it. It is said once."""
    sys.path.insert(0, str(HERE.parent / "training"))
    from runs import trainer

    done = run(2, "-c", STOPPED.format(tests=str(HERE.parent / "training"), folder=str(tmp_path)), limit=60)
    assert done.stderr.count("KeyboardInterrupt") == 1, done.stderr
    rest = trainer(tmp_path, Protocol((Stage(2, 400000),)))
    assert rest.resume()
    assert rest.step > 5
