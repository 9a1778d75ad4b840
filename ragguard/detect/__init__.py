"""Measure documents, and make a verdict of what is measured."""
