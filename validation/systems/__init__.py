"""Data on which forms of a learned long range are compared, see ``validation.long_range``."""
