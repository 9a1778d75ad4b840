from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from ragguard.config import TEMPLATE, Settings, load
from ragguard.detect import checks, scoring
from ragguard.errors import ConfigError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ragguard.toml"


def read(file: Path, text: str, **variables: str) -> Settings:
    file.write_text(text, "utf-8")
    return load(file, variables)


def refused(file: Path, text: str, **variables: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        read(file, text, **variables)
    assert caught.value.exit_code == 2
    return caught.value


# --- precedence -----------------------------------------------------------------------------------


def test_without_a_file_or_variables_everything_is_at_its_default(file: Path) -> None:
    assert load(file, {}) == Settings()


def test_the_file_wins_over_defaults_and_a_variable_over_the_file(file: Path) -> None:
    text = "[judge]\nfalse_alarm_rate = 0.02\n[chunks]\nsize = 800\n"
    settings = read(file, text, RAGGUARD_JUDGE__FALSE_ALARM_RATE="0.05")
    assert settings.judge.false_alarm_rate == 0.05
    assert settings.chunks.size == 800
    assert settings.chunks.overlap == Settings().chunks.overlap


def test_a_variable_opens_a_section_the_file_lacks(file: Path) -> None:
    settings = read(file, "", RAGGUARD_STORE__URL="http://qdrant.example:6333")
    assert settings.store.url == "http://qdrant.example:6333"


@pytest.mark.parametrize(
    "variable", ["RAGGUARD_PASSPHRASE_FILE", "STORE__URL", "XRAGGUARD_STORE__URL", "PATH"]
)
def test_other_variables_are_none_of_ours(file: Path, variable: str) -> None:
    assert read(file, "", **{variable: "x"}) == Settings()


@pytest.mark.parametrize("field", ["false_alarm_rate", "removal_share"])
def test_settings_are_frozen(field: str) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        setattr(Settings().judge, field, 0.2)


# --- errors name their place ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "place", "problem"),
    [
        ("[juge]\nx = 1", "juge", "no such setting"),
        ("[judge]\nfalse_alarms = 0.1", "judge.false_alarms", "no such setting"),
        ("[judge]\nfalse_alarm_rate = 0.9", "judge.false_alarm_rate", "less than 0.5"),
        ("[judge]\nfalse_alarm_rate = 0", "judge.false_alarm_rate", "greater than 0"),
        ("[judge]\nfalse_alarm_rate = nan", "judge.false_alarm_rate", "found nan"),
        ("[judge]\nfalse_alarm_rate = 'low'", "judge.false_alarm_rate", "valid number"),
        ("[judge]\nremoval_share = 1.5", "judge.removal_share", "less than or equal to 1"),
        ("[chunks]\nsize = 10", "chunks.size", "greater than or equal to 100"),
        ("[chunks]\nsize = 500.5", "chunks.size", "valid integer"),
        ("[model]\nruntime = 'jax'", "model.runtime", "'openvino'"),
        ("[limits]\ndocument = -1", "limits.document", "greater than or equal to 1000"),
        ("[store]\nindex_after = 1", "store.index_after", "greater than or equal to 1000"),
        ("store = 'here'", "store", "found something of type str"),
        ("[checks]\nhidden = false", "checks.hidden", "valid dictionary"),
        ("[ledger]\npath = 'x'", "ledger", "ledger"),
    ],
    ids=lambda v: str(v).replace("\n", " ")[:36],
)
def test_a_wrong_line_of_the_file_is_named_with_the_file(
    file: Path, text: str, place: str, problem: str
) -> None:
    error = refused(file, text)
    assert error.message.startswith(f"{file}: {place}")
    assert problem in error.message


@pytest.mark.parametrize(
    ("variable", "value", "problem"),
    [
        ("RAGGUARD_JUDGE__FALSE_ALARM_RATE", "2", "less than 0.5, found '2'"),
        ("RAGGUARD_JUDGE__FALSE_ALARMS", "1", "no such setting"),
        ("RAGGUARD_NOSUCH__KEY", "1", "no such setting"),
        ("RAGGUARD_CHUNKS__SIZE", "many", "valid integer"),
        ("RAGGUARD_CHECKS__HIDDEN", "off", "valid dictionary"),
    ],
)
def test_a_wrong_variable_is_named(file: Path, variable: str, value: str, problem: str) -> None:
    error = refused(file, "", **{variable: value})
    assert error.message.startswith(f"{variable}: ")
    assert problem in error.message


def test_an_unknown_setting_is_told_which_there_are(file: Path) -> None:
    assert "false_alarm_rate" in refused(file, "[judge]\nx = 1").hint
    assert "judge" in refused(file, "[juge]\nx = 1").hint


def test_the_overlap_must_be_smaller_than_the_chunk(file: Path) -> None:
    assert "overlap" in refused(file, "[chunks]\nsize = 200\noverlap = 200").message
    assert read(file, "[chunks]\nsize = 200\noverlap = 199").chunks.overlap == 199


@pytest.mark.parametrize(
    "data",
    [b"[judge\n", b"x = ", b"\xff\xfe\x00", b"[a]\n[a]\n", b"a = 1\na = 2\n"],
    ids=["bracket", "value", "utf-8", "table twice", "key twice"],
)
def test_what_is_not_toml_is_refused_by_file(file: Path, data: bytes) -> None:
    file.write_bytes(data)
    with pytest.raises(ConfigError, match="not TOML") as caught:
        load(file, {})
    assert str(file) in caught.value.message


def test_a_variable_for_a_section_that_is_no_table_is_refused(file: Path) -> None:
    error = refused(file, "store = 'here'", RAGGUARD_STORE__URL="x")
    assert "store must be a table" in error.message


# --- digest, template -----------------------------------------------------------------------------


def test_the_digest_covers_every_setting_but_the_secret() -> None:
    def digest(**sections: Any) -> str:
        return Settings.model_validate(sections).digest

    assert digest(store={"api_key": "secret"}) == digest()
    changed = [
        digest(store={"url": "http://x"}),
        digest(judge={"false_alarm_rate": 0.02}),
        digest(chunks={"size": 999}),
        digest(model={"name": "other"}),
        digest(checks={"hidden": {"enabled": False}}),
    ]
    assert len({digest(), *changed}) == 6


def test_the_template_says_what_the_defaults_are(file: Path) -> None:
    assert read(file, TEMPLATE) == Settings()
    lines = [line.removeprefix("# ") for line in TEMPLATE.splitlines()[2:]]
    body = tomllib.loads("\n".join(lines))
    body["store"].pop("url")  # an example: without it the index is embedded
    assert Settings.model_validate(body) == Settings()


# --- checks ---------------------------------------------------------------------------------------


def active(text: str, file: Path) -> dict[str, Any]:
    return scoring.active_checks(read(file, text).checks)


def test_all_checks_are_on_by_default_but_the_one_that_earns_nothing(file: Path) -> None:
    assert set(active("", file)) == set(checks.registry()) - {"glosh"}
    assert "glosh" in active("[checks.glosh]\nenabled = true\n", file)


def test_a_check_is_turned_off_and_tuned_in_the_file(file: Path) -> None:
    text = "[checks.stuffing]\nenabled = false\n[checks.hidden]\nenabled = true\nblob_words = 5\n"
    found = active(text, file)
    assert "stuffing" not in found
    assert found["hidden"][1].blob_words == 5


def test_a_list_in_the_file_is_a_list_for_the_check(file: Path) -> None:
    found = active("[checks.metadata_vote]\nkeys = ['label']\n", file)
    assert found["metadata_vote"][1].keys == ("label",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[checks.hiden]\nenabled = false", r"\[checks.hiden\]: no such check"),
        ("[checks.hidden]\nwords = 3", r"\[checks.hidden\] words: no such parameter"),
        ("[checks.hidden]\nblob_words = 'x'", r"\[checks.hidden\] blob_words: expected int"),
        ("[checks.hidden]\nenabled = 'no'", r"\[checks.hidden\] enabled: expected true or false"),
        ("[checks.hidden]\nenabled = 0", r"\[checks.hidden\] enabled: expected true or false"),
        ("[checks.secrets]\nignored = [1]", r"\[checks.secrets\] ignored: expected a list"),
    ],
    ids=["check", "parameter", "type", "enabled", "zero", "list"],
)
def test_an_unknown_check_or_parameter_is_an_error(file: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        active(text, file)
