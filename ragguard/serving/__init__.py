"""Serve readers: search, the published copy, a candidate on trial."""
