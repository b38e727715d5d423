"""Discrete Fourier transforms on vectors of eight at a time, for the CPU only; a GPU uses a library's."""
