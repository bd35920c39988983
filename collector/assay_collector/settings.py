"""
Every setting of the collector, declared once: its name, type, meaning, unit and default.

A setting's value comes from the strongest place that names it: flags of the command line, then the environment
(``ASSAY_`` and the name in capitals), then the TOML file, then the default. This module reads none of these places;
they are handed in as mappings.
"""

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from assay.contract.errors import AssayError
from assay.contract.personal import PII_CLASSES

Network = IPv4Network | IPv6Network
Action = Literal["keep", "hash", "drop"]
LogLevel = Literal["debug", "info", "warning", "error"]

DEFAULT = "default"
ENVIRONMENT_PREFIX = "ASSAY_"

# Set for other parts of the house, so no misspelling of ours.
CONFIG_VARIABLE = "ASSAY_CONFIG"


@dataclass(eq=False)
class SettingRefused(AssayError):
    """A setting has a value that it cannot have."""

    name: str
    value: str  # as shown to people; "(set)" for secrets
    origin: str
    wanted: str

    def __str__(self) -> str:
        return f"setting {self.name} is {self.value} (from {self.origin}); it must be {self.wanted}"


@dataclass(eq=False)
class SettingUnknown(AssayError):
    """The file names a setting that does not exist."""

    name: str
    origin: str
    nearest: str | None

    def __str__(self) -> str:
        hint = f"did you mean {self.nearest}?" if self.nearest else "`assay settings` lists them all"
        return f"there is no setting {self.name!r} (in {self.origin}); {hint}"


# --- kinds of value ---


@dataclass(frozen=True, slots=True)
class Kind:
    """How a value is read from what a person wrote, and what to ask for when it cannot be."""

    wanted: str  # completes "it must be ..."
    read: Callable[[Any], Any]  # raises ValueError or TypeError


def _whole(least: int, most: int) -> Kind:
    def read(value: Any) -> int:
        number = int(value) if isinstance(value, str) else value
        if type(number) is not int or not least <= number <= most:
            raise ValueError
        return number

    return Kind(f"a whole number from {least} to {most}", read)


def _seconds(least: float, most: float) -> Kind:
    def read(value: Any) -> float:
        number = float(value)
        if isinstance(value, bool) or not least <= number <= most:
            raise ValueError
        return number

    return Kind(f"a number of seconds from {least:g} to {most:g}", read)


def _one_of(choices: tuple[str, ...]) -> Kind:
    def read(value: Any) -> str:
        if value not in choices:
            raise ValueError
        return str(value)

    return Kind(f"one of {', '.join(choices)}", read)


def _read_text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError
    return value.strip()


def _read_passphrase(value: Any) -> str:
    text = _read_text(value)
    if len(text) < _PASSPHRASE_LETTERS_MIN:
        raise ValueError
    return text


def _read_path(value: Any) -> Path:
    return value if isinstance(value, Path) else Path(_read_text(value)).expanduser()


def _read_url(value: Any) -> str:
    text = _read_text(value).rstrip("/")
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError
    return text


def _read_origins(value: Any) -> frozenset[str]:
    entries = value.split(",") if isinstance(value, str) else list(value)
    return frozenset(_read_url(entry) for entry in entries)


def _read_actions(value: Any) -> tuple[tuple[str, str], ...]:
    entries = _pairs(value) if isinstance(value, str) else value.items()
    actions = {str(kind).strip(): str(action).strip() for kind, action in entries}
    if not actions.keys() <= set(PII_CLASSES) or not set(actions.values()) <= set(get_args(Action)):
        raise ValueError
    return tuple(sorted(actions.items()))


def _pairs(text: str) -> Iterable[tuple[str, str]]:
    for entry in text.split(","):
        kind, sign, action = entry.partition("=")
        if not sign:
            raise ValueError
        yield kind, action


def _read_networks(value: Any) -> tuple[Network, ...]:
    entries = value.split(",") if isinstance(value, str) else list(value)
    return tuple(ip_network(entry.strip()) for entry in entries)


def _choices(choices: tuple[str, ...]) -> Kind:
    def read(value: Any) -> frozenset[str]:
        entries = value.split(",") if isinstance(value, str) else list(value)
        chosen = frozenset(entry.strip() for entry in entries)
        if not chosen <= set(choices):
            raise ValueError
        return chosen

    return Kind(f"a list of {', '.join(choices)} (in the environment: with commas)", read)


_PASSPHRASE_LETTERS_MIN = 16

_TEXT = Kind("text", _read_text)
_PASSPHRASE = Kind(
    f"text of at least {_PASSPHRASE_LETTERS_MIN} letters, better drawn than thought up", _read_passphrase
)
_PATH = Kind("a path", _read_path)
_URL = Kind("a URL such as https://events.example.com", _read_url)
_ACTIONS_BY_CLASS = Kind(
    f'a table such as {{email = "hash"}} (in the environment: email=hash,phone=drop); the classes are '
    f"{', '.join(PII_CLASSES)}, and what becomes of one is keep, hash or drop",
    _read_actions,
)
_NETWORKS = Kind("a list of networks such as 192.0.2.0/24 (in the environment: with commas)", _read_networks)
_TRAFFIC = _choices(("bot", "internal"))
_DAYS = _whole(0, 36_500)
_ORIGINS = Kind("a list of origins such as https://app.example.com (in the environment: with commas)", _read_origins)


@dataclass(frozen=True, slots=True)
class Webhook:
    """An endpoint that is told of every change of who is qualified, as configured; the deliver stage judges it."""

    name: str
    table: Mapping[str, Any] = field(repr=False)  # url, secret, ...


def _read_webhooks(value: Any) -> tuple[Webhook, ...]:
    webhooks = tuple(_read_webhook(entry) for entry in value)
    if len({webhook.name for webhook in webhooks}) != len(webhooks):
        raise ValueError
    return webhooks


def _read_webhook(entry: Any) -> Webhook:
    table = dict(entry)
    return Webhook(_read_text(table.pop("name", None)), table)


def _read_values(value: Any) -> tuple[str, ...]:
    entries = value.split(",") if isinstance(value, str) else list(value)
    return tuple(_read_text(entry) for entry in entries)


_VALUES = Kind("a list of values (in the environment: with commas)", _read_values)
_WEBHOOKS = Kind("a list of tables [[webhooks]], each with a name of its own, a url and a secret", _read_webhooks)


# --- the declaration ---


@dataclass(frozen=True, slots=True)
class Setting:
    """What is declared of one setting."""

    name: str
    kind: Kind
    meaning: str
    unit: str  # "" where a number has none, or there is no number
    default: Any  # None: not set
    secret: bool  # never shown, and no flag: flags are seen by everyone on the machine
    file_only: bool  # too long for a flag or a variable

    @property
    def variable(self) -> str | None:
        """The environment variable."""
        return None if self.file_only else ENVIRONMENT_PREFIX + self.name.upper()

    @property
    def flag(self) -> str | None:
        """The flag of the command line."""
        return None if self.file_only or self.secret else "--" + self.name.replace("_", "-")

    def show(self, value: Any) -> str:
        """A value for people's eyes."""
        if value is None or value in ((), frozenset()):
            return "(not set)"
        if self.secret:
            return "(set)"
        if self.kind in (_ORIGINS, _TRAFFIC):
            return ", ".join(sorted(value))
        if self.kind is _NETWORKS:
            return ", ".join(map(str, value))
        if self.kind is _ACTIONS_BY_CLASS:
            return ", ".join(f"{name}={action}" for name, action in value)
        if self.kind is _VALUES:
            return ", ".join(value)
        if self.kind is _WEBHOOKS:
            return ", ".join(webhook.name for webhook in value)
        return str(value)


def _declare(
    kind: Kind, default: Any, meaning: str, *, unit: str = "", secret: bool = False, file_only: bool = False
) -> Any:
    metadata = {"kind": kind, "meaning": meaning, "unit": unit, "secret": secret, "file_only": file_only}
    return field(default=default, metadata=metadata, repr=not secret)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The values that the collector runs with."""

    database: Path = _declare(_PATH, Path("assay.db"), "The SQLite file that holds everything; made when missing.")
    plan: Path | None = _declare(
        _PATH, None, "The folder of the tracking plan; without one, every event is taken as it is."
    )
    definitions: Path | None = _declare(_PATH, None, "The folder of definitions; without one, what is registered runs.")
    host: str = _declare(_TEXT, "127.0.0.1", "The address to listen at; 0.0.0.0 is every IPv4 address of the machine.")
    port: int = _declare(_whole(0, 65535), 8080, "The TCP port to listen at; 0 takes a free one.")
    threads: int = _declare(
        _whole(1, 512), 16, "Requests answered at the same time; those that wait for the disk share one commit."
    )
    drain_seconds: float = _declare(
        _seconds(1, 3600),
        10.0,
        "How long open requests may take to finish once the collector is told to stop.",
        unit="s",
    )
    log_level: LogLevel = _declare(_one_of(get_args(LogLevel)), "info", "The least important lines that are logged.")
    public_url: str | None = _declare(
        _URL, None, "Where browsers reach the collector; without it, wherever the request was sent to."
    )
    proxy_hops: int = _declare(
        _whole(0, 16), 0, "How many reverse proxies of your own stand before it, each adding to X-Forwarded-For."
    )
    cors_origins: frozenset[str] | None = _declare(
        _ORIGINS, None, "The sites whose pages may send events; without it, any."
    )
    body_bytes_max: int = _declare(
        _whole(64 * 1024, 1024**3),
        5 * 1024 * 1024,
        "The largest body of a request, as sent and after decompression.",
        unit="bytes",
    )
    batch_events_max: int = _declare(_whole(1, 1_000_000), 10_000, "The most messages in one batch.")
    key_cache_seconds: float = _declare(_seconds(0, 3600), 5.0, "How long a revoked key may still work.", unit="s")
    ready_backlog_seconds_max: float | None = _declare(
        _seconds(1, 86400), None, "/readyz fails while a decision has waited longer; without it, never.", unit="s"
    )
    decide_interval_seconds: float = _declare(
        _seconds(0.001, 60), 0.05, "The pause between two looks at who is due to be decided.", unit="s"
    )
    personal_data: tuple[tuple[str, Action], ...] = _declare(
        _ACTIONS_BY_CLASS,
        (),
        "What becomes of each class of personal data before anything is stored; classes not named are kept.",
    )
    personal_data_unread: Literal["drop", "keep"] = _declare(
        _one_of(("drop", "keep")),
        "drop",
        "Where personal_data is set: what becomes of quarantined messages that the plan does not know.",
    )
    internal_networks: tuple[Network, ...] = _declare(
        _NETWORKS, (), "Your own networks: events from there are marked as internal."
    )
    counted_traffic: frozenset[str] = _declare(
        _TRAFFIC, frozenset(), "What is marked and counts all the same: bot, internal."
    )
    metrics_token: str | None = _declare(
        _TEXT, None, "The bearer token that /metrics asks for; without it, /metrics is open.", secret=True
    )
    identity_key: str | None = _declare(
        _PASSPHRASE,
        None,
        "What identifiers are hashed with; without it, one is drawn and kept in the database. It can never change.",
        secret=True,
    )
    privacy_due_days: int = _declare(
        _whole(1, 3650), 30, "How long a person's request may take before it counts as overdue.", unit="days"
    )
    suppressed_events: Literal["refuse", "keep"] = _declare(
        _one_of(("refuse", "keep")),
        "refuse",
        "What becomes of new events of a suppressed person: refused, or kept without ever being scored.",
    )
    retention_events_days: int = _declare(
        _DAYS, 0, "How long events are kept that no definition reads; 0 is for ever.", unit="days"
    )
    retention_quarantine_days: int = _declare(
        _DAYS, 0, "How long messages stay in quarantine; 0 is for ever.", unit="days"
    )
    retention_conflicts_days: int = _declare(
        _DAYS, 0, "How long payloads are kept whose id was taken by another; 0 is for ever.", unit="days"
    )
    retention_outbox_days: int = _declare(
        _DAYS, 0, "How long it is on record which messages were delivered, or died; 0 is for ever.", unit="days"
    )
    identity_component_max: int = _declare(
        _whole(2, 1_000_000), 1_000, "The most identifiers of one person; what would make more is blocked and counted."
    )
    identity_adopt: Literal["first", "never"] = _declare(
        _one_of(("first", "never")),
        "first",
        "Whether what a person did before its first account is that account's (first), or nobody's (never).",
    )
    identity_placeholders: tuple[str, ...] = _declare(
        _VALUES,
        (),
        "Further ids that stand for nobody, such as guest or device:unknown; null, 0 and their like always do.",
    )
    webhooks: tuple[Webhook, ...] = _declare(
        _WEBHOOKS, (), "The endpoints that are told of every change of who is qualified.", file_only=True
    )


def _settings() -> tuple[Setting, ...]:
    return tuple(Setting(name=entry.name, default=entry.default, **entry.metadata) for entry in fields(Settings))


SETTINGS = _settings()


# --- resolving ---


@dataclass(frozen=True, slots=True)
class Resolved:
    """The settings with the place each came from."""

    settings: Settings
    origins: Mapping[str, str]  # by name, e.g. "environment ASSAY_PORT"
    notes: tuple[str, ...] = ()  # what looks like a mistake and is not certainly one


def resolve(
    *,
    flags: Mapping[str, Any],
    environment: Mapping[str, str],
    file: Mapping[str, Any],
    file_name: str,
) -> Resolved:
    """
    The settings that these places give together.

    Args:
        flags: By setting name; None counts as not given.
        environment: All variables of the process; empty ones count as not set.
        file: The parsed TOML file; empty when there is none.

    Raises:
        SettingRefused: A value cannot be read.
        SettingUnknown: The file names something else.
    """
    _refuse_unknown(file, file_name)
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for setting in SETTINGS:
        found = _find(setting, flags, environment, file, file_name)
        origins[setting.name] = found[1] if found else DEFAULT
        if found:
            values[setting.name] = _read(setting, *found)
    return Resolved(Settings(**values), origins, _notes(environment))


def _find(
    setting: Setting, flags: Mapping[str, Any], environment: Mapping[str, str], file: Mapping[str, Any], file_name: str
) -> tuple[Any, str] | None:
    flag = flags.get(setting.name)
    if setting.flag and flag is not None:
        return flag, f"flag {setting.flag}"
    variable = environment.get(setting.variable) if setting.variable else None
    if variable:
        return variable, f"environment {setting.variable}"
    if setting.name in file:
        return file[setting.name], f"file {file_name}"
    return None


def _read(setting: Setting, value: Any, origin: str) -> Any:
    try:
        return setting.kind.read(value)
    except (ValueError, TypeError, AttributeError):
        # The entries of a list may be secrets as well.
        hidden = setting.secret or setting.file_only
        shown = "(set)" if hidden else repr(value)
        raise SettingRefused(setting.name, shown, origin, setting.kind.wanted) from None


def _refuse_unknown(file: Mapping[str, Any], file_name: str) -> None:
    names = [setting.name for setting in SETTINGS]
    for name in file:
        if name not in names:
            raise SettingUnknown(name, f"file {file_name}", _nearest(name, names))


def _notes(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Variables that look like misspelt settings; others may belong to the SDK in the same process."""
    known = [setting.variable for setting in SETTINGS if setting.variable]
    strangers = (
        name
        for name in sorted(environment)
        if name.startswith(ENVIRONMENT_PREFIX) and name not in known and name != CONFIG_VARIABLE
    )
    nearest = ((name, _nearest(name, known)) for name in strangers)
    return tuple(f"{name} is no setting; did you mean {near}?" for name, near in nearest if near)


def _nearest(name: str, names: Iterable[str]) -> str | None:
    return next(iter(difflib.get_close_matches(name, list(names), n=1, cutoff=0.75)), None)
