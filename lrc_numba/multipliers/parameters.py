"""Parameters of multipliers: how they are checked, and how they are read and written by name."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from numbers import Real
from typing import TYPE_CHECKING

import numpy as np

from ..arguments import is_masked

if TYPE_CHECKING:
    from .multiplier import Multiplier

__all__ = ["ParameterView", "as_number", "as_numbers", "as_parameter"]


def as_numbers(owner: object, name: str, value, kinds: str = "iuf") -> np.ndarray:
    """``value`` as an array of finite numbers, in the dtype that it comes in.

    Parameters
    ----------
    owner : object
        Whose class the message names.
    name : str
        What to call it in a message.
    value : array_like
        What came.
    kinds : str
        Kinds of dtype that are accepted; with "c" among them complex numbers.

    Raises
    ------
    TypeError
        When it is not made of such numbers, or has a mask, which would be lost.
    ValueError
        When rows have different lengths, nothing is in it, or a number is not finite.
    """
    prefix, wanted = f"{type(owner).__name__}: {name} must be", "real or complex" if "c" in kinds else "real"
    if is_masked(value):
        raise TypeError(f"{prefix} {wanted} numbers, got a masked array; fill it first")
    try:
        array = np.asarray(value)
    except ValueError:
        raise ValueError(f"{prefix} a number or an array, got {value!r}") from None
    if array.dtype.kind not in kinds:
        raise TypeError(f"{prefix} {wanted} numbers, got dtype {array.dtype}")
    if array.size == 0:
        raise ValueError(f"{prefix} at least one number, got shape {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{prefix} finite, got {value}")
    return array


def as_parameter(owner: object, name: str, value) -> np.ndarray:
    """A copy of ``value`` as a float64 array of finite real numbers.

    Parameters
    ----------
    owner, name, value
        As for ``as_numbers``, errors too.
    """
    with np.errstate(over="ignore"):
        array = as_numbers(owner, name, value).astype(np.float64, order="C")
    if not np.isfinite(array).all():  # a number of extended precision can be beyond float64
        raise ValueError(f"{type(owner).__name__}: {name} must be finite in float64, got {value}")
    return array


def as_number(owner: object, name: str, value) -> float:
    """``value`` as a finite float, where it is one real number and no bool.

    Parameters
    ----------
    owner, name
        As for ``as_numbers``.
    value : float
        What came.

    Raises
    ------
    TypeError, ValueError
        When it is something else; when it is not finite.
    """
    scalar = value[()] if isinstance(value, np.ndarray) and value.ndim == 0 else value
    if not isinstance(scalar, Real) or isinstance(scalar, bool):
        raise TypeError(f"{type(owner).__name__}: {name} must be a real number, got {value!r}")
    try:
        number = float(scalar)
    except OverflowError:
        number = np.inf
    if not np.isfinite(number):
        raise ValueError(f"{type(owner).__name__}: {name} must be finite, got {scalar}")
    return number


class ParameterView(MutableMapping[str, np.ndarray]):
    """The parameters of a multiplier and of its parts by name; what is written goes to the part, checked.

    Reading gives the array that the multiplier works with, and ``parameters["lam"][...] = 2.0`` changes it unchecked;
    ``parameters["lam"] = 2.0`` puts the value into the same array after the checks of the constructor, and leaves the
    old one where they fail. An operator in place, as ``parameters["lam"] -= 1.0``, writes before it is checked: where
    that raises, the new value stays. Names and shapes are fixed.

    Parameters
    ----------
    multiplier : Multiplier
        Whose.
    """

    __slots__ = ("_multiplier",)

    def __init__(self, multiplier: Multiplier):
        self._multiplier = multiplier

    def _find(self, name: str) -> tuple[Multiplier, str]:
        """The multiplier that owns a parameter, or the part that says which one does, and the name there."""
        if name in self._multiplier._parameters:
            return self._multiplier, name
        for prefix, part in self._multiplier._components():
            if isinstance(name, str) and name.startswith(prefix) and name[len(prefix) :] in part.parameters:
                return part, name[len(prefix) :]
        names = ", ".join(map(repr, self)) or "no parameters"
        raise KeyError(f"{type(self._multiplier).__name__} has {names}, got {name!r}")

    def __getitem__(self, name: str) -> np.ndarray:
        owner, inner = self._find(name)
        return owner._parameters[inner] if owner is self._multiplier else owner.parameters[inner]

    def __setitem__(self, name: str, value) -> None:
        owner, inner = self._find(name)
        if owner is self._multiplier:
            owner._write(inner, value)
            return
        mapping = owner.parameters
        if not isinstance(mapping, ParameterView):  # it may be made for this call, and the value be lost with it
            raise TypeError(f"{name}: {type(owner).__name__} defines parameters of its own; change them there")
        mapping[inner] = value

    def __delitem__(self, name: str) -> None:
        raise KeyError(f"{type(self._multiplier).__name__}: a parameter cannot be removed, got {name!r}")

    def clear(self) -> None:
        """Refused, as every removal."""
        raise KeyError(f"{type(self._multiplier).__name__}: parameters cannot be removed")

    def __iter__(self) -> Iterator[str]:
        yield from self._multiplier._parameters
        for prefix, part in self._multiplier._components():
            for name in part.parameters:
                yield prefix + name

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return repr(dict(self))
