"""Transforms of grids on a device: all of them are a library's, on the device's own arrays."""

from __future__ import annotations

from . import library

__all__ = ["analyse", "synthesise"]


def analyse(values, reached, grid, out, threads, space):
    """See ``fourier.cpu.analyse``.

    Parameters
    ----------
    values, reached, grid, out, threads, space
        Shapes and dtypes as there.
    """
    return library.analyse(values, grid, out, threads)


def synthesise(modes, reached, grid, out, threads, space):
    """See ``fourier.cpu.synthesise``.

    Parameters
    ----------
    modes, reached, grid, out, threads, space
        Shapes and dtypes as there.
    """
    return library.synthesise(modes, grid, out, threads)
