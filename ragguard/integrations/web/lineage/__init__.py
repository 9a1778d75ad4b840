"""Where things come from, in the browser and as JSON: documents, answers, sources, history."""
