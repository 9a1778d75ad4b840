"""Describe the corpus at a commit as a bill of materials: CycloneDX 1.6 (ECMA-424), an ML-BOM.

The corpus is a component of type `data`, its sources and their documents are in it, and the
embedding model beside it. A document has the digest that was signed; the manifests it stands on
are attestations of its source. Where readers are scoped, documents that not everybody may see are
named by their digest.
"""

from __future__ import annotations

import re
from typing import Any

from ragguard import __version__
from ragguard.export.corpus_at import CorpusAt, SourceAt, license_of
from ragguard.ledger.commits import ManifestRow
from ragguard.ledger.versions import VersionRow
from ragguard.text.documentation import DOCUMENTATION

# SPDX ids that are told as such; any other name is told as a name.
SPDX = {
    name.lower(): name
    for name in (
        *("Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "MIT", "GPL-3.0-only", "GPL-3.0-or-later"),
        *("CC0-1.0", "CC-BY-3.0", "CC-BY-4.0", "CC-BY-SA-3.0", "CC-BY-SA-4.0", "CC-BY-NC-4.0"),
        *("CC-BY-ND-4.0", "CC-BY-NC-SA-4.0", "CC-BY-NC-ND-4.0", "ODbL-1.0", "ODC-By-1.0"),
        *("GFDL-1.3-only", "GFDL-1.3-or-later", "PDDL-1.0", "OGL-UK-3.0"),
    )
}
_SHA256 = re.compile(r"[0-9a-f]{64}")


def bill(corpus: CorpusAt) -> dict[str, Any]:
    """Return the bill of the corpus at a commit; the same for the same commit."""
    row = corpus.row
    top = {
        "type": "data",
        "bom-ref": "corpus",
        "name": corpus.name,
        "version": f"commit {row.id}",
        "data": [{"type": "dataset", "name": "corpus", "classification": _class(corpus)}],
        "properties": _properties(
            commit=row.id,
            corpus=row.corpus,
            documents=corpus.documents,
            log=corpus.name,
            log_entry=corpus.log_index,
        ),
    }
    components = [_source(source) for source in corpus.sources]
    if corpus.recipe:
        components.append(_model(corpus))
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{corpus.uuid('bill')}",
        "version": 1,
        "metadata": {
            "timestamp": row.at,
            "tools": {
                "components": [
                    {
                        "type": "application",
                        "name": "ragguard",
                        "version": __version__,
                        "externalReferences": [{"type": "documentation", "url": DOCUMENTATION}],
                    }
                ]
            },
            "component": top,
        },
        "components": components,
        "dependencies": [
            {"ref": "corpus", "dependsOn": [component["bom-ref"] for component in components]}
        ],
    }


def _class(corpus: CorpusAt) -> str:
    return "restricted" if any(s.restricted for s in corpus.sources) else "unrestricted"


def _properties(**values: Any) -> list[dict[str, str]]:
    return [{"name": f"ragguard:{name}", "value": str(value)} for name, value in values.items()]


def _source(source: SourceAt) -> dict[str, Any]:
    level = "restricted" if source.restricted else "unrestricted"
    body: dict[str, Any] = {
        "type": "data",
        "bom-ref": f"source:{source.name}",
        "name": source.name,
        "data": [
            {
                "type": "dataset",
                "name": source.name,
                "classification": level,
                "governance": {"owners": [{"contact": {"name": who}} for who in source.signers]},
            }
        ],
        "externalReferences": [_manifest(manifest) for manifest in source.manifests],
        "components": [_document(row, source) for row in source.documents],
        "properties": _properties(documents=len(source.documents)),
    }
    names = sorted({license_of(row) for row in source.documents} - {""})
    if names:
        body["licenses"] = [_license(name) for name in names]
    return body


def _manifest(manifest: ManifestRow) -> dict[str, Any]:
    signers = ", ".join(sorted({str(who) for _, who in manifest.signers}))
    comment = f"in-toto manifest, version {manifest.version}, signed by {signers}"
    return {
        "type": "attestation",
        "url": f"urn:ragguard:manifest:{manifest.digest}",
        "hashes": [{"alg": "SHA-256", "content": manifest.digest}],
        "comment": comment if manifest.version >= 1 else "record of an adoption, signed by nobody",
    }


def _document(row: VersionRow, source: SourceAt) -> dict[str, Any]:
    body: dict[str, Any] = {
        "type": "data",
        "bom-ref": f"document:{row.id}",
        "name": row.digest if source.restricted else row.document,
        "version": row.digest[:12],
        "hashes": [{"alg": "SHA-256", "content": row.digest}],
        "properties": _properties(
            manifest=row.manifest, commit=row.commit, verdict=row.outcome, version=row.id
        ),
    }
    if name := license_of(row):
        body["licenses"] = [_license(name)]
    return body


def _license(name: str) -> dict[str, Any]:
    known = SPDX.get(name.lower())
    return {"license": {"id": known} if known else {"name": name}}


def _model(corpus: CorpusAt) -> dict[str, Any]:
    recipe = corpus.recipe
    body: dict[str, Any] = {
        "type": "machine-learning-model",
        "bom-ref": "model",
        "name": str(recipe.get("model") or "?"),
        "modelCard": {"modelParameters": {"task": "feature-extraction"}},
        "properties": _properties(
            **{k: recipe[k] for k in ("splitter", "parser", "pooling", "dimensions") if k in recipe}
        ),
    }
    content = str(recipe.get("model_digest") or "")
    if _SHA256.fullmatch(content):
        body["hashes"] = [{"alg": "SHA-256", "content": content}]
    return body
