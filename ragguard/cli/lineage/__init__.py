"""Commands that say where something came from."""
