"""Nearest neighbours: exact, approximate, and the table of a whole index."""
