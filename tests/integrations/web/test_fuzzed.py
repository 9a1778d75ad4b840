"""Whatever the API's description allows and forbids is sent to it, and answered as described.

schemathesis makes requests out of /openapi.json: such as fit it and such as do not. Each answer has
to be one that is described: status, content type, body. A decision that is made up is never
carried out, so that the queue is as it was.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import CHECKS, load_all_checks

from ragguard.integrations.web import sessions
from tests.support.web import Served

NAMES = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
)
EACH = 8  # requests of a kind for an operation; the sweep makes many more


def requests(served: Served, each: int) -> Counter[tuple[str, int]]:
    """Send such requests for every operation; how many, by operation and status."""
    load_all_checks()
    checks = CHECKS.get_by_names(list(NAMES))
    sent: Counter[tuple[str, int]] = Counter()
    with served.client() as client:  # whoever started the server: decides and operates
        schema = schemathesis.openapi.from_dict(client.get("/openapi.json").json())
        cookies = "; ".join(f"{k}={v}" for k, v in client.cookies.items())
        headers = {"x-csrf-token": client.headers["x-csrf-token"], "cookie": cookies}
        before = client.get("/api/v1/cases").json()
        for found in schema.get_all_operations():
            operation = found.ok()
            for mode in schemathesis.GenerationMode:

                @seed(7)
                @settings(
                    max_examples=each,
                    database=None,
                    suppress_health_check=list(HealthCheck),
                    phases=[Phase.explicit, Phase.generate],
                )
                @given(case=operation.as_strategy(generation_mode=mode))
                def send(case: Any) -> None:
                    answer = case.call(base_url=served.url, headers=headers, timeout=120)
                    sent[case.operation.label, answer.status_code] += 1
                    if answer.status_code == 413:  # too large to be looked at, right or wrong
                        assert str(answer.status_code) in case.operation.responses.status_codes
                        return
                    case.validate_response(answer, checks=checks)

                try:
                    send()
                except Unsatisfiable:  # nothing can be wrong where nothing is asked
                    assert mode.value == "negative"
        assert client.get("/api/v1/cases").json() == before
    return sent


@pytest.fixture(autouse=True)
def _unlimited(monkeypatch: pytest.MonkeyPatch) -> None:
    """How often a session may ask is tested elsewhere."""
    monkeypatch.setattr(sessions, "RATE", 1e9)
    monkeypatch.setattr(sessions, "BURST", 1e9)


def test_answers_are_as_described(served: Served) -> None:
    sent = requests(served, EACH)
    assert {label for label, _ in sent} == described(served)
    assert sum(sent.values()) > 8 * len(described(served))


@pytest.mark.sweep
@pytest.mark.timeout(1800)
def test_answers_to_many_more_are_as_described(served: Served) -> None:
    sent = requests(served, 200)
    print(f"{sum(sent.values())} requests", dict(sorted(sent.items())))
    assert {label for label, _ in sent} == described(served)


def described(served: Served) -> set[str]:
    paths = httpx.get(f"{served.url}/openapi.json", trust_env=False).json()["paths"]
    return {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
