"""Bytes to text to chunks to vectors, and the recipe that names exactly how."""
