"""What the model of the cost in ``electrostatics.tuning.cost`` is made of, measured on one core."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from lrc_numba import LRCPlan
from lrc_numba.electrostatics import InversePowerLawPotential, Potential, ProlateCoulombPotential
from lrc_numba.electrostatics.boundaries import LongRangeKernel, choose_boundary
from lrc_numba.electrostatics.pair_sum import pair_sum
from lrc_numba.electrostatics.short_range import radial_form
from lrc_numba.electrostatics.tuning.cost import mesh_cost, pairs_cost
from lrc_numba.electrostatics.tuning.system import System
from lrc_numba.geometry.neighbours import NeighbourList
from lrc_numba.plan import WindowShape

from .common import print_table

__all__ = ["measure_cost"]

COUNT, BOX, REPEATS = 8000, 40.0, 12
CUTOFFS, TOLERANCES, WIDTHS, NODES = (4.0, 6.0), (1e-2, 1e-5, 1e-9), (4, 6, 8, 10, 12), (24, 48, 64)


def _shortest(call: Callable[[], object]) -> float:
    """Nanoseconds of processor time, the least of some calls."""
    call()
    times = []
    for _ in range(REPEATS):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return 1e9 * min(times)


def measure_cost() -> list[dict]:
    """Print and return measured and modelled nanoseconds of pairs and meshes."""
    rng, cell = np.random.default_rng(0), BOX * np.eye(3)
    x, q = BOX * rng.random((COUNT, 3)), rng.standard_normal(COUNT)
    q -= q.mean()
    system, rows = System.of(x, q[:, None], cell, (True,) * 3), []
    for cutoff in CUTOFFS:
        neighbours = NeighbourList(cutoff, 0.0, full=False, threads=1)
        neighbours.search(x, cell)
        potentials: tuple[Potential, ...] = (
            ProlateCoulombPotential(cutoff, 14.0),
            InversePowerLawPotential(6, cutoff / 5),
        )
        for potential in potentials:
            for tolerance in TOLERANCES:
                form = radial_form(potential, cutoff, tolerance)
                taken = _shortest(lambda n=neighbours, f=form: pair_sum(n, f, q, positions=x, cell=cell[None]))
                degree = form.padded_degree
                what = f"pairs within {cutoff:g}, {type(potential).__name__}, degree {degree}"
                model = pairs_cost(system, cutoff, degree, form.exponents)
                rows.append({"what": what, "ns": taken, "model": model})
    potential = ProlateCoulombPotential(6.0, 14.0)
    kernel = LongRangeKernel(potential, choose_boundary(potential, x, cell, (True,) * 3))
    for width in WIDTHS:
        window = WindowShape("kaiser_bessel", width, (2.0 * (width - 2), 1.0), width + 1)
        for nodes in NODES:
            kept = 2 * int(0.44 * nodes) + 1
            plan = LRCPlan(cell, (kept,) * 3, nodes=(nodes,) * 3, window=window, threads=1)
            taken = _shortest(lambda p=plan: p.set_points(x).energy(q, kernel, wrt=["points"]))
            model = mesh_cost(COUNT, (nodes,) * 3, width)
            rows.append({"what": f"mesh of {nodes}³, width {width}", "ns": taken, "model": model})
    lines = [
        [r["what"], f"{1e-6 * r['ns']:.2f}", f"{1e-6 * r['model']:.2f}", f"{r['ns'] / r['model']:.2f}"] for r in rows
    ]
    title = f"Energy and forces of {COUNT} points on one core, ms of processor time"
    print_table(title, ["what", "measured", "model", "measured/model"], lines)
    return rows
