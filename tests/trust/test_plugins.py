"""Plug-ins: only what is named runs, what is broken is no pass, and recipes say which it was."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ragguard import doctor
from ragguard.config import ParseSettings, load
from ragguard.detect import scoring
from ragguard.embed.plugged import PluginEncoder
from ragguard.errors import ConfigError, EncodeError
from ragguard.parse import workers
from ragguard.parse.plugged import parsers_of
from ragguard.parse.workers import Read, Source, Unread, read_documents
from ragguard.trust.plugins import find
from tests.support import plugging
from tests.support.checks.views import Doc, make_view
from tests.support.simulator import HONEST, Gate

VTT = (
    "WEBVTT\n\n00:01.000 --> 00:04.000\nThe lift in the north hall is serviced on Fridays.\n\n"
    "00:05.000 --> 00:09.000\nUse the stairs on that day, and tell your visitors.\n"
)
OFFERED = (("vtt", "parsers"), ("hashed", "encoders"), ("shouting", "checks"))
LOUD = "THE LIFT IS OUT OF ORDER AND EVERYBODY HAS TO TAKE THE STAIRS TODAY"

BROKEN = """
import sys

def leaving(data):
    sys.exit(0)

def nothing(data):
    return data

def failing(data):
    if b"bad" in data:
        raise KeyError("bad")
    return "It is read: " + data.decode()

def greedy(data):
    return "a" * (1 << 33)

def raising(view, params):
    raise ValueError("out of order")

def short(view, params):
    from ragguard.model import Evidence, Signal
    import numpy
    return Signal(numpy.zeros(view.n + 1), lambda row: Evidence(""))

def mute(view, params):
    from ragguard.model import Signal
    import numpy
    return Signal(numpy.ones(view.n), lambda row: 1 / 0)

def none(view, params):
    return None

class Params:
    __dataclass_fields__ = {}

def check(function):
    from ragguard.detect.checks import Check
    return Check("any", "text", Params, function, 1.0, "")

RAISING, SHORT, MUTE, NONE, NO_CHECK = check(raising), check(short), check(mute), check(none), 7

class Model:
    dimensions, max_tokens, digest = 4, 64, "0" * 64
    count_tokens = staticmethod(lambda texts: [1])
    encode = staticmethod(lambda texts: [[0.0, 0.0, 0.0, 0.0] for _ in texts])

def model(name):
    if name == "none":
        raise FileNotFoundError(name)
    return Model()
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The documented package and a broken one, on the path."""
    folder = plugging.install_example(tmp_path_factory.mktemp("site"))
    parsers = ("leaving", "nothing", "failing", "greedy", "absent")
    checks = {"raising": "RAISING", "short": "SHORT", "mute": "MUTE", "none": "NONE"}
    plugging.install(
        folder,
        "broken-one",
        {
            "parsers": {name: f"broken_one:{name}" for name in parsers} | {"pdf": "broken_one:x"},
            "checks": {name: f"broken_one:{value}" for name, value in checks.items()}
            | {"odd": "broken_one:NO_CHECK", "gone": "broken_none:CHECK", "hidden": "broken_one:x"},
            "encoders": {"model": "broken_one:model"},
        },
        {"broken_one.py": BROKEN},
    )
    with plugging.on_path(folder):
        yield folder
    workers._FIRST.stop()


def test_what_is_installed_and_not_named_is_not_loaded(installed: Path) -> None:
    assert "shouting" not in scoring.active_checks({})
    assert not any(name.startswith("acme_ragguard") for name in sys.modules)
    assert "shouting" in scoring.active_checks({}, ["acme-ragguard:shouting"])
    assert "acme_ragguard.shouting" in sys.modules
    assert "acme_ragguard.hashed" not in sys.modules


@pytest.mark.parametrize(
    ("kind", "named", "said"),
    [
        ("checks", "nowhere:shouting", "'nowhere' is not installed"),
        ("checks", "broken-one:shouting", r"offers no such plug-in \(it offers gone, hidden, mute"),
        ("parsers", "acme-ragguard:shouting", r"offers no such plug-in \(it offers vtt\)"),
    ],
)
def test_a_plug_in_is_named_with_its_package(
    installed: Path, kind: str, named: str, said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        find(kind, named)  # type: ignore[arg-type]


def test_settings_name_package_and_entry_point_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "ragguard.toml"
    for text in ('checks = ["shouting"]', 'parsers = ["a:../b"]', 'encoder = "x"', "other = 1"):
        file.write_text(f"[plugins]\n{text}\n")
        with pytest.raises(ConfigError, match="plugins"):
            load(file, {})
    file.write_text('[plugins]\nchecks = ["acme-ragguard:shouting"]\n')
    assert load(file, {}).plugins.checks == ("acme-ragguard:shouting",)


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("METADATA", "Name: torn\n", "is no version"),
        ("METADATA", "Name: torn\nVersion: 1 {x}\n", "is no version"),
        ("entry_points.txt", "[ragguard.loaders]\nx\n", "is damaged"),
    ],
)
def test_a_package_that_is_damaged_is_named(
    tmp_path: Path, file: str, content: str, said: str
) -> None:
    folder = plugging.install(tmp_path, "torn", {"loaders": {"x": "torn:x"}}, {})
    (folder / "torn-1.2.0.dist-info" / file).write_text(content)
    with (
        plugging.on_path(folder),
        pytest.raises(ConfigError, match=rf"loaders: torn:x: the .*{said}"),
    ):
        find("loaders", "torn:x")


def test_no_plug_in_takes_the_place_of_what_is_there(installed: Path) -> None:
    with pytest.raises(ConfigError, match="there is a check 'hidden' already"):
        scoring.active_checks({}, ["broken-one:hidden"])
    with pytest.raises(ConfigError, match=r"\.pdf files have a parser already"):
        parsers_of(["broken-one:pdf"])


# --- checks ---------------------------------------------------------------------------------------


def test_a_check_measures_with_its_parameters_and_is_a_family_by_itself(installed: Path) -> None:
    view = make_view([Doc("a", [LOUD]), Doc("b", [LOUD.lower()])])
    settings = {"shouting": {"shortest": 10}}
    checks = scoring.active_checks(settings, ["acme-ragguard:shouting"])
    check, params = checks["shouting"]
    assert (check.family, check.origin) == ("shouting", "acme-ragguard@1.2.0:shouting")
    signal = scoring.measure(view, {"shouting": (check, params)}).signals["shouting"]
    assert signal.scores.tolist() == [1.0, 0.0]
    assert signal.explain(0).detail == "100% of its letters are capitals"
    assert scoring.families_of(["shouting"]).names == ("shouting",)
    with pytest.raises(ConfigError, match="no such parameter"):
        scoring.active_checks({"shouting": {"longest": 1}}, ["acme-ragguard:shouting"])


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("raising", "ValueError: out of order"),
        ("short", "expected 1 finite scores"),
        ("none", "AttributeError"),
        ("odd", "cannot be loaded .TypeError: a int"),
        ("gone", "cannot be loaded .ModuleNotFoundError"),
    ],
)
def test_a_broken_check_has_failed_and_is_no_pass(installed: Path, name: str, said: str) -> None:
    view = make_view([Doc("a", [LOUD])])
    checks = scoring.active_checks({}, [f"broken-one:{name}"])
    measured = scoring.measure(view, {name: checks[name]})
    assert measured.signals == {}
    (skipped,) = measured.skipped
    assert skipped.crashed
    assert f"broken-one@1.2.0:{name}" in skipped.reason
    assert np.any([said.split(" .")[0] in skipped.reason, said in skipped.reason])


def test_a_check_that_cannot_say_why_ends_no_run(installed: Path) -> None:
    view = make_view([Doc("a", [LOUD])])
    checks = scoring.active_checks({}, ["broken-one:mute"])
    signal = scoring.measure(view, {"mute": checks["mute"]}).signals["mute"]
    assert "cannot say why (ZeroDivisionError)" in signal.explain(0).detail


# --- parsers --------------------------------------------------------------------------------------


def test_parsers_run_in_workers_and_a_broken_one_costs_its_document(installed: Path) -> None:
    names = ("leaving", "nothing", "failing", "greedy", "absent")
    sources = [Source(VTT.encode(), "vtt"), *(Source(b"some words", name) for name in names)]
    sources += [Source(b"bad words", "failing"), Source(b"# Title\n\nWords.", "md")]
    plugins = ["acme-ragguard:vtt", *(f"broken-one:{name}" for name in names)]
    found = read_documents(sources, ParseSettings(), size=1000, overlap=100, plugins=plugins)
    assert "acme_ragguard.vtt" not in sys.modules  # it ran elsewhere
    read = [one.parsed.text if isinstance(one, Read) else one.reason for one in found]
    assert read[0].startswith("The lift in the north hall")
    assert "-->" not in read[0]
    assert "broken-one@1.2.0:leaving failed (SystemExit)" in read[1]
    assert "gave a bytes, no text" in read[2]
    assert read[3] == "It is read: some words"
    assert "memory" in read[4]
    assert "cannot be loaded (AttributeError)" in read[5]
    assert "failed (KeyError)" in read[6]
    assert isinstance(found[7], Read)
    assert [isinstance(one, Unread) for one in found] == [False, *[True] * 2, False, *[True] * 3, 0]


def test_the_version_of_a_parser_is_in_the_recipe(installed: Path) -> None:
    assert parsers_of([]) == ""
    assert parsers_of(["acme-ragguard:vtt"]) == " +vtt=acme-ragguard@1.2.0"


# --- encoders -------------------------------------------------------------------------------------


def test_package_and_version_of_an_encoder_are_in_the_recipe(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = PluginEncoder(find("encoders", "acme-ragguard:hashed"), "words", 1000, 100)
    assert first.recipe.pooling == "plugin acme-ragguard@1.2.0:hashed"
    vectors = first.encode(["The lift is out of order.", "Take the stairs."] * 40)
    assert vectors.shape == (80, 256)
    assert np.abs(np.linalg.norm(vectors, axis=1) - 1).max() < 1e-6
    monkeypatch.syspath_prepend(plugging.install_example(tmp_path, "1.3.0"))
    other = PluginEncoder(find("encoders", "acme-ragguard:hashed"), "words", 1000, 100)
    assert other.recipe.model_digest != first.recipe.model_digest
    assert other.recipe.digest != first.recipe.digest


def test_an_encoder_that_fails_ends_the_run_and_says_which(installed: Path) -> None:
    plugin = find("encoders", "broken-one:model")
    with pytest.raises(EncodeError, match=r"broken-one@1\.2\.0:model: cannot be loaded"):
        PluginEncoder(plugin, "none", 1000, 100)
    model = PluginEncoder(plugin, "any", 1000, 100)
    with pytest.raises(EncodeError, match="finite or is zero"):
        model.encode(["a"])
    with pytest.raises(EncodeError, match="counts 1 texts of 2"):
        model.count_tokens(["a", "b"])


# --- all together ---------------------------------------------------------------------------------


def test_a_gate_with_plug_ins_serves_their_format_and_holds_what_a_broken_check_missed(
    installed: Path, tmp_path: Path
) -> None:
    plugins = {
        "parsers": ["acme-ragguard:vtt"],
        "encoder": "acme-ragguard:hashed",
        "checks": ["acme-ragguard:shouting"],
    }
    gate = Gate(tmp_path / "g", plugins=plugins, model={"name": "words"})
    try:
        taken = frozenset({"md", "vtt"})
        report = gate.publish({**HONEST, "lift.vtt": VTT}, formats=taken)
        assert report.exit_code == 0
        (page,) = (p for p in gate.points().values() if p["ragguard"]["document"] == "lift.vtt")
        assert page["page_content"].startswith("The lift in the north hall")
        assert gate.workspace.encoder.recipe.parser.endswith(" +vtt=acme-ragguard@1.2.0")
        told = {f.detail: f.state for f in doctor.examine(gate.workspace) if f.name == "plug-in"}
        assert told == {f"acme-ragguard@1.2.0:{name}, of {kind}": "ok" for name, kind in OFFERED}
        checks = {"checks": ["acme-ragguard:shouting", "broken-one:raising"]}
        gate.settings = gate.settings.model_copy(
            update={"plugins": gate.settings.plugins.model_copy(update=checks)}
        )
        gate.reopen(hours=1)
        report = gate.publish({"new.md": "# Parking\n\nThe yard is for vans."}, formats=taken)
        assert report.exit_code == 5
        assert gate.documents("quarantine") == {"new.md"}
        assert report.skipped["raising"].crashed
    finally:
        gate.close()
