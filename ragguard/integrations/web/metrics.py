"""Answer `/metrics`: what the ledger counts, for a Prometheus scraper with a token."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from ragguard.integrations.ledger_metrics import LedgerMetrics
from ragguard.integrations.web.access import Viewing
from ragguard.integrations.web.api import desk_of

router = APIRouter(include_in_schema=False)


@router.get("/metrics")
def metrics(request: Request, _session: Viewing) -> Response:
    """Metrics in the text format 0.0.4; counted anew when the log has grown."""
    state = request.app.state
    if not hasattr(state, "metrics"):
        state.metrics = LedgerMetrics()
    with desk_of(request).reading() as conn:
        text = generate_latest(state.metrics(conn))
    return Response(text, media_type=CONTENT_TYPE_PLAIN_0_0_4)
