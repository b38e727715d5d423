"""What a plan is made of: its choices, its points, its calls, and the rule that it does one thing at a time."""
