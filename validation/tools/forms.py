"""Forms of a learned long range in one frame: the same messages, data and training, and each of the forms beside them.

none                nothing
attention-wide      attention in reciprocal space, its width the cutoff, as in arXiv 2510.13055
attention           the same, its width 0.4 cutoffs
convolution         a convolution of learned features with the kernel of Gaussian charges, its width 0.4 cutoffs
charges             the electrostatic energy of learned charges, one for each atom
attention+charges   both
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lrc_numba.electrostatics import CoulombPotential, MeshCalculator
from lrc_numba.geometry.structures import Structures
from lrc_numba.networks import MessagePassingNetwork

from .learning import Recipe, as_lines, record, run_seeds

__all__ = ["COLOURS", "FORMS", "NAMES", "System", "Task", "network_of", "run"]

FORMS = ("none", "attention-wide", "attention", "convolution", "charges", "attention+charges")
NAMES = {  # in tables and legends; widths are those of a cutoff of 5
    "none": "none",
    "attention-wide": "attention, σ = r_c",
    "attention": "attention, σ = 0.4 r_c",
    "convolution": "convolution",
    "charges": "learned charges",
    "attention+charges": "attention + charges",
}
COLOURS = {  # also told apart by their lightness
    "none": "0.6",
    "attention-wide": "#e69f00",
    "attention": "#d55e00",
    "convolution": "#0072b2",
    "charges": "#009e73",
    "attention+charges": "#882255",
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
    charges : dict
        Of learned charges: ``prefactor``, and ``total_charge`` where it is known.
    about : dict
        What else is recorded.
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
    charges: dict[str, Any] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)


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
    if form not in ("none", "charges"):
        width = 1.0 if form == "attention-wide" else NARROW
        options |= {"long_range": system.features, "sigma": width * system.cutoff}
        if form != "convolution":
            options |= {"long_range_form": "attention", "heads": HEADS, "keys": KEYS}
    if form.endswith("charges"):
        own = dict(system.charges)
        # Pairs end at five widths, modes at five inverse ones: both at some 1e-6 of where they begin.
        potential = CoulombPotential(system.cutoff / 5, own.pop("prefactor", COULOMB))
        calculator = MeshCalculator(potential, system.cutoff, 25 / system.cutoff, eps=1e-5, threads=threads)
        options |= {"charges": calculator} | own
    network = MessagePassingNetwork(system.species, system.cutoff, **system.settings, **task.settings, **options)
    if task.data.energies is not None and task.recipe.weights.energy:
        network.fit_references(task.data)
    return network


def run(system: System, forms: list[str], args: argparse.Namespace) -> None:
    """Train all that is not on file, print the table, and write record and picture.

    Parameters
    ----------
    system : System
        Data.
    forms : list of str
        Some of ``FORMS``.
    args : Namespace
        Of ``learning_arguments``.
    """
    results: dict[str, list[dict]] = {}
    for name, task in system.tasks.items():

        def make(seed: int, form: str, task=task) -> MessagePassingNetwork:
            """An untrained network."""
            return network_of(system, task, form, seed, args.threads)

        label = f"{system.name} {name}"
        results[name] = run_seeds(make, task.data, task.recipe, task.measure, args, label, forms)
    lines = []
    for name, runs in results.items():
        made = as_lines(runs, list(system.columns), system.scale, system.digits, parameters=True)
        front = [name] if len(results) > 1 else []
        lines += [[*front, NAMES[line[0]], *line[1:]] for line in made]
    header = ["long range", *system.columns.values(), "parameters", "seconds"]
    header = ["task", *header] if len(results) > 1 else header
    steps = {name: task.recipe.steps for name, task in system.tasks.items()}
    record(args, system.name, system.title, header, lines, runs=results, steps=steps, **system.about)
    system.draw(results, args.output / f"{system.name}.png")
