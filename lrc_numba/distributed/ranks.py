"""Processes of an MPI communicator: sums in a fixed order, and errors that are raised on all of them.

Before anything is sent the ranks meet: each says what it is about to do, or that it failed, or that it ends. So a rank
that cannot go on is waited for by nobody: the others raise its error, with the number of the rank in front. One meeting
is an allgather of 16 bytes.

    sum   a reduce-scatter and an allgather: of S bytes each rank sends 2 S (R − 1)/R, and adds up in the order of ranks
"""

from __future__ import annotations

import atexit
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple, NoReturn
from zlib import crc32

import numpy as np

__all__ = ["Ranks"]

SMALL = 4096  # bytes, up to which every rank sends all it has to every other
KINDS = (ValueError, TypeError, MemoryError, NotImplementedError, ImportError, FileExistsError, OSError)
END = "the end of the process"
RANKS_OF_ERROR = "_ranks_of_error"  # attribute of an exception that all ranks of a communicator raise: Raised


class Raised(NamedTuple):
    """Who prints an exception that nobody catches, and whether there is anyone left who would wait."""

    here: bool
    everywhere: bool


class Ranks:
    """The ranks of a communicator.

    Parameters
    ----------
    comm : mpi4py.MPI.Intracomm, optional
        All processes by default.

    Attributes
    ----------
    comm : mpi4py.MPI.Intracomm
        The communicator.
    rank, size : int
        The number of this process, and how many there are.
    sent : int
        Bytes of data that this rank sent to others so far, without those of meetings.

    Raises
    ------
    ImportError
        Where mpi4py, or MPI, is not installed.
    TypeError
        For what is no communicator.

    Notes
    -----
    An exception that nobody catches is printed once where all ranks raise it. One of a single rank, or of a part of all
    processes, ends all of them.
    """

    def __init__(self, comm=None):
        self._mpi = _mpi()
        comm = self._mpi.COMM_WORLD if comm is None else comm
        if not isinstance(comm, self._mpi.Intracomm):
            raise TypeError(f"comm: expected a communicator of mpi4py, got {type(comm).__name__}")
        if comm == self._mpi.COMM_NULL:
            raise ValueError("comm: expected a communicator that this process is in, got COMM_NULL")
        self.comm, self.rank, self.size, self.sent = comm, comm.Get_rank(), comm.Get_size(), 0
        _end_together(self)

    def __repr__(self) -> str:
        return f"Ranks(rank {self.rank} of {self.size})"

    def __deepcopy__(self, _) -> Ranks:
        return self  # copies speak to the same processes

    def __reduce__(self) -> NoReturn:
        raise TypeError("ranks: a communicator has no pickle; make the plan anew on each rank")

    # ------------------------------------------------------------------ meetings
    def _meet(self, action: str, error: BaseException | None = None) -> None:
        """Go on where all ranks are about to do the same; else all of them raise the same error."""
        own = np.array([error is not None, crc32(action.encode())], dtype=np.int64)
        every = np.empty((self.size, 2), dtype=np.int64)
        self.comm.Allgather(own, every)
        if every[:, 0].any():
            self._raise(self.comm.allgather(None if error is None else (_kind(error), str(error))), error)
        if (every[:, 1] != every[0, 1]).any():
            self._differ(self.comm.allgather(action), action)

    def _raise(self, errors: list, own: BaseException | None) -> NoReturn:
        """The first of the errors, with the ranks that have it in front."""
        failed = [rank for rank, each in enumerate(errors) if each is not None]
        kind, message = errors[failed[0]]
        alike = [rank for rank in failed if errors[rank] == errors[failed[0]]]
        if len(alike) == self.size and isinstance(own, Exception) and type(own) is kind:
            raise self._of_ranks(own, alike)
        if len(alike) < self.size:
            message = f"rank{'s' * (len(alike) > 1)} {', '.join(map(str, alike))}: {message}"
        raise self._of_ranks(kind(message), alike) from own

    def _differ(self, actions: list[str], own: str) -> NoReturn:
        """The error where ranks are about to do different things; of those that go on, where some have ended."""
        going = [rank for rank, action in enumerate(actions) if action != END]
        first = going[0] if own != END else 0
        other = next(rank for rank, action in enumerate(actions) if action != actions[first])
        what = (
            f"expected the same on all ranks, got {actions[first]} on rank {first} and {actions[other]} on rank {other}"
        )
        error = self._of_ranks(ValueError(what), [first, other])
        if END in actions:  # nobody can wait for those any more
            setattr(error, RANKS_OF_ERROR, Raised(self.rank == first, False))
            atexit.unregister(_meet_once_more)
        raise error

    def _of_ranks(self, error: BaseException, ranks: list[int]) -> BaseException:
        """The error, marked as one that all ranks of the communicator raise."""
        whole = self.size == self._mpi.COMM_WORLD.Get_size()
        setattr(error, RANKS_OF_ERROR, Raised(self.rank == ranks[0], whole))
        return error

    def interrupted(self) -> KeyboardInterrupt:
        """What all ranks raise that were told to stop; they meet, so that none ends while another saves what it has."""
        self._meet("an interruption")
        error = KeyboardInterrupt()
        self._of_ranks(error, [0])
        return error

    @contextmanager
    def together(self, name: str) -> Iterator[None]:
        """Work that all ranks do: what one of them raises in it, all of them raise.

        Parameters
        ----------
        name : str
            Of the work.
        """
        try:
            yield
        except Exception as error:
            if hasattr(error, RANKS_OF_ERROR):
                raise
            self._meet(name, error)
        else:
            self._meet(f"the end of {name}")

    def agree(self, name: str, value: object, numbers: tuple[float, ...] = ()) -> None:
        """Raise a ValueError on all ranks where one has other settings.

        Parameters
        ----------
        name : str
            Of the argument.
        value : object
            Compared by its ``repr``.
        numbers : tuple of float
            Compared up to rounding of the largest.
        """
        self._meet(f"{name} {value!r}" if value != "" else name)
        if numbers:
            every = self.gather(np.array(numbers, dtype=np.float64))
            apart = (np.abs(every - every[0]) > 1e-9 * np.abs(every[0]).max()).any(axis=1)
            if apart.any():
                other = int(apart.argmax())
                message = f"{name}: expected the same on all ranks, got another one on rank {other} than on rank 0"
                raise self._of_ranks(ValueError(message), [0, other])

    # ------------------------------------------------------------------ data
    def sum(self, array) -> np.ndarray:
        """The sum over ranks, added up in their order: the same bits on each, which depend on their number alone.

        Parameters
        ----------
        array : real or complex array
            Of the same shape on all ranks; in place where it is contiguous.
        """
        array = np.asarray(array)
        array = array if array.flags.c_contiguous else np.ascontiguousarray(array)
        self._meet(f"sum of {array.dtype} {array.shape}")
        if self.size == 1 or not array.size:
            return array
        flat = array.reshape(-1)
        flat = flat.view(flat.real.dtype)
        if flat.nbytes <= SMALL:
            flat[...] = _added_up(self._gathered(flat))
        else:
            self._sum_pieces(flat)
        return array

    def _sum_pieces(self, flat: np.ndarray) -> None:
        """Each rank adds up a piece of the array, and hands it to all."""
        bounds = np.arange(self.size + 1) * len(flat) // self.size
        starts, counts = bounds[:-1], np.diff(bounds)
        own = int(counts[self.rank])
        pieces = np.empty((self.size, own), dtype=flat.dtype)
        every = (np.full(self.size, own), np.arange(self.size) * own)
        self.comm.Alltoallv([flat, (counts, starts)], [pieces, every])
        total = _added_up(pieces)
        self.comm.Allgatherv(total, [flat, (counts, starts)])
        self.sent += flat.itemsize * (len(flat) - own + own * (self.size - 1))

    def gather(self, array: np.ndarray) -> np.ndarray:
        """Small arrays of all ranks, of one shape, in their order: (R, …).

        Parameters
        ----------
        array : contiguous array
            Of this rank.
        """
        self._meet(f"gathering {array.dtype} {array.shape}")
        return self._gathered(array)

    def _gathered(self, array: np.ndarray) -> np.ndarray:
        every = np.empty((self.size, *array.shape), dtype=array.dtype)
        self.comm.Allgather(np.ascontiguousarray(array), every)
        self.sent += array.nbytes * (self.size - 1)
        return every

    def total(self, count: int) -> int:
        """The sum over ranks of a count."""
        return int(self.sum(np.array([count], dtype=np.int64))[0])

    def first(self, value: Any) -> Any:
        """What the first rank has.

        Parameters
        ----------
        value : object
            That can be pickled.
        """
        self._meet("what the first rank has")
        return self.comm.bcast(value, root=0)

    @staticmethod
    def same(error: Exception, cause: Exception) -> None:
        """Let an error that stands for another one be one of all ranks, where that was.

        Parameters
        ----------
        error, cause : Exception
            The new one, and the other.
        """
        if hasattr(cause, RANKS_OF_ERROR):
            setattr(error, RANKS_OF_ERROR, getattr(cause, RANKS_OF_ERROR))

    @staticmethod
    def stop_behind(error: BaseException) -> BaseException:
        """What is no ``Exception``, such as ``KeyboardInterrupt``, and stands behind an error; else the error itself.

        Parameters
        ----------
        error : BaseException
            Of this process.
        """
        cause: BaseException | None = error
        while isinstance(cause, Exception):
            cause = cause.__cause__
        return error if cause is None else cause

    @staticmethod
    def is_told_here(error: BaseException) -> bool:
        """Whether this process is the first of those that have an error, or the only one.

        Parameters
        ----------
        error : BaseException
            Of this process.
        """
        return getattr(error, RANKS_OF_ERROR, Raised(True, False)).here

    def exchange(self, pieces: list[np.ndarray], width: int) -> list[np.ndarray]:
        """Hand an array (n, width) of float64 to each rank; returns what each of them handed to this one.

        Parameters
        ----------
        pieces : list of (n, width) arrays
            One for each rank.
        width : int
            Columns.
        """
        self._meet(f"exchange of {width} columns")
        counts = np.array([piece.size for piece in pieces], dtype=np.int64)
        expected = np.empty_like(counts)
        self.comm.Alltoall(counts, expected)
        given = np.concatenate([np.asarray(piece, dtype=np.float64).reshape(-1) for piece in pieces])
        received = np.empty(int(expected.sum()))
        starts = [np.concatenate([[0], np.cumsum(each)[:-1]]) for each in (counts, expected)]
        self.comm.Alltoallv([given, (counts, starts[0])], [received, (expected, starts[1])])
        self.sent += 8 * int(counts.sum() - counts[self.rank])
        return [each.reshape(-1, width) for each in np.split(received, np.cumsum(expected)[:-1])]


def _added_up(pieces: np.ndarray) -> np.ndarray:
    """Σ over the first axis, in its order."""
    total = pieces[0].copy()
    for piece in pieces[1:]:
        total += piece
    return total


def _mpi() -> Any:
    """mpi4py's ``MPI``."""
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as missing:
        raise ImportError(
            "comm: several processes need mpi4py and an MPI library, as pip install 'lrc_numba[mpi]' brings them "
            f"({missing})"
        ) from missing
    return MPI


def _kind(error: BaseException) -> type:
    """The type of an error that other ranks raise: its own, where a message makes one."""
    own = type(error)
    if own.__module__.split(".")[0] == __name__.split(".")[0]:
        return own
    return next((kind for kind in KINDS if isinstance(error, kind)), RuntimeError)


def _end_together(ranks: Ranks) -> None:
    """See to it that an exception that nobody catches is printed once, and that no rank waits for one that is gone."""
    mpi = _mpi()
    if mpi.COMM_WORLD.Get_size() == 1:
        return
    if ranks.comm == mpi.COMM_WORLD and not _ENDING:  # other communicators may be gone by then
        _ENDING.append(ranks)
        atexit.register(_meet_once_more)
    if getattr(sys.excepthook, "of_ranks", False):
        return
    before = sys.excepthook

    def hook(kind, error, traceback) -> None:
        """Print an error of all ranks on the first that has it; of some, print it and end all."""
        raised = getattr(error, RANKS_OF_ERROR, Raised(True, False))
        if raised.here:
            before(kind, error, traceback)
            sys.stderr.flush()
            if not raised.everywhere:
                _mpi().COMM_WORLD.Abort(1)

    hook.of_ranks = True  # type: ignore[attr-defined]
    sys.excepthook = hook


_ENDING: list[Ranks] = []  # of all processes, once they are used


def _meet_once_more() -> None:
    """At the end of a process, so that ``sys.exit`` on one rank is an error on those that go on."""
    if not _mpi().Is_finalized():
        with suppress(ValueError):
            _ENDING[0]._meet(END)
