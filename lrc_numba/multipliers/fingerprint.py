"""Comparable descriptions of what an object depends on, which tell whether a kept table is still valid.

Equal descriptions must mean equal results, so what cannot be described for certain raises ``Uncertain``: objects of
unknown classes, closures, bound methods, modules that anybody may write to. Differences without effect cost no more
than a table computed once more. Plans are copied and sent to other processes with what they keep, so descriptions are
made of what can be.
"""

from __future__ import annotations

import dis
import marshal
from collections.abc import Callable, Hashable
from functools import cached_property, lru_cache
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType, NoneType
from typing import Any

import numpy as np

__all__ = ["Described", "Uncertain", "describe", "describe_class", "is_fixed"]

# Modules whose functions and classes are taken to stay what they are.
FIXED = frozenset({"builtins", "cmath", "lrc_numba", "math", "numpy", "scipy"})
# Entries of a class that ``values`` cannot depend on.
WITHOUT_EFFECT = frozenset(
    {"__annotations__", "__dict__", "__doc__", "__firstlineno__", "__module__", "__qualname__", "__weakref__"}
    | {"__static_attributes__"}
)
# Names through which a function reaches what its code does not name.
REACHING = frozenset(
    {"__builtins__", "__closure__", "__globals__", "__import__", "__subclasses__"}
    | {"eval", "exec", "globals", "input", "locals", "open", "vars"}
)
BY_IDENTITY = (FunctionType, BuiltinFunctionType, np.ufunc, type, type(np.sum))


class Uncertain(Exception):
    """Something that cannot be compared for certain."""


class Described:
    """A class whose instances describe themselves."""

    def state(self) -> tuple | None:
        """What the instance depends on, None where that is not certain."""
        raise NotImplementedError


def describe(value: object) -> Hashable:
    """The present content of ``value``: equal descriptions, equal content.

    Raises
    ------
    Uncertain
        Where that cannot be promised.
    RecursionError
        For containers that contain themselves.
    """
    by_value = BY_VALUE.get(type(value))
    if by_value is not None:
        return by_value(value)
    if isinstance(value, Described):
        state = value.state()
        if state is None:
            raise Uncertain
        return state
    if isinstance(value, np.generic):
        return type(value), _describe_array(np.asarray(value))
    return _describe_code(value)


def _describe_array(array: np.ndarray) -> Hashable:
    if array.dtype.kind not in "biufcSUMm":  # structures may have gaps, and objects are addresses
        raise Uncertain
    return array.dtype.str, array.shape, array.tobytes()


def _describe_number(number: complex) -> Hashable:
    return type(number), repr(number)  # exact, and tells −0 from 0


def _describe_items(items: list | tuple) -> Hashable:
    return type(items), tuple([describe(item) for item in items])


def _describe_dict(items: dict) -> Hashable:
    return dict, tuple([(describe(key), describe(item)) for key, item in items.items()])


def _describe_set(items: set | frozenset) -> Hashable:
    return type(items), frozenset([describe(item) for item in items])


def _itself(value: Hashable) -> Hashable:
    """It equals nothing else in a description, where all else is a tuple."""
    return value


BY_VALUE: dict[type, Callable[[Any], Hashable]] = {
    np.ndarray: _describe_array,
    dict: _describe_dict,
    **dict.fromkeys((str, bytes, NoneType), _itself),
    **dict.fromkeys((int, bool, float, complex), _describe_number),
    **dict.fromkeys((list, tuple), _describe_items),
    **dict.fromkeys((set, frozenset), _describe_set),
}


def _describe_code(value: object) -> Hashable:
    """Functions, classes and modules."""
    if isinstance(value, ModuleType) and value.__name__.partition(".")[0] in FIXED:
        return "module", value.__name__
    if isinstance(value, BY_IDENTITY) and _home(value).partition(".")[0] in FIXED:
        return (value,)
    if isinstance(value, FunctionType):
        return _describe_function(value)
    if isinstance(value, (staticmethod, classmethod)):
        return type(value), describe(value.__func__)
    if isinstance(value, property):
        return property, describe(value.fget)
    if isinstance(value, cached_property):
        return cached_property, describe(value.func)
    raise Uncertain


def _home(value: object) -> str:
    """The module that defines ``value``; of a function the true one, as ``functools.wraps`` puts another name there."""
    if isinstance(value, FunctionType):
        return str(value.__globals__.get("__name__", ""))
    return str(getattr(value, "__module__", ""))


def _describe_function(function: FunctionType) -> Hashable:
    """The function itself, its code, its attributes and defaults, and the globals that the code names."""
    code, present = function.__code__, function.__globals__
    names, reaching, content = _names(code)
    if reaching or (code.co_freevars and code.co_freevars != ("__class__",)):
        raise Uncertain
    named = [(name, describe(present[name])) for name in names if name in present]
    held = (function.__defaults__, function.__kwdefaults__, function.__dict__)
    return (function, content, describe(held), *named) if any(held) else (function, content, *named)


@lru_cache(maxsize=1024)
def _names(code: CodeType) -> tuple[tuple[str, ...], bool, bytes]:
    """The names that the code and what it defines look up, whether it reaches what no name tells, and the code."""
    names = dict.fromkeys(code.co_names)
    reaching = bool(REACHING.intersection(names))
    for instruction in dis.get_instructions(code):
        if instruction.opname == "IMPORT_NAME" and str(instruction.argval).partition(".")[0] not in FIXED:
            reaching = True
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            inner, reaching_inside, _ = _names(constant)
            names |= dict.fromkeys(inner)
            reaching = reaching or reaching_inside
    return tuple(names), reaching, marshal.dumps(code)


@lru_cache(maxsize=1024)
def _changeable(classes: tuple[type, ...]) -> tuple[type, ...]:
    """Classes that may be changed: those not in ``FIXED`` modules."""
    return tuple(owner for owner in classes if owner.__module__.partition(".")[0] not in FIXED)


@lru_cache(maxsize=1024)
def is_fixed(kind: type) -> bool:
    """Whether a class and all those above it are taken to stay what they are."""
    return not _changeable(kind.__mro__)


def describe_class(kind: type) -> Hashable:
    """The class of an instance, with all that classes of others than this package hold.

    Raises
    ------
    Uncertain
        As for ``describe``.
    """
    if type(kind) is not type:  # its own class may hold what instances reach
        raise Uncertain
    entries = [
        (name, describe(entry))
        for owner in _changeable(kind.__mro__)
        for name, entry in vars(owner).items()
        if name not in WITHOUT_EFFECT
    ]
    return kind, *entries
