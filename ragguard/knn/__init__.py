"""Find nearest neighbours: exactly, approximately, and as the table of a whole index."""
