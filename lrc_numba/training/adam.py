"""Adam (Kingma and Ba, 2015, Algorithm 1) on one flat vector."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

__all__ = ["Adam"]


@dataclass
class Adam:
    """First and second moments of the gradient, and steps with their bias taken out.

    Parameters
    ----------
    size : int
        Number of parameters.
    beta1, beta2, eps : float
        Decay rates and the guard of the division, the paper's values by default.

    Attributes
    ----------
    steps : int
        Steps taken.
    mean, square : (size,) float64
        Moments.
    """

    size: int
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    steps: int = 0
    mean: np.ndarray = field(init=False)
    square: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.mean, self.square = np.zeros(self.size), np.zeros(self.size)

    def step(self, parameters: np.ndarray, gradient: np.ndarray, rate: float) -> None:
        """Change ``parameters`` in place.

        Parameters
        ----------
        parameters, gradient : (size,)
            θ and ∂L/∂θ.
        rate : float
            Learning rate of this step.

        Raises
        ------
        ValueError
            For another size.
        """
        if parameters.shape != (self.size,) or gradient.shape != (self.size,):
            raise ValueError(
                f"gradient: expected shape ({self.size},), got {gradient.shape} for parameters {parameters.shape}"
            )
        gradient = gradient.astype(np.float64)  # of whose squares none overflows
        self.steps += 1
        self.mean += (1.0 - self.beta1) * (gradient - self.mean)
        self.square += (1.0 - self.beta2) * (gradient * gradient - self.square)
        mean = self.mean / (1.0 - self.beta1**self.steps)
        square = self.square / (1.0 - self.beta2**self.steps)
        parameters -= (rate * mean / (np.sqrt(square) + self.eps)).astype(parameters.dtype)
