"""What was answered: the canaries of the night, and the retrieval log."""
