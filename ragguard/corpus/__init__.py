"""Know what stands in the corpus, and what a commit or a rebuild makes of it."""
