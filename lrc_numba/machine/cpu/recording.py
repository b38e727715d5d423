"""Loops that were run once, to be run again on the same arrays.

Of few points, what Python does between the loops takes as long as the loops: sizes, views of arrays, what is looked up.
Where none of that depends on the numbers in the arrays it is the same in every call, and need not be done again.
"""

from __future__ import annotations

from . import parallel

__all__ = ["Recording"]


class Recording:
    """Takes the place of the module ``parallel`` while loops run for the first time, and remembers them."""

    def __init__(self) -> None:
        self._calls: list[tuple] = []  # functions and their arguments

    def __getattr__(self, name: str):
        return getattr(parallel, name)

    def run(self, kernel, bounds: list[int], *arguments) -> None:
        """``parallel.run``, remembered.

        Parameters
        ----------
        kernel, bounds, arguments
            As there; arrays are to stay where they are.
        """
        parallel.run(kernel, bounds, *arguments)
        if len(bounds) == 2:
            self._calls.append((kernel, (0, *bounds, *arguments)))
        else:
            self._calls.append((parallel.run, (kernel, bounds, *arguments)))

    def again(self) -> None:
        """Run all loops once more, in the same order, with what their arrays hold by now."""
        for function, arguments in self._calls:
            function(*arguments)
