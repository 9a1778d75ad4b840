"""Commands that make another generation serve."""
