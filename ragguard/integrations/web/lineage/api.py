"""Answer lineage as JSON: documents, answers, sources, the corpus's history and exports."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response

from ragguard.export.formats import FORMATS, write_format
from ragguard.integrations.web.access import Viewing
from ragguard.integrations.web.api import PROBLEMS, Number, PageNumber, PerPage, desk_of
from ragguard.integrations.web.lineage import bodies, models

router = APIRouter(prefix="/api/v1", responses=PROBLEMS)
What = Annotated[str, Query(min_length=1, max_length=2_000)]
Name = Annotated[str, Path(min_length=1, max_length=200)]
Kind = Literal["openlineage", "card", "cyclonedx"]


@router.get("/lineage")
def show_lineage(request: Request, _session: Viewing, what: What) -> models.Lineage:
    """Verify where a document (`source/id`) or a chunk (point id) comes from, step by step."""
    return models.Lineage(**bodies.document(desk_of(request), what).as_dict())


@router.get("/lineage/prov")
def show_provenance(request: Request, _session: Viewing, what: What) -> dict[str, Any]:
    """The chain of custody of a document as W3C PROV-JSON."""
    return bodies.provenance(desk_of(request), what)


@router.post("/lineage/answer")
def show_answer(request: Request, _session: Viewing, asked: models.AskedAnswer) -> models.Lineage:
    """Verify what an answer rested on, from its receipt: then, and now. Nothing is changed."""
    signers = [key.public for key in asked.signers]
    return models.Lineage(**bodies.answer(desk_of(request), asked.receipt, signers).as_dict())


@router.get("/sources")
def list_sources(request: Request, _session: Viewing) -> models.SourceList:
    """List sources: what stands of each, and what became of what it brought."""
    return models.SourceList(
        sources=[models.Source(**row) for row in bodies.source_list(desk_of(request))]
    )


@router.get("/sources/{name}")
def show_source(
    request: Request, _session: Viewing, name: Name, page: PageNumber = 1
) -> models.SourceLineage:
    """Show what a source brought, what was held of it, and which canary questions it moved."""
    return models.SourceLineage(**bodies.source(desk_of(request), name, page))


@router.get("/history")
def list_history(
    request: Request,
    _session: Viewing,
    source: Annotated[str, Query(max_length=200)] = "",
    page: PageNumber = 1,
    per: PerPage = bodies.PER_PAGE,
) -> models.Timeline:
    """List commits, newest first, with what each added, changed and took out, by source."""
    return models.Timeline(**bodies.history(desk_of(request), page, source, per))


@router.get("/history/{number}")
def show_commit(
    request: Request, _session: Viewing, number: Number, page: PageNumber = 1
) -> models.Commit:
    """Show a commit; the digest of the whole corpus after it is computed anew."""
    return models.Commit(**bodies.commit(desk_of(request), number, page))


@router.get("/history/{number}/{kind}", response_class=Response)
def export_commit(request: Request, _session: Viewing, number: Number, kind: Kind) -> Response:
    """Export a commit: OpenLineage events, a dataset card, or a CycloneDX ML-BOM."""
    form = FORMATS[kind]
    with desk_of(request).opened() as workspace:
        data = write_format(workspace, kind, number)
    name = f"ragguard-{number}-{form.file}"
    return Response(
        data,
        media_type=form.media_type,
        headers={"content-disposition": f'attachment; filename="{name}"'},
    )
