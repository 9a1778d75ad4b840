"""Read the index once: every point against its seal, and the spool that later parts read."""
