"""Another generation of the index: rebuilt, tried beside the old one, gone back to."""
