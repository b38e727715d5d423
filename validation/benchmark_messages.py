"""How long a step of force matching takes: two rounds of messages with a long range, beside the same in PyTorch.

The loss of energies and forces and its gradient, for batches as in ``validation.long_range``: ten molecules in free
space, float32; and ions in periodic cells. The peer has the same parameters, messages and loss, and is differentiated
by autograd; it gets its pairs for nothing, ours are searched for. It takes turns with ours in one process, and its loss
and gradient stand beside ours. Without PyTorch there are our times alone.

  python -m validation.benchmark_messages --quick
  OPENBLAS_NUM_THREADS=1 python -m validation.benchmark_messages --threads 1
"""

from __future__ import annotations

import sys

import numpy as np

from lrc_numba.geometry.structures import Structures
from lrc_numba.networks import LossWeights, MessagePassingNetwork

from .tools import torch_messages
from .tools.common import alternate, arguments, environment, print_table, relative_error, save_json

CUTOFF, CHANNELS, SIGMA, DENSITY = 5.0, 32, 2.0, 0.1
CASES = (  # structures, atoms in each, periodic, features of the long range
    (10, 22, False, 0),
    (10, 22, False, 32),
    (4, 128, True, 32),
    (1, 1000, True, 32),
)
GOAL = 1.5  # times the peer's time at most


def problem(count: int, atoms: int, periodic: bool) -> Structures:
    """Atoms of three species on a shaken lattice, with energies and forces."""
    rng, side = np.random.default_rng(0), (atoms / DENSITY) ** (1 / 3)
    per_axis = int(np.ceil(atoms ** (1 / 3) - 1e-9))
    sites = np.stack(np.meshgrid(*[np.arange(per_axis)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    lattice = np.stack([sites[rng.permutation(len(sites))[:atoms]] for _ in range(count)]) * side / per_axis
    positions = lattice + 0.15 * rng.uniform(-1, 1, lattice.shape)
    known = {"species": rng.integers(1, 4, (count, atoms)), "energies": rng.standard_normal(count)}
    forces = rng.standard_normal(positions.shape)
    return Structures.from_arrays(positions, side if periodic else None, forces=forces, **known)


def measure(case: tuple, dtype: str, threads: int, repeats: int) -> dict:
    """Seconds of a step, and how far loss and gradient are apart."""
    count, atoms, periodic, features = case
    data, weights = problem(count, atoms, periodic), LossWeights(energy=1.0, forces=1 / (3 * atoms))
    options = {"channels": CHANNELS, "dtype": np.dtype(dtype)}
    options |= {"long_range": features, "sigma": SIGMA} if features else {}
    network = MessagePassingNetwork((1, 2, 3), CUTOFF, threads=threads, **options)
    made = {}

    def ours() -> None:
        made["ours"] = network.loss(data, weights)

    calls = {"ours": ours}
    if torch_messages.available():
        import torch

        torch.set_num_threads(threads)
        peer = torch_messages.TorchMessages(network)
        batch = torch_messages.Batch.of(data, network)

        def theirs() -> None:
            made["PyTorch"] = peer.loss(batch, weights)

        calls["PyTorch"] = theirs
    row = {"case": list(case), "dtype": dtype, "threads": threads, "seconds": alternate(calls, repeats, budget=20.0)}
    if "PyTorch" in made:
        row["loss"] = [float(made[name][0]) for name in ("ours", "PyTorch")]
        row["gradients apart"] = relative_error(made["ours"][1], made["PyTorch"][1])
    return row


def main() -> int:
    """Measure, print and keep; exit status 1 where a goal is missed."""
    parser = arguments("benchmark_messages", __doc__ or "")
    args = parser.parse_args()
    threads = args.threads or 1
    if not torch_messages.available():
        print("SKIPPED: no PyTorch, so there are our times alone")
    rows = [
        measure(case, dtype, threads, 3 if args.quick else 21)
        for case in CASES[: 2 if args.quick else None]
        for dtype in ("float32", "float64")
    ]
    lines, missed = [], []
    for row in rows:
        count, atoms, periodic, features = row["case"]
        ours, theirs = row["seconds"]["ours"], row["seconds"].get("PyTorch")
        line = [count, atoms, "cell" if periodic else "free", features, row["dtype"], f"{1e3 * ours:.1f}"]
        if theirs:
            line += [f"{1e3 * theirs:.1f}", f"{theirs / ours:.2f}", f"{row['gradients apart']:.0e}"]
            if ours > GOAL * theirs:
                missed.append(f"{ours / theirs:.2f} times PyTorch for {count} x {atoms} atoms, {row['dtype']}")
        lines.append([str(cell) for cell in line] + ["-"] * (0 if theirs else 3))
    header = [
        "structures",
        "atoms",
        "in",
        "features",
        "dtype",
        "ms/step",
        "PyTorch",
        "times as fast",
        "gradients apart",
    ]
    title = f"A step of force matching, two rounds of messages, {CHANNELS} channels, {threads} thread(s)"
    print_table(title, header, lines)
    print("\n".join(f"MISSED: {line}" for line in missed) or f"All are within {GOAL:g} times the peer's time.")
    table = {"title": title, "header": header, "lines": lines}
    save_json(args.output / "benchmark_messages.json", {"environment": environment(threads), **table, "rows": rows})
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
