"""Decide who may say what: keys, envelopes, the trust root, manifests, decisions.

Bytes in, nouns out; no disk.
"""
