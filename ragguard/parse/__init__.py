"""Bytes to text to chunks: what a reader sees, and apart from it what he does not."""
