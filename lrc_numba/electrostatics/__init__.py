"""Electrostatics: sums over pairs of charges, and what is built on them."""
