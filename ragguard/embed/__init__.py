"""Embed texts as vectors: the encoder, its models on disk, the words it knows."""
