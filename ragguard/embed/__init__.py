"""Texts to vectors: the encoder, its models on disk, the words it knows."""
