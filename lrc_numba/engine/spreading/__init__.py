"""Points → grid."""

from .stage import interleave, spread, spread_jvp, spread_vjp

__all__ = ["interleave", "spread", "spread_jvp", "spread_vjp"]
