"""Grid ↔ modes."""

from .stage import analyse, synthesise, through

__all__ = ["analyse", "synthesise", "through"]
