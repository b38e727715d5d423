"""The differences that derivatives of networks are tested with: what is wrong by a little is seen."""

from __future__ import annotations

from derivatives import FORCES, LOSSES, force_error, gradient_errors
from drawn_structures import SPECIES, make_structures

from lrc_numba.networks import LossWeights, MessagePassingNetwork

ALL = LossWeights(energy=0.3, forces=1.0, stress=0.5)


def small_network() -> MessagePassingNetwork:
    """One round, with a long range whose width is learned: one small derivative among large ones."""
    options = {"channels": 8, "rounds": 1, "basis": 3, "long_range": 2, "sigma": 0.6, "train_sigma": True}
    return MessagePassingNetwork(SPECIES, 1.5, seed=2, **options)


def test_small_errors_of_derivatives_are_seen(monkeypatch):
    """Of the derivative by one small parameter, and of the forces of one structure: ten times what is allowed."""
    network, structures = small_network(), make_structures(3, (4, 3), seed=6)
    at, loss, predict = network.parameters.offsets["far0.sigma"], network.loss, network.predict

    def wrong_loss(*arguments):
        value, gradient = loss(*arguments)
        gradient[at] *= 1 + 10 * LOSSES
        return value, gradient

    def wrong_predict(*arguments, **options):
        made = predict(*arguments, **options)
        if made.forces is not None:
            made.forces[4:] *= 1 + 10 * FORCES
        return made

    with monkeypatch.context() as broken:
        broken.setattr(network, "loss", wrong_loss)
        errors = gradient_errors(network, structures, ALL)
        assert errors.pop("far0.sigma") > 5 * LOSSES
        assert max(errors.values()) <= LOSSES
        broken.setattr(network, "predict", wrong_predict)
        assert force_error(network, structures) > FORCES
