"""Figure 6 of Loche et al. (2025): charges, and weights of two potentials, learned from energies.

Structures of 64 ions, half of them of each of two species, at random places of a cubic cell. First the charges of both
species are learned from Coulomb energies of charges +1 and −1, starting at random ones: only their product matters, so
that both may come out with the other sign. Then, with known charges, the weights of 1/r and 1/r² from energies of
a 1/r + b/r². All by Adam on batches; gradients by charges and by weights are those of the calculator.

    python -m figures.learned_charges --preset quick
    python -m figures.learned_charges --preset paper --seeds 0 1 2
    python -m figures.learned_charges --plot-only

Written are results/learned_charges.json and .png.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from lrc_numba.electrostatics import CombinedPotential, CoulombPotential, EwaldCalculator, InversePowerLawPotential
from lrc_numba.geometry.structures import Structures
from lrc_numba.training.adam import Adam
from validation.tools.common import environment, print_table, save_json

HERE = Path(__file__).parent
IONS, LENGTH, NEAREST = 64, 10.0, 1.0  # ions, length of the cell, and how near any two may be
CUTOFF, SIGMA, K_CUTOFF = 4.0, 0.9, 6.0
TRUTH = {"charges": (1.0, -1.0), "weights": (1.0, 0.5)}


@dataclass(frozen=True)
class Preset:
    """How much is learned from, and how long.

    Attributes
    ----------
    structures, batch, steps : int
        Structures, those of each step, and steps.
    rate : float
        Of Adam at the beginning; it falls by a cosine.
    """

    structures: int
    batch: int
    steps: int
    rate: float = 0.03


PRESETS = {"quick": Preset(32, 4, 150), "paper": Preset(500, 8, 1000)}


def structures(count: int, seed: int) -> Structures:
    """Random ions, no two of them closer than ``NEAREST``; species 0 and 1 in turns."""
    rng, sets = np.random.default_rng(seed), []
    for _ in range(count):
        points = np.empty((0, 3))
        while len(points) < IONS:
            point = LENGTH * rng.random(3)
            apart = points - point
            apart -= LENGTH * np.round(apart / LENGTH)
            if (np.einsum("ia,ia->i", apart, apart) > NEAREST**2).all():
                points = np.concatenate([points, point[None]])
        sets.append(points)
    return Structures.from_arrays(np.stack(sets), LENGTH, species=np.arange(IONS) % 2)


def calculator(weights=None) -> EwaldCalculator:
    """Coulomb's potential, or a sum of two."""
    potential = CoulombPotential(SIGMA)
    if weights is not None:
        potential = CombinedPotential([CoulombPotential(), InversePowerLawPotential(2)], weights, SIGMA)
    return EwaldCalculator(potential, CUTOFF, K_CUTOFF, threads=1)


def by_charges(charges: np.ndarray, some: Structures) -> tuple[np.ndarray, np.ndarray]:
    """Energies (B,) and their gradients by the charges of the species (B, 2)."""
    made = calculator().compute(some, charges[some.species], charge_gradient=True)
    gradient = made.charge_gradient.reshape(len(some), IONS)
    species = some.species.reshape(len(some), IONS)
    return made.energy, np.stack([np.where(species == s, gradient, 0.0).sum(axis=1) for s in (0, 1)], axis=1)


def by_weights(weights: np.ndarray, some: Structures) -> tuple[np.ndarray, np.ndarray]:
    """Energies (B,), which are linear in the weights, and their gradients (B, 2)."""
    charges = np.array(TRUTH["charges"])[some.species]
    each = [calculator(row).compute(some, charges).energy for row in np.eye(2)]
    gradient = np.stack(each, axis=1)
    return gradient @ weights, gradient


def learn(
    model, start: np.ndarray, data: Structures, wanted: np.ndarray, preset: Preset, seed: int
) -> list[list[float]]:
    """The parameters after every step."""
    parameters, adam, rng = start.copy(), Adam(2), np.random.default_rng(seed)
    path = [parameters.tolist()]
    for step in tqdm(range(preset.steps), leave=False):
        some = rng.choice(len(data), preset.batch, replace=False)
        energies, gradient = model(parameters, data[some])
        misfit = (energies - wanted[some]) / IONS
        rate = preset.rate * 0.5 * (1 + np.cos(np.pi * step / preset.steps))
        adam.step(parameters, 2 * (misfit @ gradient) / IONS / preset.batch, rate)
        path.append(parameters.tolist())
    return path


def run(preset: Preset, seeds: list[int]) -> list[dict]:
    """A training of charges and one of weights for every seed."""
    runs = []
    for seed in seeds:
        data, rng = structures(preset.structures, seed), np.random.default_rng(1000 + seed)
        for name, model in (("charges", by_charges), ("weights", by_weights)):
            truth = np.array(TRUTH[name])
            start = rng.uniform(-1.5, 1.5, 2)
            if name == "charges":
                start = np.where(start * truth * np.sign(start[0] * truth[0]) > 0, start, -start)  # of opposite sign
            wanted = model(truth, data)[0]
            path = learn(model, start, data, wanted, preset, seed)
            end = np.array(path[-1])
            away = min(np.abs(end - truth).max(), np.abs(end + truth).max() if name == "charges" else np.inf)
            runs.append({"seed": seed, "what": name, "path": path, "error": float(away)})
            print(f"seed {seed}, {name}: {np.round(start, 3)} to {np.round(end, 6)}, away from the truth by {away:.1e}")
    return runs


def draw(runs: list[dict], path: Path) -> None:
    """Parameters against steps; the other sign of charges is turned round."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
    for axis, (name, truth) in zip(axes, TRUTH.items(), strict=True):
        for each in runs:
            if each["what"] != name:
                continue
            lines = np.array(each["path"])
            if name == "charges" and lines[-1, 0] * truth[0] < 0:
                lines = -lines
            for i, colour in enumerate(("tab:blue", "tab:red")):
                axis.plot(lines[:, i], color=colour, lw=1, alpha=0.8)
        for value in truth:
            axis.axhline(value, color="0.5", ls=":", lw=1)
        axis.set_xlabel("step")
        axis.set_title({"charges": "charges of two species", "weights": "weights of 1/r and 1/r²"}[name], fontsize=10)
    figure.savefig(path, dpi=140)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m figures.learned_charges",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--preset", choices=PRESETS, default="quick", help="default: %(default)s")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="default: %(default)s")
    parser.add_argument("--plot-only", action="store_true", help="learn nothing: table and picture of what is on file")
    parser.add_argument("--output", type=Path, default=HERE / "results", help="folder (default: figures/results)")
    args = parser.parse_args()
    path = args.output / "learned_charges.json"
    if args.plot_only:
        record = json.loads(path.read_text(encoding="utf-8"))
    else:
        runs = run(PRESETS[args.preset], args.seeds)
        record = {"environment": environment(1), "preset": args.preset, "runs": runs}
        args.output.mkdir(parents=True, exist_ok=True)
        save_json(path, record)
    lines = []
    for name in TRUTH:
        errors = np.array([each["error"] for each in record["runs"] if each["what"] == name])
        lines.append([name, len(errors), f"{np.median(errors):.1e}", f"{errors.min():.1e} to {errors.max():.1e}"])
    print_table(
        f"Largest distance from the truth, preset {record['preset']}", ["learned", "seeds", "median", "range"], lines
    )
    draw(record["runs"], path.with_suffix(".png"))


if __name__ == "__main__":
    main()
