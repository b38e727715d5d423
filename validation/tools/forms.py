"""Forms of a learned long range in one frame: the same messages, data and training, and each of the forms beside them.

none                nothing
attention-wide      attention in reciprocal space, its width the cutoff, as in arXiv 2510.13055
attention           the same, its width 0.4 cutoffs
convolution         a convolution of learned features with the kernel of Gaussian charges, its width 0.4 cutoffs
charges             the electrostatic energy of learned charges, one for each atom
attention+charges   both

And learned charges with several potentials, as in Fig. 7 of Loche et al. (2025):

charges             Coulomb's
charges-exterior    Coulomb's of all charges but those within the cutoff, which are left out smoothly
charges-two         1/r and 1/r², with learned weights
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lrc_numba.electrostatics import (
    CombinedPotential,
    CoulombPotential,
    InversePowerLawPotential,
    MeshCalculator,
    Potential,
)
from lrc_numba.geometry.structures import Structures
from lrc_numba.networks import MessagePassingNetwork

from .joined import joined
from .learning import Recipe, as_lines, record, run_seeds

__all__ = ["COLOURS", "COMPARISONS", "FORMS", "NAMES", "System", "Task", "network_of", "record_name", "run"]

FORMS = ("none", "attention-wide", "attention", "convolution", "charges", "attention+charges")
COMPARISONS = {"forms": FORMS, "potentials": ("none", "charges", "charges-exterior", "charges-two")}
NAMES = {  # in tables and legends; widths are those of a cutoff of 5
    "none": "none",
    "attention-wide": "attention, σ = r_c",
    "attention": "attention, σ = 0.4 r_c",
    "convolution": "convolution",
    "charges": "learned charges",
    "attention+charges": "attention + charges",
    "charges-exterior": "charges, exterior",
    "charges-two": "charges, 1/r and 1/r²",
}
COLOURS = {  # also told apart by their lightness
    "none": "0.6",
    "attention-wide": "#e69f00",
    "attention": "#d55e00",
    "convolution": "#0072b2",
    "charges": "#009e73",
    "attention+charges": "#882255",
    "charges-exterior": "#56b4e9",
    "charges-two": "#cc79a7",
}
NARROW = 0.4  # cutoffs: width of kernels
HEADS, KEYS = 4, 4  # of attention
COULOMB = 14.399645  # eV A of two elementary charges


@dataclass(frozen=True)
class Task:
    """What is learned once with each form.

    Attributes
    ----------
    data : Structures
        Learned from.
    recipe : Recipe
        How.
    measure : function
        Takes a network to what is recorded of it.
    settings : dict
        Of networks for this task.
    """

    data: Structures
    recipe: Recipe
    measure: Callable[[MessagePassingNetwork], dict]
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class System:
    """Data on which forms are compared.

    Attributes
    ----------
    name, title : str
        Of the file, and of the table.
    species : array of int
        That occur.
    cutoff : float
        Of the messages.
    settings : dict
        Of networks, but for the long range.
    features : int
        That the long range carries.
    tasks : dict of str to Task
        What is learned.
    columns : dict of str to str
        Headings of what is measured.
    draw : function
        Takes all runs, by task, and a path, and draws a picture.
    scale : float
        What measured numbers are multiplied with.
    digits : int
        Behind the point.
    prefactor : float
        Energy of two learned charges of one at a distance of one.
    total_charge : float or None
        What they add up to, where it is known.
    about : dict
        What else is recorded.
    usual_steps : int or None
        Optimiser steps of each network without --steps.
    """

    name: str
    title: str
    species: np.ndarray
    cutoff: float
    settings: dict[str, Any]
    features: int
    tasks: dict[str, Task]
    columns: dict[str, str]
    draw: Callable[[dict[str, list[dict]], Path], None]
    scale: float = 1.0
    digits: int = 1
    prefactor: float = COULOMB
    total_charge: float | None = None
    about: dict[str, Any] = field(default_factory=dict)
    usual_steps: int | None = None


def network_of(system: System, task: Task, form: str, seed: int, threads: int | None) -> MessagePassingNetwork:
    """An untrained network.

    Parameters
    ----------
    system, task : System, Task
        What it is for.
    form : str
        One of ``FORMS``.
    seed : int
        Of its parameters.
    threads : int or None
        At most so many.
    """
    options: dict[str, Any] = {"seed": seed, "threads": threads}
    if form != "none" and not form.startswith("charges"):
        width = 1.0 if form == "attention-wide" else NARROW
        options |= {"long_range": system.features, "sigma": width * system.cutoff}
        if form != "convolution":
            options |= {"long_range_form": "attention", "heads": HEADS, "keys": KEYS}
    if "charges" in form:
        # Pairs end at five widths, modes at five inverse ones: both at some 1e-6 of where they begin.
        potential = _potential(form, system.cutoff, system.prefactor)
        calculator = MeshCalculator(potential, system.cutoff, 25 / system.cutoff, eps=1e-5, threads=threads)
        options |= {"charges": calculator, "total_charge": system.total_charge}
        options |= {"charge_parameters": ("weights",)} if form == "charges-two" else {}
    network = MessagePassingNetwork(system.species, system.cutoff, **system.settings, **task.settings, **options)
    if task.data.energies is not None and task.recipe.weights.energy:
        network.fit_references(task.data)
    return network


def _potential(form: str, cutoff: float, prefactor: float) -> Potential:
    """Of learned charges."""
    smearing = cutoff / 5
    if form == "charges-two":
        return CombinedPotential(
            [CoulombPotential(), InversePowerLawPotential(2)], [1.0, 0.1], smearing=smearing, prefactor=prefactor
        )
    radius = cutoff if form == "charges-exterior" else None
    return CoulombPotential(smearing, prefactor, exclusion_radius=radius)


def record_name(system: System, comparison: str) -> str:
    """Of the files of a comparison.

    Parameters
    ----------
    system, comparison
        As for ``run``.
    """
    return system.name if comparison == "forms" else f"{system.name}_{comparison}"


def run(system: System, comparison: str, forms: Sequence[str], args: argparse.Namespace) -> None:
    """Train all that is not on file, print the table, and write record and picture.

    Rows and seeds that the record has from earlier calls stay in it where they were trained in the same way.

    Parameters
    ----------
    system : System
        Data.
    comparison : str
        One of ``COMPARISONS``, which names the record.
    forms : sequence of str
        Some of them.
    args : Namespace
        Of ``learning_arguments``.
    """
    name = record_name(system, comparison)
    results = {task: _trained(system, task, f"{name} {task}", forms, args) for task in system.tasks}
    steps = {task: own.recipe.steps for task, own in system.tasks.items()}
    recipes = {task: asdict(own.recipe) | {"structures": len(own.data)} for task, own in system.tasks.items()}
    earlier: list[dict] = []
    if not args.plot_only:
        results, earlier = joined(args.output / f"{name}.json", results, recipes, COMPARISONS[comparison])
    lines = []
    for task, runs in results.items():
        made = as_lines(runs, list(system.columns), system.scale, system.digits, parameters=True)
        front = [task] if len(results) > 1 else []
        lines += [[*front, NAMES[line[0]], *line[1:]] for line in made]
    header = ["long range", *system.columns.values(), "parameters", "seconds"]
    header = ["task", *header] if len(results) > 1 else header
    about = system.about | {"steps": steps, "recipes": recipes} | ({"earlier": earlier} if earlier else {})
    record(args, name, system.title, header, lines, runs=results, **about)
    system.draw(results, args.output / f"{name}.png")


def _trained(system: System, name: str, label: str, forms: Sequence[str], args: argparse.Namespace) -> list[dict]:
    """All runs of a task."""
    task = system.tasks[name]

    def make(seed: int, form: str) -> MessagePassingNetwork:
        """An untrained network."""
        return network_of(system, task, form, seed, args.threads)

    return run_seeds(make, task.data, task.recipe, task.measure, args, label, forms)
