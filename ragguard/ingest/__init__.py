"""Judge each document of a signed manifest at the gate.

Nothing is imported here, so that signing does not load what only judging needs.
"""
