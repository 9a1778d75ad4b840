"""Say where something came from: `history`, `log`, `trace`."""
