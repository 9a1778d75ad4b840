"""What readers get: search, the published copy, a candidate on trial."""
