"""Figure 6 of Loche et al. (2025): charges, and weights of two potentials, learned from energies.

Structures of 64 ions, half of them of each of two species, at random places of a cubic cell. First the charges of both
species are learned from Coulomb energies of charges +1 and −1, starting at random ones of opposite sign: energies are
quadratic in them, so both may come out with the other sign. Then, with known charges, the weights of 1/r and 1/r²
from energies of a/r + b/r². All by Adam on batches, each of one call; the gradient by charges is that of the
calculator, the one by weights its gradient by parameters of the potential. Energies learned from are those of tight
Ewald summation, so that the mesh's own errors are part of what is shown.

    python -m figures.learned_charges --preset quick
    python -m figures.learned_charges --preset paper --seeds 0 1 2
    python -m figures.learned_charges --plot-only

Written are results/learned_charges.json and .png.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from lrc_numba.electrostatics import (
    Calculator,
    CombinedPotential,
    CoulombPotential,
    EwaldCalculator,
    InversePowerLawPotential,
    MeshCalculator,
    Potential,
)
from lrc_numba.geometry.structures import Structures
from lrc_numba.training.adam import Adam
from validation.tools.common import print_table, save_json

from .common import figure_parser, kept_record, new_record, separated_points

IONS, LENGTH, NEAREST = 64, 10.0, 1.0  # ions, length of the cell, and how near any two may be
CUTOFF, SIGMA, K_CUTOFF = 4.0, 0.9, 6.0  # of the calculator: both parts end at some 1e-5 of where they begin
TIGHT_CUTOFF = 7.4  # of the Ewald sums: 8.2 σ, where pairs are down to rounding
TRUTH = {"charges": (1.0, -1.0), "weights": (1.0, 0.5)}
KEPT = 200  # points of each curve that are written

Maker = Callable[[Potential], Calculator]
Model = Callable[[np.ndarray, Structures, bool], tuple[np.ndarray, np.ndarray | None]]


@dataclass(frozen=True)
class Preset:
    """How much is learned from, and how long.

    Attributes
    ----------
    structures, batch, steps : int
        Structures, those of each step, and steps.
    rate : float
        Of Adam at the beginning; it falls to zero by a cosine.
    beta2 : float
        Of Adam: of squares of gradients the last 100 or so count, as they fall by decades.
    """

    structures: int
    batch: int
    steps: int
    rate: float = 0.3
    beta2: float = 0.99


PRESETS = {"quick": Preset(32, 8, 150), "paper": Preset(200, 8, 400)}


def structures(count: int, seed: int) -> Structures:
    """Random ions, species 0 and 1 in turns."""
    rng = np.random.default_rng(seed)
    sets = [separated_points(IONS, LENGTH, NEAREST, rng) for _ in range(count)]
    return Structures.from_arrays(np.stack(sets), LENGTH, species=np.arange(IONS) % 2)


def on_mesh(potential: Potential) -> Calculator:
    """What is learned with."""
    return MeshCalculator(potential, CUTOFF, K_CUTOFF, threads=1)


def tight(potential: Potential) -> Calculator:
    """What is learned from: explicit sums, exact to rounding."""
    return EwaldCalculator(potential, TIGHT_CUTOFF, threads=1)


def charge_model(make: Maker) -> Model:
    """A function for energies (B,) of charges of two species, and where wanted their gradients by these (B, 2)."""
    calculator = make(CoulombPotential(SIGMA))

    def energies(charges: np.ndarray, some: Structures, slopes: bool) -> tuple[np.ndarray, np.ndarray | None]:
        result = calculator.compute(some, charges[some.species], charge_gradient=slopes)
        if result.charge_gradient is None:
            return result.energy, None
        gradient = result.charge_gradient.reshape(len(some), -1)
        species = some.species.reshape(len(some), -1)
        return result.energy, np.stack([np.where(species == s, gradient, 0.0).sum(axis=1) for s in (0, 1)], axis=1)

    return energies


def weight_model(make: Maker) -> Model:
    """A function for energies (B,) by weights of 1/r and 1/r², and where wanted their gradients by these (B, 2)."""
    potential = CombinedPotential([CoulombPotential(), InversePowerLawPotential(2)], smearing=SIGMA)
    calculator = make(potential)

    def energies(weights: np.ndarray, some: Structures, slopes: bool) -> tuple[np.ndarray, np.ndarray | None]:
        potential.weights[:] = weights
        charges = np.array(TRUTH["charges"])[some.species]
        result = calculator.compute(some, charges, parameter_gradient=slopes)
        return result.energy, result.parameter_gradient["weights"] if slopes else None

    return energies


MODELS = {"charges": charge_model, "weights": weight_model}


def random_start(name: str, rng: np.random.Generator) -> np.ndarray:
    """Where learning begins: sizes from 0.2 to 1.8; charges of opposite sign, weights of any."""
    signs = rng.choice([-1.0, 1.0], 2)
    if name == "charges":
        signs[1] = -signs[0]
    return signs * rng.uniform(0.2, 1.8, 2)


def distance(name: str, parameters: np.ndarray) -> float:
    """The largest difference from the truth, or for charges from those of the other sign where these are nearer."""
    truth = np.array(TRUTH[name])
    away = float(np.abs(parameters - truth).max())
    return min(away, float(np.abs(parameters + truth).max())) if name == "charges" else away


def learn(model: Model, start: np.ndarray, data: Structures, wanted: np.ndarray, preset: Preset, seed: int):
    """The parameters after every step (steps + 1, 2), by Adam on the mean square error of the energy per ion."""
    parameters, adam, rng = start.copy(), Adam(len(start), beta2=preset.beta2), np.random.default_rng(seed)
    path = [parameters.copy()]
    for step in tqdm(range(preset.steps), file=sys.stderr, leave=False):
        some = rng.choice(len(data), preset.batch, replace=False)
        energies, gradient = model(parameters, data[some], True)
        misfit = (energies - wanted[some]) / IONS
        rate = preset.rate * 0.5 * (1 + np.cos(np.pi * step / preset.steps))
        adam.step(parameters, 2 * (misfit @ gradient) / IONS / preset.batch, rate)
        path.append(parameters.copy())
    return np.array(path)


def train(preset: Preset, seed: int) -> list[dict]:
    """Charges and weights of one seed."""
    data, rng, runs = structures(preset.structures, seed), np.random.default_rng(1000 + seed), []
    for name, model_of in MODELS.items():
        start, begin = random_start(name, rng), time.process_time()
        wanted = model_of(tight)(np.array(TRUTH[name]), data, False)[0]
        model = model_of(on_mesh)
        path = learn(model, start, data, wanted, preset, seed)
        taken, end = time.process_time() - begin, path[-1]
        shown = np.unique(np.linspace(0, preset.steps, KEPT + 1).astype(int))
        runs.append(
            {
                "seed": seed,
                "what": name,
                "start": start.tolist(),
                "end": end.tolist(),
                "error": distance(name, end),
                "processor_seconds": taken,
                "steps": shown.tolist(),
                "path": path[shown].tolist(),
            }
        )
        print(f"seed {seed}, {name}: {start.round(3)} to {end.round(6)}, {distance(name, end):.1e} from the truth")
    return runs


def table(record: dict) -> None:
    """Errors of all seeds."""
    lines = []
    for name in TRUTH:
        runs = [run for run in record["runs"] if run["what"] == name]
        errors = [run["error"] for run in runs]
        seconds = np.median([run["processor_seconds"] for run in runs])
        lines.append([name, len(runs), float(np.median(errors)), max(errors), f"{seconds:.0f}"])
    header = ["learned", "seeds", "median", "largest", "seconds each"]
    print_table(f"Largest difference from the truth, preset {record['preset']}", header, lines)


def draw(runs: list[dict], path: Path) -> None:
    """Parameters and their errors against steps; charges of the other sign are turned round."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 2, figsize=(9, 5.4), sharex=True, layout="constrained")
    labels = {"charges": ("species 1", "species 2"), "weights": ("of 1/r", "of 1/r²")}
    titles = {"charges": "charges of two species", "weights": "weights of two potentials"}
    for (upper, lower), (name, truth) in zip(axes.T, TRUTH.items(), strict=True):
        for number, run in enumerate(run for run in runs if run["what"] == name):
            lines = np.array(run["path"])
            if name == "charges" and lines[-1, 0] * truth[0] < 0:
                lines = -lines
            for i, colour in enumerate(("tab:blue", "tab:red")):
                label = labels[name][i] if number == 0 else None
                upper.plot(run["steps"], lines[:, i], color=colour, lw=1.2, alpha=0.8, label=label)
            errors = np.abs(lines - np.array(truth)).max(axis=1)
            lower.semilogy(run["steps"], errors, lw=1.2, color=f"{0.15 + 0.25 * number}", label=f"seed {run['seed']}")
        for value in truth:
            upper.axhline(value, color="k", ls=":", lw=1)
        upper.set_title(titles[name], fontsize=11)
        upper.legend(fontsize=8)
        lower.set_xlabel("step")
        lower.legend(fontsize=8)
        lower.grid(alpha=0.3)
    axes[0, 0].set_ylabel("learned (dotted: truth)")
    axes[1, 0].set_ylabel("largest difference")
    figure.savefig(path, dpi=120)
    plt.close(figure)
    print(f"written: {path}")


def main() -> None:
    parser = figure_parser("learned_charges", __doc__ or "", PRESETS, (0, 1, 2))
    args = parser.parse_args()
    path = args.output / "learned_charges.json"
    if args.plot_only:
        record = kept_record(parser, path, "runs")
    else:
        runs = [run for seed in args.seeds for run in train(PRESETS[args.preset], seed)]
        record = new_record("learned_charges", args, 1, runs=runs)
        save_json(path, record)
    table(record)
    draw(record["runs"], path.with_suffix(".png"))


if __name__ == "__main__":
    main()
