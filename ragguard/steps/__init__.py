"""Steps that the jobs share, each over an open workspace."""
