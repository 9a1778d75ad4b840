"""Hand out what serves: `search`, `publish`."""
