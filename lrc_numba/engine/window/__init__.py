"""The window: chosen, evaluated at points, and where it lies on the grid."""
