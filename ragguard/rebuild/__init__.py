"""Rebuild the index as another generation, try it beside the old one, and go back."""
