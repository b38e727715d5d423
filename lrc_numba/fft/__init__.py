"""Discrete Fourier transforms: our own, vectors of eight at a time, for the CPU; and those of a library."""
