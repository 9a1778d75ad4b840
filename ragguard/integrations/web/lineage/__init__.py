"""Show in the browser and as JSON where documents, answers and sources come from."""
