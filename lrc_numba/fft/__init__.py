"""Discrete Fourier transforms: our own, vectors of eight at a time, for the CPU; and those of a library.

They are compiled as the loops of ``lrc_numba.cpu`` are, but have no counterpart in ``lrc_numba.cuda``.
"""
