"""Jobs in the browser and as JSON: an operator asks for an ingest or an audit, and sees it run."""
