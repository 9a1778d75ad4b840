"""Hold suspects for a reviewer, show them, carry decisions out, revoke keys and sources."""
