"""The engine: points → grid → modes → × multiplier → grid → points, see ``operator``; a folder for every stage."""
