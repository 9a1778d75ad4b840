"""Parse bytes into text and chunks: what a reader sees, and apart from it what he does not."""
