"""Run an ingest or an audit, one at a time, in a process that goes on serving.

The embedded engine belongs to one process. So a job runs in a thread of the one that serves, and
lends it the index (`engine`), that it can go on reading. What is asked for is a name out of the
settings, never a path. What became of jobs is kept in `jobs.json` (`kept`).
"""
