"""Read ragguard.toml into frozen settings. An unknown key is an error; every value has a default.

Precedence: flag, `RAGGUARD_<SECTION>__<KEY>` variable, ragguard.toml, default. Read once for
a run (`workspace.meant`).
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit, urlunsplit

from pydantic import Field, StringConstraints, ValidationError

from ragguard.config.outside import (
    AlarmSettings,
    Section,
    WebSettings,
    check_alarms,
    check_proxy,
    is_near,
)
from ragguard.errors import ConfigError
from ragguard.trust.canonical import digest
from ragguard.trust.plugins import NAMED

FILE = "ragguard.toml"
TriggerAct = Literal["audit", "stage"]
_PREFIX = "RAGGUARD_"
_SECRETS = ("api_key", "proxy_secret", "webhook_secret", "smtp_password")
_SECRET = ("store", "ledger", "vault")  # sections that may hold a key, or a url with credentials


class StoreSettings(Section):
    """[store]: where vectors are."""

    url: str = Field(default="", description="Qdrant server or cluster; empty: embedded")
    path: str = Field(default="index", description="folder of the embedded index")
    api_key: str = Field(
        default="", repr=False, description="for the server; better in RAGGUARD_STORE__API_KEY"
    )
    collection: str = Field(default="corpus", description="alias that readers use")
    index_after: int = Field(
        default=20_000, ge=1000, description="points without a search graph allowed"
    )


class PathSettings(Section):
    """[ledger] or [vault]: where it is."""

    url: str


class ModelSettings(Section):
    """[model]: the encoder."""

    name: str = Field(
        default="all-MiniLM-L6-v2", description="bundled model, a folder, or a hub name"
    )
    runtime: Literal["auto", "openvino", "torch", "fastembed"] = Field(
        default="auto", description="fastembed: an ONNX graph in a folder"
    )
    pooling: Literal["", "mean", "cls", "none"] = Field(
        default="", description="of a fastembed model's tokens; empty: as its modules.json says"
    )
    offline: bool = Field(
        default=True, description="a hub name is taken from this machine only, never fetched"
    )
    url: str = Field(
        default="", description="OpenAI-compatible endpoint, up to /embeddings; empty: this machine"
    )
    api_key: str = Field(
        default="", repr=False, description="for the endpoint; better in RAGGUARD_MODEL__API_KEY"
    )
    batch: int = Field(default=64, ge=1, le=2048, description="texts of a request")
    per_minute: int = Field(
        default=0, ge=0, description="requests a minute at most; 0: as many as the endpoint takes"
    )
    timeout_s: float = Field(default=60.0, gt=0, le=3600, description="seconds for a request")
    max_tokens: int = Field(
        default=512, ge=16, le=1_000_000, description="longest text that the endpoint takes"
    )


class ChunkSettings(Section):
    """[chunks]: how documents are cut."""

    size: int = Field(default=1000, ge=100, le=20_000, description="characters")
    overlap: int = Field(default=100, ge=0, description="characters repeated between neighbours")


class JudgeSettings(Section):
    """[judge]: how strict the gate is."""

    false_alarm_rate: float = Field(
        default=0.002, gt=0, lt=0.5, description="share of honest documents accepted in quarantine"
    )
    observe: bool = Field(
        default=False, description="hold nothing: record and report what would have been held"
    )
    reference_documents: int = Field(
        default=2000, ge=100, description="indexed documents sampled to calibrate on"
    )
    least_documents: int = Field(
        default=300,
        ge=100,
        description="indexed documents below which only what is wrong by itself is held; "
        "1 / false_alarm_rate - 1 where that is more",
    )
    recent_days: int = Field(
        default=30,
        ge=0,
        description="days for which an admitted document still counts as a newcomer",
    )
    recent_share: float = Field(
        default=0.2, ge=0, le=0.5, description="share of the index that may count as newcomers"
    )
    removal_share: float = Field(
        default=0.2, gt=0, le=1, description="share of a source that may vanish without a reviewer"
    )
    removal_days: int = Field(
        default=7, ge=0, description="days over which removals of a source are counted together"
    )


class RedteamSettings(Section):
    """[redteam]: how much of each simulated attack must be stopped."""

    floor: float = Field(
        default=0.9, ge=0, le=1, description="share of an attack's documents that must be stopped"
    )
    floors: dict[str, float] = Field(
        default_factory=dict, description="the same for single attacks, by name"
    )


class AuditSettings(Section):
    """[audit]: how much the nightly audit looks at, and how strict it is."""

    false_alarm_rate: float = Field(
        default=0.002, gt=0, lt=0.5, description="share of honest documents accepted as suspects"
    )
    judge_documents: int = Field(
        default=20_000,
        ge=100,
        description="indexed documents that the checks look at in one audit; `--full`: all",
    )
    reembed_share: float = Field(
        default=0.01, ge=0, le=1, description="share of the points that are embedded again"
    )
    derive_documents: int = Field(
        default=100,
        ge=0,
        description="serving documents whose passages are made again from their signed bytes; "
        "`--full`: all",
    )
    vault_files: int = Field(
        default=1000, ge=0, description="files of the vault that are read and hashed again"
    )


class ReindexSettings(Section):
    """[reindex]: when a rebuild stops and asks, and what it keeps."""

    keep: int = Field(
        default=2, ge=1, description="generations kept, the serving one included; older are dropped"
    )
    removed_share: float = Field(
        default=0.5, gt=0, le=1, description="share of the documents that may go without asking"
    )
    label_share: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="part of its share that a label may lose without asking",
    )
    suspect_share: float = Field(
        default=0.05,
        gt=0,
        le=1,
        description="share of what stays that may be suspect without asking",
    )
    probe: bool = Field(
        default=True,
        description="look for triggers in a model that did not serve yet (about half a minute)",
    )


class TriggerSettings(Section):
    """[triggers]: what an audit may start by itself for something that the last one did not find.

    `audit` is a full audit, `stage` is `reindex --from-clean --stage`. Nothing is cut over.
    """

    drift: tuple[TriggerAct, ...] = Field(
        default=(), description="when a distribution drifts: `audit`, `stage`, or both"
    )
    canaries: tuple[TriggerAct, ...] = Field(
        default=(), description="when canaries are answered worse, or something forbidden appears"
    )
    suspects: tuple[TriggerAct, ...] = Field(
        default=(), description="when documents become suspect"
    )
    least_suspects: int = Field(default=1, ge=1, description="new suspects that it takes")


class CutoverSettings(Section):
    """[cutover]: when a trial ends by itself."""

    divergence: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="mean of 1 - rank-biased overlap above which a trial ends by itself",
    )
    least_queries: int = Field(
        default=50, ge=1, description="queries compared before it may end by itself"
    )


class RetrieverSettings(Section):
    """[retriever]: when the guarded retriever gives no passage, and what it does then."""

    floor: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="cosine of question and nearest proved passage below which nothing is given; "
        "0: off; `ragguard canary floor` suggests one",
    )
    contradictions: bool = Field(
        default=False,
        description="give nothing where passages of two sources tell one fact in two ways",
    )
    pinned: str = Field(
        default="",
        description="file of answers kept for such questions: JSON lines of question and answer",
    )
    hand_over: bool = Field(
        default=False,
        description="open a case for a person where no answer is given; it holds the question",
    )
    ranking: float = Field(
        default=0.0,
        ge=0,
        le=0.1,
        description="share of its similarity that a passage's provenance adds or takes at most; "
        "0: off",
    )
    log: Literal["off", "digests", "vectors", "texts"] = Field(
        default="off",
        description="retrieval log, in the folder retrievals: which passages questions were "
        "answered with; of a question its digest, its vector too, or its text too",
    )
    log_mib: int = Field(
        default=256, ge=1, le=1_000_000, description="size of that log; the oldest goes first"
    )


class LimitSettings(Section):
    """[limits]: sizes that are refused before anything is parsed, in bytes."""

    envelope: int = Field(default=64_000_000, ge=1000)
    document: int = Field(default=100_000_000, ge=1000)


class ParseSettings(Section):
    """[parse]: what reading one document may cost; one that takes more is rejected."""

    processor_seconds: int = Field(
        default=4, ge=1, le=3600, description="processor time of a document of up to 0.5 MiB"
    )
    processor_seconds_per_mib: int = Field(
        default=12, ge=0, le=3600, description="the same for each MiB beyond that"
    )
    processor_seconds_most: int = Field(
        default=120, ge=1, le=36_000, description="the same, however large the document"
    )
    wall_factor: int = Field(
        default=15,
        ge=1,
        le=1000,
        description="time by the clock, in processor times: for machines under load",
    )
    memory_mib: int = Field(
        default=512, ge=192, description="address space of a process that reads documents"
    )
    output_mib: int = Field(
        default=64, ge=1, description="text of a document, hidden and visible, as it is handed on"
    )
    chunks: int = Field(default=10_000, ge=1, description="chunks of a document")
    render: Literal["rules", "chromium"] = Field(
        default="rules",
        description="what tells hidden text of a page: rules, or a browser that draws it "
        "(`ragguard[render]`); a change is a new recipe, so the index is rebuilt",
    )
    chromium: str = Field(
        default="", description="the browser's path; empty: the one that is installed"
    )
    details: Literal["closed", "open"] = Field(
        default="closed",
        description="of folded answers in pages (`<details>`): closed, only the summary is served, "
        "as a reader who does nothing sees it; open, all of it. A change is a new recipe",
    )
    processes: int = Field(
        default=0, ge=0, le=256, description="documents read at a time; 0: a processor each, to 8"
    )

    @property
    def opened(self) -> bool:
        """Whether what is folded away in a page counts as seen."""
        return self.details == "open"


Named = Annotated[str, StringConstraints(pattern=NAMED)]


class PluginSettings(Section):
    """[plugins]: code of other packages that runs here; installed alone it does not."""

    parsers: tuple[Named, ...] = Field(
        default=(),
        description="of other file formats, `package:ending` each; a change is a new recipe",
    )
    encoder: Literal[""] | Named = Field(
        default="", description="`package:name` of what embeds; it is asked for `[model] name`"
    )
    checks: tuple[Named, ...] = Field(default=(), description="more checks, `package:check` each")
    loaders: tuple[Named, ...] = Field(
        default=(), description="where documents are read from, `package:scheme` each"
    )


class Settings(Section):
    """All settings."""

    store: StoreSettings = StoreSettings()
    ledger: PathSettings = PathSettings(url="sqlite:///ledger.db")
    vault: PathSettings = PathSettings(url="vault")
    model: ModelSettings = ModelSettings()
    chunks: ChunkSettings = ChunkSettings()
    judge: JudgeSettings = JudgeSettings()
    limits: LimitSettings = LimitSettings()
    parse: ParseSettings = ParseSettings()
    redteam: RedteamSettings = RedteamSettings()
    audit: AuditSettings = AuditSettings()
    reindex: ReindexSettings = ReindexSettings()
    triggers: TriggerSettings = TriggerSettings()
    cutover: CutoverSettings = CutoverSettings()
    retriever: RetrieverSettings = RetrieverSettings()
    web: WebSettings = WebSettings()
    alarms: AlarmSettings = AlarmSettings()
    plugins: PluginSettings = PluginSettings()
    checks: dict[str, dict[str, Any]] = Field(default_factory=dict)

    @property
    def digest(self) -> str:
        """SHA-256 of all settings that a corpus depends on, without secrets."""
        left_out: dict[str, Any] = {"store": {"api_key"}, "model": {"api_key"}}
        left_out |= {"web": True, "alarms": True}
        return digest(self.model_dump(exclude=left_out))


def load(path: Path, environment: Mapping[str, str]) -> Settings:
    """Read settings.

    Args:
        path: ragguard.toml; it need not exist.
        environment: Variables; `RAGGUARD_STORE__URL` stands for `[store] url`.

    Raises:
        ConfigError: Not TOML, an unknown key, or a value that does not fit, each with its place.
    """
    try:
        body: dict[str, Any] = tomllib.loads(path.read_text("utf-8")) if path.exists() else {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not TOML ({error})") from None
    origin: dict[str, str] = {}
    for variable, value in sorted(environment.items()):
        name = variable.removeprefix(_PREFIX)
        if not variable.startswith(_PREFIX) or "__" not in name:
            continue
        section, _, key = name.lower().partition("__")
        origin[f"{section}.{key}"] = variable
        body.setdefault(section, {})
        if not isinstance(body[section], dict):
            raise ConfigError(f"{path}: {section} must be a table")
        body[section][key] = value
    try:
        settings = Settings.model_validate(body)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        names = [v for key, v in origin.items() if f"{key}.".startswith(f"{place}.")]
        where = names[0] if names else f"{path}: {place}"
        if first["type"] == "extra_forbidden":
            raise ConfigError(f"{where}: no such setting", hint=_known(first["loc"])) from None
        raise ConfigError(
            f"{where}: {first['msg'].lower()}, found {_shown(first['loc'], first['input'])}",
            hint="docs/configuration.md lists all settings.",
        ) from None
    check_key(settings.store.url, settings.store.api_key)
    if settings.model.url:
        check_key(settings.model.url, settings.model.api_key, "model")
    check_proxy(settings.web)
    check_alarms(settings.alarms)
    if settings.chunks.overlap >= settings.chunks.size:
        raise ConfigError("[chunks] overlap must be smaller than size")
    return settings


def check_key(url: str, api_key: str | None, section: str = "store") -> None:
    """Refuse to send a key, or credentials in a url, where anybody on the way can read them.

    Raises:
        ConfigError: The url is neither https nor on this machine, or no url at all.
    """
    try:
        parts = urlsplit(url if "://" in url else f"//{url}")
    except ValueError:  # what it says may hold the credentials
        raise ConfigError(
            f"{section}: url is no url", hint="Expected one such as http://localhost:6333."
        ) from None
    if not (api_key or "@" in parts.netloc) or parts.scheme == "https" or url == "memory:":
        return
    if not is_near(parts.hostname or "localhost"):
        raise ConfigError(
            f"{section}: the API key would go to {without_credentials(url)} in the clear",
            hint="Use an https url. Over http a key is sent to this machine only.",
        )


def without_credentials(url: str) -> str:
    """Return a url as reports and records may hold it."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "the url"
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _shown(place: Sequence[int | str], value: Any) -> str:
    """Return a value for a message; what may hold a secret is told by its type."""
    secret = place and (place[0] in _SECRET or place[-1] in _SECRETS)
    if secret or isinstance(value, dict | list):
        return f"something of type {type(value).__name__}"
    return repr(value)


def _known(place: tuple[int | str, ...]) -> str:
    fields: Any = Settings.model_fields
    if len(place) > 1 and place[0] in fields:
        annotation = fields[place[0]].annotation
        fields = getattr(annotation, "model_fields", {})
    return f"There are {', '.join(sorted(fields))}."


TEMPLATE = """\
# ragguard workspace. Every line here is the default; docs/configuration.md explains all settings.

[store]
# url = "http://localhost:6333"   # a Qdrant server or cluster; without it the index is embedded
# path = "index"
# collection = "corpus"           # the alias that readers use

[judge]
# false_alarm_rate = 0.002        # share of honest documents you accept to see in quarantine

[model]
# name = "all-MiniLM-L6-v2"

[chunks]
# size = 1000
# overlap = 100
"""


def processors() -> int:
    """Count the processors that this process may use, where a setting leaves it open."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
