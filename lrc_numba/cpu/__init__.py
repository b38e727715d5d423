"""Loops on the CPU, compiled by Numba. ``cuda`` has the same modules and names."""
