"""Settings: where a value comes from, and what is said when it cannot be."""

from ipaddress import ip_network
from pathlib import Path

import pytest

from assay_collector.settings import SETTINGS, SettingRefused, Settings, SettingUnknown, Webhook, resolve


def resolved(*, flags=None, environment=None, file=None):
    return resolve(flags=flags or {}, environment=environment or {}, file=file or {}, file_name="assay.toml")


def test_without_anything_every_setting_has_its_default():
    """An empty surrounding gives the defaults, and says so."""
    assert Settings() == resolved().settings
    assert {"default"} == set(resolved().origins.values())


def test_the_strongest_place_wins_and_is_named():
    """Flags beat the environment, which beats the file, which beats the default."""
    places = {"file": {"port": 1, "host": "a", "threads": 2}, "environment": {"ASSAY_PORT": "3", "ASSAY_HOST": "b"}}

    both = resolved(**places, flags={"port": 4})

    assert (4, "b", 2) == (both.settings.port, both.settings.host, both.settings.threads)
    assert ("flag --port", "environment ASSAY_HOST", "file assay.toml") == tuple(
        both.origins[name] for name in ("port", "host", "threads")
    )


def test_an_empty_variable_is_not_set():
    """Compose files set unused variables to nothing; that is no value."""
    assert Settings() == resolved(environment={"ASSAY_PLAN": "", "ASSAY_PORT": ""}).settings


VALUES = {
    "database": ("/x/a.db", Path("/x/a.db")),
    "plan": ("plan", Path("plan")),
    "definitions": ("definitions", Path("definitions")),
    "host": ("0.0.0.0", "0.0.0.0"),
    "port": ("0", 0),
    "threads": ("8", 8),
    "drain_seconds": ("2.5", 2.5),
    "log_level": ("debug", "debug"),
    "public_url": ("https://e.example.com/", "https://e.example.com"),
    "proxy_hops": ("1", 1),
    "cors_origins": ("https://a.example, https://b.example", frozenset({"https://a.example", "https://b.example"})),
    "body_bytes_max": ("1000000", 1_000_000),
    "batch_events_max": ("100", 100),
    "key_cache_seconds": ("0", 0.0),
    "ready_backlog_seconds_max": ("60", 60.0),
    "decide_interval_seconds": ("0.5", 0.5),
    "personal_data": ("phone=drop, email=hash", (("email", "hash"), ("phone", "drop"))),
    "personal_data_unread": ("keep", "keep"),
    "internal_networks": ("192.0.2.0/24, 2001:db8::/32", tuple(map(ip_network, ("192.0.2.0/24", "2001:db8::/32")))),
    "counted_traffic": ("bot", frozenset({"bot"})),
    "privacy_due_days": ("14", 14),
    "suppressed_events": ("keep", "keep"),
    "retention_events_days": ("400", 400),
    "retention_quarantine_days": ("90", 90),
    "retention_conflicts_days": ("90", 90),
    "retention_outbox_days": ("30", 30),
    "metrics_token": ("secret", "secret"),
    "identity_key": ("a secret of some length", "a secret of some length"),
    "identity_component_max": ("50", 50),
    "identity_adopt": ("never", "never"),
    "identity_placeholders": ("guest, device:unknown", ("guest", "device:unknown")),
}


@pytest.mark.parametrize("name", VALUES)
def test_every_setting_is_read_from_the_environment(name):
    """The text of a variable becomes a value of the setting's type."""
    text, value = VALUES[name]

    assert value == getattr(resolved(environment={f"ASSAY_{name.upper()}": text}).settings, name)


def test_no_setting_is_left_out_of_these_tests():
    """A new setting must be added to the table above."""
    assert {setting.name for setting in SETTINGS} == {*VALUES, "webhooks"}


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_setting_is_explained(setting):
    """Each has a meaning in a sentence, and a name that can be a flag or a variable."""
    assert setting.meaning.endswith(".")
    assert setting.name.isidentifier()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        (
            "port",
            "abc",
            "setting port is 'abc' (from environment ASSAY_PORT); it must be a whole number from 0 to 65535",
        ),
        ("port", "70000", "it must be a whole number from 0 to 65535"),
        ("drain_seconds", "soon", "it must be a number of seconds from 1 to 3600"),
        ("log_level", "loud", "it must be one of debug, info, warning, error"),
        ("public_url", "events.example.com", "it must be a URL such as https://events.example.com"),
        ("cors_origins", "*", "it must be a list of origins"),
        ("personal_data", "email=burn", "what becomes of one is keep, hash or drop"),
        ("personal_data", "mail=hash", "the classes are email, name, phone"),
        ("internal_networks", "192.0.2.1/24", "it must be a list of networks such as 192.0.2.0/24"),
        ("counted_traffic", "bots", "it must be a list of bot, internal"),
        (
            "identity_key",
            "short",
            "setting identity_key is (set) (from environment ASSAY_IDENTITY_KEY); it must be text of",
        ),
        ("metrics_token", " ", "setting metrics_token is (set) (from environment ASSAY_METRICS_TOKEN)"),
    ],
)
def test_a_refused_value_is_named_with_its_origin_and_what_would_be_right(name, value, said):
    """The message has all that is needed to mend it."""
    with pytest.raises(SettingRefused) as refused:
        resolved(environment={f"ASSAY_{name.upper()}": value})

    assert said in str(refused.value)


@pytest.mark.parametrize("value", [True, 80.5, "80.5", [80], None], ids=repr)
def test_the_file_is_held_to_the_type_too(value):
    """TOML has types of its own; a port is a whole number in each of them."""
    with pytest.raises(SettingRefused, match="from file assay"):
        resolved(file={"port": value})


def test_an_unknown_name_in_the_file_gets_a_suggestion():
    """A misspelt setting does not silently do nothing."""
    with pytest.raises(SettingUnknown, match=r"no setting 'databse' \(in file assay.toml\); did you mean database\?"):
        resolved(file={"databse": "x"})


def test_a_misspelt_variable_is_noted():
    """Other variables may be the SDK's, so only a likely misspelling is mentioned, and it is no error."""
    noted = resolved(environment={"ASSAY_DATABSE": "x", "ASSAY_WRITE_KEY": "y", "ASSAY_CONFIG": "z", "HOME": "/"})

    assert ("ASSAY_DATABSE is no setting; did you mean ASSAY_DATABASE?",) == noted.notes


def test_personal_data_is_a_table_in_the_file():
    """TOML writes it as one."""
    file = {"personal_data": {"phone": "drop", "email": "hash"}, "internal_networks": ["192.0.2.0/24"]}

    settings = resolved(file=file).settings

    assert (("email", "hash"), ("phone", "drop")) == settings.personal_data
    assert (ip_network("192.0.2.0/24"),) == settings.internal_networks


def test_webhooks_come_from_the_file():
    """Each table [[webhooks]] is one endpoint."""
    file = {"webhooks": [{"name": "crm", "url": "https://crm.example/hook", "secret": "whsec_x"}]}

    (webhook,) = resolved(file=file).settings.webhooks

    assert ("crm", {"url": "https://crm.example/hook", "secret": "whsec_x"}) == (webhook.name, webhook.table)


@pytest.mark.parametrize(
    "webhooks",
    [
        [{"url": "https://crm.example", "secret": "hidden"}],
        [{"name": 7, "secret": "hidden"}],
        [{"name": "crm", "secret": "hidden"}] * 2,
        ["hidden"],
        "https://crm.example/hidden",
        5,
    ],
    ids=["no name", "name is no text", "same name", "no table", "text", "number"],
)
def test_a_bad_webhook_is_refused_without_its_secret(webhooks):
    """The message says what a webhook needs, and repeats nothing of it."""
    with pytest.raises(SettingRefused, match="must be a list of tables") as refused:
        resolved(file={"webhooks": webhooks})

    assert "hidden" not in str(refused.value)


def test_secrets_are_never_shown():
    """Neither the table of settings nor a repr gives a secret away."""
    hook = Webhook("crm", {"url": "https://crm.example/T0/hidden", "secret": "hidden"})
    settings = Settings(metrics_token="hidden", identity_key="hidden", webhooks=(hook,))

    shown = {setting.name: setting.show(getattr(settings, setting.name)) for setting in SETTINGS}

    assert not any("hidden" in text for text in shown.values())
    assert ["(set)", "(set)", "crm"] == [shown[name] for name in ("metrics_token", "identity_key", "webhooks")]
    assert "hidden" not in repr(settings)
