"""What loops for NVIDIA GPUs need, name for name what ``machine.cpu`` has.

Kernels take the same arguments; the range [lo, hi) that a thread of the CPU is given is spread over the whole device.
Everything is done on the stream that is current in CuPy.
No floating-point atomics are used anywhere, so results are the same bits every time.
"""
