"""The six scenes of the tour: each computes, draws into a figure, and tells what it measured."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from tqdm import tqdm

from lrc_numba import Gaussian, LRCPlan, Multiplier, Yukawa, direct, lrc_convolve
from lrc_numba.nbody import PairPotential, Snapshots
from lrc_numba.networks import FullRangeNetwork, ShortRangeNetwork
from lrc_numba.training import Protocol, Stage, Trainer, force_error

BLUE, ORANGE, INK = "#2166ac", "#d6604d", "#222222"  # blue and orange: the ends of RdBu
STYLE = {
    "font.size": 11,
    "axes.titlesize": 11,
    "axes.labelsize": 11,
    "legend.fontsize": 10,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "0.92",
    "axes.axisbelow": True,
    "axes.titlelocation": "left",
}


def _e(number: float, digits: int = 1) -> str:
    """A number with an exponent, as short as it gets."""
    mantissa, exponent = f"{number:.{digits}e}".split("e")
    return f"{mantissa}e{int(exponent)}"


@dataclass(frozen=True)
class Told:
    """What a scene measured: at most two lines of text, and its numbers for the record."""

    text: str
    numbers: dict[str, Any]


def _map(axes, box: float, field: np.ndarray, level: float) -> Any:
    """A field on a grid of a square box in colour, white at zero; returns what a colour bar needs."""
    axis = np.linspace(0, box, len(field))
    levels = level * np.linspace(-1, 1, 26)  # an even number of colours: the middle is a level
    filled = axes.contourf(axis, axis, field.T, levels, cmap="RdBu_r", extend="both")
    axes.set(aspect="equal", xlabel="x", ylabel="y", xlim=(0, box), ylim=(0, box))
    axes.grid(False)
    return filled


def _grid(box: float, count: int) -> np.ndarray:
    """Points of a square grid that includes all edges, (count², 2)."""
    axis = np.linspace(0, box, count)
    return np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)


# ---------------------------------------------------------------------- 1
def convolve(figure) -> Told:
    """Two spirals of opposite charges in a periodic square, and the potential around them."""
    generator, box, modes, eps, half = np.random.default_rng(1), 10.0, 127, 1e-6, 350
    angle = np.linspace(0.4, 3.1 * np.pi, half)
    radius = 0.42 * angle + 0.18 * generator.standard_normal(half)
    arms = [np.stack([radius * np.cos(angle + turn), radius * np.sin(angle + turn)], axis=1) for turn in (0, np.pi)]
    points, charges = np.concatenate(arms) + box / 2, np.repeat([1.0, -1.0], half)
    kernel, count = Yukawa(beta=1.0, lam=1.5), 180
    options = {"box": box, "modes": modes}
    u = lrc_convolve(points, charges, kernel, eps=eps, **options)
    exact = direct.convolve(points, charges, kernel, **options)
    error = float(np.linalg.norm(u - exact) / np.linalg.norm(exact))
    field = lrc_convolve(points, charges, kernel, eps=eps, targets=_grid(box, count), **options)
    left, right, level = *figure.subplots(1, 2), float(np.quantile(np.abs(u), 0.98))
    for sign, colour in ((1, ORANGE), (-1, BLUE)):
        left.scatter(
            *points[charges == sign].T, s=7, color=colour, label="f = +1" if sign > 0 else "f = −1", linewidths=0
        )
    left.set(aspect="equal", xlabel="x", ylabel="y", xlim=(0, box), ylim=(0, box), title=f"{2 * half} points")
    left.legend(loc="upper right", markerscale=2.5, handletextpad=0.1, borderaxespad=0.1)
    filled = _map(right, box, field.reshape(count, count), level)
    right.set(title="u(x) = Σ φ(x − $x_j$) $f_j$, all periodic images")
    figure.colorbar(filled, ax=right, shrink=0.85, label="u", ticks=10 * np.arange(-12, 13, 2))
    text = f"Screened Coulomb kernel, {modes}² modes. The relative error asked for is eps = {_e(eps, 0)};\n"
    text += f"measured against the direct sum over modes: {_e(error)}."
    return Told(text, {"eps": eps, "error": error, "points": 2 * half, "modes": modes})


# ---------------------------------------------------------------------- 2
def accuracy(figure) -> Told:
    """The measured error of a convolution at every eps, for a smooth kernel and for the hardest."""
    generator, asked = np.random.default_rng(2), [10.0**-n for n in range(2, 13, 2)]
    kernels = {"screened Coulomb": Yukawa(1.0, 5.0), "φ̂ = 1: every mode counts": Gaussian(1e-9)}
    shapes = {1: ("s", 301), 2: ("o", 31)}  # marker, modes
    axes, measured = figure.subplots(), {}
    for dim, (marker, modes) in shapes.items():
        points, values = generator.random((400, dim)), generator.standard_normal(400)
        exact = [direct.convolve(points, values, kernel, box=1.0, modes=modes) for kernel in kernels.values()]
        errors = np.empty((len(kernels), len(asked)))
        for j, eps in enumerate(tqdm(asked, desc=f"eps in {dim}-D, compiles once", file=sys.stderr, leave=False)):
            plan = LRCPlan(1.0, modes, eps=eps, dim=dim).set_points(points)
            for i, kernel in enumerate(kernels.values()):
                errors[i, j] = np.linalg.norm(plan.convolve(values, kernel) - exact[i]) / np.linalg.norm(exact[i])
        for row, name, colour in zip(errors, kernels, (BLUE, ORANGE), strict=True):
            axes.loglog(asked, row, marker + "-", color=colour, ms=8, mec="white", label=f"{name}, {dim}-D")
            measured[f"{name}, {dim}-D"] = row.tolist()
    line = np.array([3e-13, 3e-1])
    axes.loglog(line, line, color=INK, lw=1.5, label="error = eps")
    axes.fill_between(line, line, 1.0, color="0.93", zorder=0, lw=0)
    axes.text(2e-9, 1e-3, "error larger than eps", color="0.4", ha="center")
    axes.set(xlabel="eps asked for", ylabel="measured relative error", xlim=line, ylim=(1e-16, 1.0))
    axes.legend(loc="lower right")
    worst = max(max(np.array(row) / asked) for row in measured.values())
    text = "Each eps is the largest relative ℓ² error allowed against the direct sum over the same modes.\n"
    return Told(
        text + f"Largest measured error/eps: {worst:.2g}.", {"eps": asked, "errors": measured, "largest": worst}
    )


# ---------------------------------------------------------------------- 3
def gradients(figure) -> Told:
    """Central differences of L = Σ g·u against vjp, over the step: their own error is all that is seen."""
    generator, eps, count = np.random.default_rng(3), 1e-2, 100
    points, values = generator.random((count, 2)), generator.standard_normal(count)
    g, along = generator.standard_normal(count), generator.standard_normal((count, 2))
    plan = LRCPlan(1.0, 31, eps=eps, dim=2).set_points(points)

    def loss(x: np.ndarray, lam: float) -> float:
        """L at other points or with another λ."""
        return float(g @ plan.set_points(x).convolve(values, Yukawa(1.0, lam)))

    gradient = plan.vjp(values, Yukawa(1.0, 5.0), g)
    exact = {"points": float((gradient.points * along).sum()), "λ of the kernel": float(gradient.parameters["lam"])}
    steps, errors = 10.0 ** np.arange(-13, -1.9, 0.2), {}
    change = {
        "points": lambda h: loss(points + h * along, 5.0) - loss(points - h * along, 5.0),
        "λ of the kernel": lambda h: loss(points, 5.0 + 5.0 * h) - loss(points, 5.0 - 5.0 * h),
    }
    scale = {"points": 1.0, "λ of the kernel": 5.0}
    axes = figure.subplots()
    for (name, difference), colour, marker in zip(change.items(), (BLUE, ORANGE), "os", strict=True):
        slopes = np.array([difference(h) / (2 * h * scale[name]) for h in steps])
        errors[name] = np.abs(slopes / exact[name] - 1)
        axes.loglog(steps, np.maximum(errors[name], 1e-16), marker, color=colour, ms=5.5, label=f"by the {name}")
    best = {name: float(row.min()) for name, row in errors.items()}
    middle = float(np.median(errors["points"][steps > 2e-4] / steps[steps > 2e-4] ** 2))
    axes.loglog(steps[steps > 1e-6], middle * steps[steps > 1e-6] ** 2, "--", color="0.55", lw=1.2, zorder=1)
    axes.loglog(steps[steps < 1e-5], 1e-16 / steps[steps < 1e-5], "--", color="0.55", lw=1.2, zorder=1)
    axes.text(1.3e-5, 3e-4, "∝ h²: the step\nis too large", color="0.35", ha="center")
    axes.text(1.2e-12, 5e-8, "∝ 1/h: rounding", color="0.35", va="top")
    axes.axhline(eps, color=INK, lw=1, ls=":")
    axes.text(1.2e-13, eps * 0.75, f"eps = {eps:g} of the convolution", color=INK, va="top")
    axes.set(xlabel="step h", ylabel="|central difference / vjp − 1|", ylim=(3e-13, 1), xlim=(1e-13, 1e-2))
    axes.legend(loc="lower left")
    text = f"The gradient is that of the computed operator, exact also where eps is only {eps:g}. Central differences\n"
    by_points, by_lam = (_e(number, 0) for number in best.values())
    text += f"agree with it to {by_points} (points) and {by_lam} (λ) at their best step."
    return Told(text, {"eps": eps, "best": best, "steps": steps.tolist()})


# ---------------------------------------------------------------------- 4
class Ripples(Multiplier):
    def __init__(self, height, q, width):
        super().__init__(height=height, q=q, width=width)

    def values(self, modes):
        height, q, width = self.columns()
        return height * np.exp(-(((modes.norm - q) * width) ** 2) / 2)

    def derivatives(self, modes):
        height, q, width = self.columns()
        apart = modes.norm - q
        bell = np.exp(-((apart * width) ** 2) / 2)
        slopes = {"height": bell, "q": height * bell * apart * width**2}
        return slopes | {"width": -height * bell * apart**2 * width}


def own_kernel(figure) -> Told:
    """A multiplier that keeps one wavenumber: its code, φ(r), and the waves of some points."""
    from scipy.special import j0

    box, modes, kernel, count = 40.0, 63, Ripples(1.0, q=2.0, width=4.0), 220
    r = np.linspace(0, box / 2, 400)
    ray = np.stack([r, np.zeros_like(r)], axis=1)
    phi = lrc_convolve(np.zeros((1, 2)), None, kernel, box=box, modes=modes, targets=ray)
    k = np.linspace(0, 5, 4001)
    exact = np.trapezoid(np.exp(-(((k - 2.0) * 4.0) ** 2) / 2) * k * j0(np.outer(r, k)), k) / (2 * np.pi)
    error = float(np.abs(phi - exact).max() / np.abs(exact).max())
    points = box * np.random.default_rng(5).random((16, 2))
    field = lrc_convolve(points, None, kernel, box=box, modes=modes, targets=_grid(box, count)).reshape(count, count)
    left, right = figure.subfigures(1, 2, width_ratios=(1.15, 1))
    source = inspect.getsource(Ripples).rstrip()
    left.text(0.03, 0.985, source, family="monospace", fontsize=7.8, va="top", color=INK, linespacing=1.25)
    below = left.add_axes((0.15, 0.13, 0.8, 0.34))
    below.plot(r, phi, color=BLUE, lw=2, label="lrc_convolve")
    below.plot(r, exact, ":", color=ORANGE, lw=2.5, label="∫ φ̂(k) $J_0$(kr) k dk / 2π")
    below.set(xlabel="r", ylabel="φ(r)", xlim=(0, box / 2), ylim=(1.4 * float(phi.min()), 1.1 * float(phi.max())))
    below.legend(loc="upper right")
    axes = right.add_axes((0.13, 0.13, 0.84, 0.8))
    _map(axes, box, field, float(np.abs(field).max()) * 0.45)
    axes.plot(*points.T, "o", ms=5, color=INK, mec="white")
    axes.set(title=f"u around {len(points)} points, periodic", xticks=range(0, 41, 10), yticks=range(0, 41, 10))
    text = "φ̂(k) is a ring around |k| = q. The class on the left is all there is to it, gradients of the parameters\n"
    text += f"included. Largest deviation from the integral, of the largest φ: {_e(error)}."
    return Told(text, {"error": error, "lines": len([line for line in source.splitlines() if line.strip()])})


# ---------------------------------------------------------------------- 5
MU, BOX, CELLS, CUTOFF, DELTA = 1.0, 5.0, 10, 1.5, 0.05
PROTOCOL = Protocol((Stage(8, 30), Stage(16, 64)), every=1)
KINDS = {"short-range": ORANGE, "full-range": BLUE}


@cache
def _data(count: int, seed: int, uniform: bool = False) -> Snapshots:
    """Screened Coulomb snapshots of 20 points: two in each of ten cells, or anywhere."""
    potential = PairPotential("screened_coulomb", (BOX,), (MU,), (1.0,))
    cells, per_cell = ((1,), 2 * CELLS) if uniform else ((CELLS,), 2)
    return Snapshots.make(potential, count, cells, per_cell, DELTA, seed=seed, progress=False)


@cache
def networks() -> dict[str, ShortRangeNetwork]:
    """Both networks, trained on forces alone; scenes 5 and 6 share them."""
    data, trained = _data(256, 0), {}
    full = FullRangeNetwork(BOX, CUTOFF, 501, dim=1)
    for network in (ShortRangeNetwork(BOX, CUTOFF, dim=1), full):
        network.set_scales(data.points[:100])
        trainer = Trainer(network, data.points, data.forces, PROTOCOL)
        total = PROTOCOL.total_steps(len(data.points))
        with tqdm(total=total, desc=f"training, {network.kind}", file=sys.stderr, leave=False) as bar:
            while not trainer.finished:
                trainer.run(steps=20, progress=False)
                bar.update(min(20, total - bar.n))
        trained[network.kind] = network
    full.move_kinks(data.points)
    for network in trained.values():
        network.fix_energies(data.points, data.energies)
    return trained


def learning(figure) -> Told:
    """Learned forces against the true ones on new snapshots, and what is left of them."""
    test, errors = _data(100, 1000), {}
    axes = figure.subplots(2, 2, height_ratios=(1.7, 1), sharex=True, sharey="row")
    top = 1.05 * float(np.abs(test.forces).max())
    for (kind, network), (upper, lower) in zip(networks().items(), axes.T, strict=True):
        forces = network.energy_forces(test.points)[1]
        errors[kind] = force_error(forces, test.forces)["true"]
        upper.plot([-top, top], [-top, top], color="0.6", lw=1)
        lower.axhline(0, color="0.6", lw=1)
        for axis, y in ((upper, forces), (lower, forces - test.forces)):
            axis.scatter(test.forces, y, s=5, color=KINDS[kind], alpha=0.4, linewidths=0)
        upper.set_title(f"{kind}: relative error {errors[kind]:.1%}", color=KINDS[kind], fontweight="bold")
        lower.set(xlabel="true force F*", xlim=(-top, top))
    axes[0, 0].set_ylabel("learned force F")
    axes[1, 0].set_ylabel("F − F*")
    lam = networks()["full-range"].parameters["lam"].tolist()
    text = f"Screened Coulomb in 1-D: its range 1/μ₁ = {1 / MU:g} is not short beside the cutoff {CUTOFF}. "
    text += (
        f"256 snapshots of 20 points,\n{PROTOCOL.total_steps(256)} steps, one seed. Force error on 100 new snapshots: "
    )
    text += f"{errors['short-range']:.3f} without the long range, {errors['full-range']:.3f} with it."
    return Told(text, {"mu": MU, "errors": errors, "lam": lam, "steps": PROTOCOL.total_steps(256)})


# ---------------------------------------------------------------------- 6
def transfer(figure) -> Told:
    """The same networks on new snapshots, on points drawn without cells, and along the path of one point."""
    left, right = figure.subplots(1, 2, width_ratios=(1, 1))
    sets = {"as trained, two in each cell": _data(400, 2000), "uniform, without cells": _data(400, 2000, True)}
    bins, medians = np.geomspace(5e-3, 2.0, 40), {}
    for (where, test), style in zip(sets.items(), ("stepfilled", "step"), strict=True):
        for kind, network in networks().items():
            off = np.linalg.norm(network.energy_forces(test.points)[1] - test.forces, axis=(1, 2))
            relative = off / np.linalg.norm(test.forces, axis=(1, 2))
            medians[f"{kind}, {where}"] = float(np.median(relative))
            look = {"alpha": 0.55, "lw": 0} if style == "stepfilled" else {"lw": 1.8}
            left.hist(relative, bins, histtype=style, color=KINDS[kind], label=f"{kind}, {where}", **look)
    left.set(xscale="log", xlabel="relative force error of a snapshot", ylabel="snapshots (of 400)", ylim=(0, 225))
    left.legend(loc="upper left", fontsize=9.5)
    start, potential = sets["as trained, two in each cell"].points[3], PairPotential("screened_coulomb", BOX, MU, 1.0)
    mover = int(np.argmin(np.abs(start[:, 0] - BOX / 2)))
    path = np.linspace(0, BOX, 502)[:-1] + 1e-4
    moved = np.repeat(start[None], len(path), axis=0)
    moved[:, mover, 0] = path
    away = np.abs((path[:, None] - np.delete(start[:, 0], mover) + BOX / 2) % BOX - BOX / 2).min(axis=1)
    trained = np.where(away < DELTA, np.nan, 1.0)  # no two points came closer in training
    true = trained * potential.energy_forces(moved)[0]
    right.plot(path, true, color=INK, lw=4.5, alpha=0.3, label="true")
    for kind, network in networks().items():
        right.plot(path, trained * network.energy(moved), color=KINDS[kind], lw=1.5, label=kind)
    cell = BOX / CELLS * np.floor(start[mover, 0] * CELLS / BOX)
    right.axvspan(cell, cell + BOX / CELLS, color="0.9", zorder=0, lw=0)
    low, high = np.nanmin(true), np.nanmax(true)
    right.set(xlabel="position of the point that moves", ylabel="energy U", xlim=(0, BOX))
    right.set_ylim(low - 0.2 * (high - low), high + 0.65 * (high - low))
    right.legend(loc="upper center", ncols=3, columnspacing=1.2, handlelength=1.4)
    stays, leaves = (medians[f"full-range, {where}"] for where in sets)
    text = f"Full-range network: median error {stays:.3f} on new snapshots like those of its training, {leaves:.2f} on "
    text += "uniform ones.\nRight: one point crosses the box; grey: its own cell; gaps: "
    text += f"closer than {DELTA:g} to another, as never in training."
    return Told(text, {"medians": medians})


SCENES: dict[int, tuple[str, str, Callable[[Any], Told]]] = {
    1: ("convolve", "A cloud of charges and its potential", convolve),
    2: ("accuracy", "The error asked for is kept", accuracy),
    3: ("gradients", "Gradients are exact", gradients),
    4: ("own_kernel", "A kernel of one's own", own_kernel),
    5: ("learning", "Learning a long-range potential from forces", learning),
    6: ("transfer", "To new points", transfer),
}
