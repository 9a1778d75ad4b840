"""The gate: from a signed manifest to a verdict on each document it lists.

Nothing is imported here, so that signing does not load what only judging needs.
"""
