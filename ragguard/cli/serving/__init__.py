"""Commands that hand out what serves."""
