"""Show jobs in the browser and as JSON: an operator asks for one and sees it run."""
