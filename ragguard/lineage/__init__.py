"""Trace a document to its signer and a bad answer to its documents, and prove it."""
