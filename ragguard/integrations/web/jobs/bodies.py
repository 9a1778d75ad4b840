"""Word what pages and API tell about jobs."""

from __future__ import annotations

from ragguard.integrations.jobs.kept import Row
from ragguard.integrations.web.desk import Desk
from ragguard.integrations.web.jobs import models


def job(desk: Desk, row: Row) -> models.JobRun:
    """Return a job with how far it is."""
    steps, _ = desk.jobs.steps(row.number)
    return models.JobRun(
        **row.model_dump(),
        steps=[models.JobStep(stage=s.stage, done=s.done, total=s.total) for s in steps],
        can_stop=desk.jobs.can_stop(row.number),
    )


def jobs(desk: Desk) -> models.Jobs:
    """Return all that are remembered, and what may be asked for."""
    running = desk.jobs.running
    allowed = desk.settings.web.ingest.items()
    return models.Jobs(
        allowed=[
            models.AllowedIngest(source=name, manifest=grant.manifest, root=grant.root)
            for name, grant in sorted(allowed)
        ],
        running=running.number if running else None,
        jobs=[job(desk, row) for row in desk.jobs.rows()],
    )
