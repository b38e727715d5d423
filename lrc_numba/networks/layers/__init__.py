"""Dense chains, their activations and their parameters."""
