"""Commands that open a door to other programs."""
