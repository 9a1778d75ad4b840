"""Serve the review page: the quarantine in a browser, and the same as JSON.

It serves what is there to whoever came through a one-time link, and carries out what a reviewer
signed. Keys of reviewers stay in their browsers: what arrives here are DSSE envelopes, verified as
those of the command line. Needs the extra `web`.
"""
