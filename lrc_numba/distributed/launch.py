"""The command that starts several processes of this interpreter, with the ``mpiexec`` that is installed beside it."""

from __future__ import annotations

import os
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

__all__ = ["command", "why_not"]


def _mpiexec() -> str | None:
    own = Path(sys.executable).parent / "mpiexec"
    return str(own) if own.exists() else shutil.which("mpiexec")


def why_not() -> str:
    """Why processes cannot be started here; nothing where they can."""
    if find_spec("mpi4py") is None:
        return "no mpi4py: pip install 'lrc_numba[mpi]'"
    return "" if _mpiexec() else "no mpiexec: pip install 'lrc_numba[mpi]'"


def command(ranks: int, *arguments: str) -> list[str]:
    """The command line that runs this interpreter on several ranks of this machine.

    Parameters
    ----------
    ranks : int
        How many; more than there are processors as well.
    *arguments : str
        Of the interpreter.

    Raises
    ------
    ImportError
        Where there is no MPI.
    """
    mpiexec = _mpiexec()
    if why_not() or mpiexec is None:
        raise ImportError(f"ranks: cannot be started, {why_not()}")
    crowded = []
    if "open mpi" in os.popen(f"'{mpiexec}' --version").read().lower():
        crowded = ["--oversubscribe", "--bind-to", "none"] + ["--allow-run-as-root"] * (os.getuid() == 0)
    return [mpiexec, *crowded, "-n", str(ranks), sys.executable, *arguments]
