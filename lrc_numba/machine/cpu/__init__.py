"""What loops for processors need: compiled by Numba, on threads of Python; ``machine.cuda`` has the same for GPUs."""
