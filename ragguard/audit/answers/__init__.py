"""Audit answers: the canaries of the night, and the retrieval log."""
