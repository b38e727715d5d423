"""Grid ↔ modes."""

from .stage import analyse, gives_powers, synthesise, through

__all__ = ["analyse", "gives_powers", "synthesise", "through"]
