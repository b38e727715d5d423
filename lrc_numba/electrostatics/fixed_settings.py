"""Objects that stay as they were made: what was prepared with a setting is never used with another one."""

from __future__ import annotations

from typing import ClassVar

__all__ = ["FixedSettings"]


class FixedSettings:
    """Base of classes some attributes of which are set once.

    Raises
    ------
    AttributeError
        Where one of ``settings`` is set again, with its name, what it is and what to do.
    """

    settings: ClassVar[frozenset[str]] = frozenset()
    """What lists, plans and kernels are made with, and what stays as it was given."""

    def __setattr__(self, name: str, value) -> None:
        if name in self.settings and name in self.__dict__:
            ways = "use potential.set_parameters, or make" if name == "potential" else "make"
            kind, own = type(self).__name__, self.__dict__[name]
            raise AttributeError(
                f"{name}: lists and plans were made with {own!r}, got {value!r}; {ways} another {kind}"
            )
        super().__setattr__(name, value)
