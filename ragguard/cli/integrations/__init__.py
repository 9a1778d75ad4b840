"""Open doors to other programs: `alarm`, `mcp`, `web`."""
