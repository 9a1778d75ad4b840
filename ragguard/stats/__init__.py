"""Compute statistics as pure functions: arrays in, arrays out."""
