"""Loops for processors: compiled by Numba, on threads of Python. ``lrc_numba.cuda`` has the same for GPUs."""
