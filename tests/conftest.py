from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
for variable in [v for v in os.environ if v.startswith("RAGGUARD_") and "QDRANT" not in v]:
    del os.environ[variable]

# Grammars that jsonschema builds on import, for 3 s, to check formats of IRIs: no schema has one.
sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]

# Commits wait until the disk has them, which would be most of the tests' time: their folders are in
# memory where there is room. What a killed process has written survives it there too.
MEMORY = Path("/dev/shm")
ROOM = (os.cpu_count() or 1) * (3 << 29)  # free bytes: a process of tests takes up to 1 GiB
if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free >= ROOM:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))

settings.register_profile("unhurried", deadline=None)  # no test asserts on seconds
settings.load_profile("unhurried")

from tests.support.remembering import remembering  # noqa: E402
from tests.support.simulator import Gate  # noqa: E402 - the variables above are read on import


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--mutations",
        type=int,
        default=10_000,
        help="mutated manifests in the property test (release runs: 100000)",
    )
    parser.addoption(
        "--kills",
        type=int,
        default=10,
        help="kill at every nth write (release runs: 1, which takes ten minutes)",
    )


# Files whose tests share something that takes long to make: one process runs all of a group. The
# mark `xdist_group` says the same, but pytest-xdist 3.8 cannot read it under pytest 9.2.
GROUPS = {
    "tests/cli/test_demo.py": "demo",
    "tests/shipped/test_pipelines.py": "pipelines",
    "tests/shipped/test_install.py": "install",
    "tests/shipped/test_site.py": "site",
    "tests/ingest/test_drip.py": "drip",
    "tests/ingest/test_reintroduction.py": "reintroduction",
    "tests/ingest/test_suspects.py": "suspects",
    "tests/audit/test_killed.py": "handbook",
    "tests/audit/test_run.py": "handbook",
    "tests/cli/test_doctor.py": "handbook",
    "tests/ingest/test_neighbourhood.py": "handbook",
    "tests/ingest/test_judge_later.py": "handbook",
    "tests/audit/test_provenance.py": "provenance",
    "tests/redteam/test_calibrate.py": "calibrate",
    "tests/parse/test_drawn.py": "drawn",
    "tests/embed/test_fastembed.py": "fastembed",
    "tests/export/test_restore.py": "export",
    "tests/export/test_verify.py": "export",
    "tests/export/test_write.py": "export",
    "tests/export/test_denials.py": "denials",
    "tests/lineage/test_trace.py": "trace",
    "tests/serving/test_scopes.py": "scopes",
    "tests/canary/test_tampered_encoders.py": "trojan",
    "tests/bench/test_calibrated.py": "bench",
    "tests/bench/test_command.py": "bench",
    "tests/bench/test_bare_gate.py": "bench",
    "tests/bench/test_page.py": "bench",
    "tests/bench/test_runner.py": "bench",
    "tests/integrations/web/test_api.py": "web api",
    "tests/integrations/web/test_browser.py": "web browser",
    "tests/integrations/web/test_fuzzed.py": "web fuzzed",
    "tests/integrations/web/test_pages.py": "web pages",
    "tests/integrations/web/test_roles.py": "web roles",
    "tests/integrations/web/test_jobs.py": "web jobs",
    "tests/integrations/test_alarms.py": "alarms",
    "tests/integrations/test_telemetry.py": "telemetry",
}


# What `make test` leaves to `make test-all`: every place where a process can be killed, every form
# of an attack, inputs made to be costly, whole benchmarks and stories, encoders that are trained,
# installations, the page in every width and scheme. Single tests have the mark.
SWEEPS = (
    "tests/audit/test_derivation.py",
    "tests/audit/test_killed.py",
    "tests/bench/",
    "tests/benchmarks/",
    "tests/canary/test_tampered_encoders.py",
    "tests/cli/test_demo.py",
    "tests/cli/test_doctor.py::test_doctor_probes_the_model_for_triggers",
    "tests/cli/test_playbook.py",
    "tests/cli/test_rehearsed.py",
    "tests/cli/test_stranger.py::test_the_same_steps_in_processes_of_their_own",
    "tests/cli/test_wrong_states.py",
    "tests/corpus/test_planted.py",
    "tests/export/test_denials.py",
    "tests/ingest/test_attacks",
    "tests/ingest/test_drip.py",
    "tests/ingest/test_low_source.py::test_in_the_sources_own_name",
    "tests/ingest/test_low_source.py::test_what_a_low_source_wrote_before",
    "tests/ingest/test_reintroduction.py",
    "tests/ingest/test_suspects.py",
    "tests/integrations/web/test_jobs.py::test_pages_answer_all_through",
    "tests/integrations/web/test_killed.py",
    "tests/integrations/web/test_pages.py::test_axe_finds_nothing_grave_on_any_page[dark",
    "tests/integrations/web/test_pages.py::test_axe_finds_nothing_grave_on_any_page[light-390",
    "tests/parse/test_document.py::test_no_pattern_takes_more_than_linear_time",
    "tests/parse/test_drawn.py::test_a_missing_sheet",
    "tests/parse/test_drawn.py::test_a_page_that_takes_too_long",
    "tests/parse/test_drawn.py::test_what_a_reader_sees",
    "tests/parse/test_drawn.py::test_what_leaves_no_legible_ink",
    "tests/parse/test_html.py::test_hostile_pages",
    "tests/parse/test_pdf.py::test_bombs",
    "tests/parse/test_workers.py",
    "tests/rebuild/",
    "tests/redteam/",
    "tests/store/test_room.py",
    "tests/shipped/test_corpora.py",
    "tests/shipped/test_install.py",
    "tests/end_to_end/test_costly.py",
    "tests/end_to_end/test_kill.py",
    "tests/shipped/test_slim.py",
    "tests/end_to_end/test_walk.py",
    "tests/end_to_end/test_ways_round.py",
)


# Files that ask what a model computes, again or in other batches: it computes all they embed.
EMBEDDED_ANEW = (
    "tests/audit/test_derivation.py",
    "tests/audit/test_reembedding.py",
    "tests/bench/",
    "tests/benchmarks/",
    "tests/embed/",
    "tests/ingest/test_adopt_vectors.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.nodeid.startswith(SWEEPS):
            item.add_marker(pytest.mark.sweep)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Deal tests to processes one by one, those of a group together."""
    from xdist.scheduler import LoadScopeScheduling

    class ByGroup(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return GROUPS.get(nodeid.partition("::")[0], nodeid)

    return ByGroup(config, log) if config.getvalue("dist") == "loadgroup" else None


@pytest.fixture(scope="session", autouse=True)
def _one_encoder() -> Iterator[None]:
    """The real encoder, loaded once for a process instead of once for a workspace."""
    from ragguard.embed import encoder

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoder, "open_encoder", lru_cache(maxsize=4)(encoder.open_encoder))
        yield


@pytest.fixture(scope="session")
def _recalled() -> Any:
    from ragguard.embed.encoder import DirectEncoder

    return remembering(DirectEncoder.encode)


@pytest.fixture(scope="module", autouse=True)
def _texts_embedded_once(request: pytest.FixtureRequest, _recalled: Any) -> Iterator[None]:
    """A text is embedded once for a process, but where a file asks what is computed."""
    from ragguard.embed.encoder import DirectEncoder

    with pytest.MonkeyPatch.context() as patch:
        if not request.node.nodeid.startswith(EMBEDDED_ANEW):
            patch.setattr(DirectEncoder, "encode", _recalled)
        yield


@pytest.fixture(scope="module", autouse=True)
def _no_more_room_than_needed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """What a module's fixtures have made goes with it, unless a test failed."""
    base = tmp_path_factory.getbasetemp()
    before = set(base.iterdir())
    yield
    if not request.session.testsfailed:
        for folder in set(base.iterdir()) - before:
            if not folder.name.startswith("session-"):
                shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    """A workspace with alice (signs for wiki) and bob (reviews), on the embedded engine."""
    made = Gate(tmp_path)
    yield made
    made.close()


@pytest.fixture
def new_gate(tmp_path: Path) -> Iterator[Callable[..., Gate]]:
    """Makes further workspaces."""
    made: list[Gate] = []

    def make(**options: Any) -> Gate:
        made.append(Gate(tmp_path / f"gate{len(made)}", **options))
        return made[-1]

    yield make
    for gate in made:
        gate.close()
