"""Attributes that cannot be replaced, as what was made from them would go on with the old ones."""

from __future__ import annotations

from typing import Any, ClassVar

__all__ = ["Fixed"]


class Fixed:
    """A class some of whose attributes are set once.

    Attributes
    ----------
    fixed : dict of str to str
        Names of these, and what to do instead of replacing them.
    """

    fixed: ClassVar[dict[str, str]] = {}

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.fixed and name in self.__dict__ and value is not self.__dict__[name]:
            raise AttributeError(f"{name}: {type(self).__name__} was made with it; {self.fixed[name]}")
        super().__setattr__(name, value)
