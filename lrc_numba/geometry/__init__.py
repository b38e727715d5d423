"""The periodic cell, its modes, and neighbours in it."""
