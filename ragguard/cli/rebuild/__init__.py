"""Make another generation serve: `reindex`, `cutover`, `rollback`."""
