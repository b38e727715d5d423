"""Grid → points."""

from .stage import fill, interpolate, interpolate_jvp, interpolate_vjp

__all__ = ["fill", "interpolate", "interpolate_jvp", "interpolate_vjp"]
