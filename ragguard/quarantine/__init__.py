"""What waits for a reviewer: put there, looked at, decided, let out again."""
