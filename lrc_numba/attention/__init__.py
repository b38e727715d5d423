"""Attention in reciprocal space (arXiv 2510.13055) for points in any cell or none, with every derivative by hand."""

from .layer import AttentionGradient, ReciprocalSpaceAttention

__all__ = ["AttentionGradient", "ReciprocalSpaceAttention"]
