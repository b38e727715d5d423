"""Parts of networks: each with its value, its tangent, its transpose and the tangent of that, see ``part``."""
