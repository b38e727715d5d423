"""Points → grid."""

from .stage import pair, spread, spread_jvp, spread_vjp

__all__ = ["pair", "spread", "spread_jvp", "spread_vjp"]
