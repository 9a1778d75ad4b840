"""Pure functions: bytes or arrays in, bytes or arrays out; no disk, clock or network."""
