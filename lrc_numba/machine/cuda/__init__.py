"""What loops for NVIDIA GPUs need, with the names of ``machine.cpu``.

Kernels take the same arguments; the range [lo, hi) that a thread of the CPU is given is shared out over the whole
device. Everything runs on CuPy's current stream. No floating-point atomics are used anywhere, so results have the same
bits every time.
"""
