"""What keeps a workspace does one thing at a time: a call from another thread meanwhile is an error."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

__all__ = ["Idle", "alone", "at_work", "taken"]

P = ParamSpec("P")
R = TypeVar("R")


class Idle(list):
    """One entry, which whoever is at work takes; a copy of its owner has nothing to do yet."""

    def __init__(self) -> None:
        super().__init__([None])

    def __reduce__(self) -> tuple:
        return Idle, ()


def alone(method: Callable[P, R]) -> Callable[P, R]:
    """A method of a plan or network that raises a RuntimeError while it is at work, in another thread or further up.

    Parameters
    ----------
    method : function
        Its owner has an ``Idle`` named ``_idle``.
    """

    @wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        """The method, alone."""
        idle: list = args[0]._idle  # type: ignore[attr-defined]
        if not taken(idle):
            raise at_work(method.__name__, args[0])
        try:
            return method(*args, **kwargs)
        finally:
            idle.append(None)

    return call


def taken(idle: list) -> bool:
    """Whether this thread took the one entry of ``idle``; of two at once one gets it.

    Parameters
    ----------
    idle : Idle
        Of what is to work.
    """
    try:
        idle.pop()
    except IndexError:
        return False
    return True


def at_work(name: str, owner: object) -> RuntimeError:
    """What to raise where a method is called while its owner is at work.

    Parameters
    ----------
    name : str
        Of the method.
    owner : object
        A plan, or what it calls itself by its ``noun``.
    """
    noun = getattr(owner, "noun", "plan")
    return RuntimeError(
        f"{name}: the {noun} is at work already, and has one workspace; make a {noun} for every thread, as with "
        f"copy.deepcopy({noun})"
    )
