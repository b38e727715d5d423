"""How networks start, and how a trained relu network is continued beyond its data.

An energy is a sum over neighbour pairs, so the fitting network starts near linear: its first weights are LINEAR times
those of Glorot, and its first biases have a spread of BENT, so that not all of its tanh start where they are odd.

A network of relus passes on little of its input when drawn, and nothing where they are off. So of DRAWS Glorot draws
those count whose relus are linear among the inputs, also were these WIDE times as wide, and of them the one that tells
two channels of the inputs apart best is taken.
"""

from __future__ import annotations

import numpy as np

from ..machine.workspace import Workspace
from .layers.parameters import Parameters
from .layers.perceptron import Perceptron

__all__ = ["bent", "centred_outputs", "draw_linear_relus", "input_scales", "move_kinks", "start_near_linear"]

LINEAR, BENT = 0.1, 0.7  # of Glorot's first weights; spread of the first biases
SHIFT, WIDE, DRAWS, TRIALS = 10.0, 2.0, 1000, 64


def start_near_linear(weight: np.ndarray, bias: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Scale the weights of a first layer of tanh, and draw its biases; a copy of these, (n_out,).

    Parameters
    ----------
    weight, bias : (n_in, n_out), (n_out,)
        Glorot's on entry; written.
    generator : Generator
        Source of randomness.
    """
    weight *= LINEAR
    start = generator.normal(0.0, BENT, bias.shape).astype(bias.dtype)
    bias[...] = start
    return start


def input_scales(values: np.ndarray, accuracy: float) -> tuple[np.ndarray, np.ndarray]:
    """Shift and spread (C,) with which (values − shift)/spread lie SHIFT spreads above zero.

    Parameters
    ----------
    values : (n, C)
        What is to be scaled.
    accuracy : float
        Relative error of the values; a smaller spread than that, as of points on a lattice, is taken as 1.
    """
    spread = values.std(axis=0)
    spread = np.where(spread > accuracy * np.abs(values).max(axis=0), spread, 1.0)
    return values.mean(axis=0) - SHIFT * spread, spread


def bent(network: Perceptron, views: Parameters, inputs: np.ndarray) -> bool:
    """Whether a relu is on at some of the inputs and off at others.

    Parameters
    ----------
    network : Perceptron
        Of relus.
    views : Parameters
        Weights and biases.
    inputs : (n, sizes[0])
        Rows.
    """
    h = inputs
    for layer in range(len(network.sizes) - 1):
        h = np.maximum(h @ views[f"{network.name}.weight{layer}"] + views[f"{network.name}.bias{layer}"], 0)
        on = (h > 0).sum(axis=0)
        if ((on > 0) & (on < len(h))).any():
            return True
    return False


def centred_outputs(network: Perceptron, views: Parameters, inputs: np.ndarray) -> np.ndarray:
    """Outputs less their means, (n, sizes[-1]).

    Parameters
    ----------
    network, views, inputs
        As for ``bent``.
    """
    out, _ = network.forward(views, inputs, Workspace())
    return out - out.mean(axis=0)


def draw_linear_relus(network: Perceptron, views: Parameters, inputs: np.ndarray, seed: int) -> None:
    """Draw a network of relus that is linear among the inputs, the best conditioned of DRAWS.

    Parameters
    ----------
    network : Perceptron
        Of relus.
    views : Parameters
        Weights and biases are written.
    inputs : (n, sizes[0])
        Scaled by ``input_scales``; TRIALS of them are looked at.
    seed : int
        Of the draws and of the choice of inputs.
    """
    few = inputs[np.random.default_rng(seed).permutation(len(inputs))[:TRIALS]]
    wide = SHIFT + WIDE * (few - SHIFT)
    last, conditions = min(network.sizes[0], 2) - 1, []  # its first layer has two units
    for number in range(DRAWS):
        network.initialise(views, np.random.default_rng([seed, number]))
        if bent(network, views, wide):
            continue
        values = np.linalg.svd(centred_outputs(network, views, few), compute_uv=False)
        if values[0] > 0:  # not all relus are off
            conditions.append((values[min(last, len(values) - 1)] / values[0], number))
    best = max(conditions, default=(0.0, 0))[1]
    network.initialise(views, np.random.default_rng([seed, best]))


def move_kinks(
    network: Perceptron, views: Parameters, inputs: np.ndarray, spreads: float, among: bool = False
) -> np.ndarray:
    """Move the kinks of relus further away from the inputs; how much outputs rise by that, (sizes[-1],).

    A relu that is on at all of the inputs gets a larger bias, which the next layer subtracts again, and a relu that is
    off at all of them a smaller one, so that the nearest input is ``spreads`` standard deviations of z away from the
    kink. The reader of the outputs has to subtract their rise.

    Parameters
    ----------
    network : Perceptron
        Of relus.
    views : Parameters
        Biases are written.
    inputs : (n, sizes[0])
        Rows the network is used for.
    spreads : float
        How far.
    among : bool
        Whether a relu with a kink among the inputs is on at all of them afterwards, so that it passes on what it is
        given; otherwise it stays as it is.
    """
    h, rise = inputs, np.zeros(network.sizes[0], dtype=inputs.dtype)
    for layer in range(len(network.sizes) - 1):
        weight, bias = views[f"{network.name}.weight{layer}"], views[f"{network.name}.bias{layer}"]
        bias -= rise @ weight
        z = h @ weight + bias
        low, high, reach = z.min(axis=0), z.max(axis=0), spreads * z.std(axis=0)
        on, off = high > 0 if among else low > 0, high <= 0
        rise = np.where(on, np.maximum(reach - low, 0), 0).astype(z.dtype)
        fall = np.where(off, np.maximum(reach + high, 0), 0)
        bias += rise - fall
        h = np.maximum(z + rise - fall, 0)
    return rise
