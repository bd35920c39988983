"""Joins the parts: store, ingest, qualify, deliver and web become one WSGI application. A table of contents."""

import hashlib
import random
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from multiprocessing.util import Finalize
from typing import cast

from flask import Flask

from assay.contract.errors import AssayError
from assay.contract.ids import uuid7
from assay.contract.plan import Plan
from assay.plans import load_plan
from assay_collector.definitions_folder import read_definitions_folder
from assay_collector.deliver import Deliverer, Endpoint, webhook_messages
from assay_collector.deliver.permission import Permission
from assay_collector.identity.identifiers import IDENTITY_KEY_BYTES, Identify, identifier_hasher
from assay_collector.identity.rules import IdentityRules, Placeholders
from assay_collector.ingest.admission import Admitter
from assay_collector.ingest.known_consent import KnownConsent
from assay_collector.ingest.personal_data import DoorRules
from assay_collector.ingest.receiver import Receiver
from assay_collector.ingest.traffic import TrafficRules
from assay_collector.outbound.http import HttpSender
from assay_collector.pql.definition import Catalogue
from assay_collector.pql.language import read_definitions
from assay_collector.pql.matching import SignalIndex
from assay_collector.privacy.certificates import KEY_BYTES
from assay_collector.privacy.consent import ConsentReader
from assay_collector.privacy.office import Office
from assay_collector.privacy.redaction import redaction
from assay_collector.privacy.worker import Periods, PrivacyWorker, Sweeper
from assay_collector.qualify.attention import Attention
from assay_collector.qualify.clusters import everybody_of
from assay_collector.qualify.identity_desk import IdentityDesk
from assay_collector.qualify.keeper import Keeper
from assay_collector.qualify.reading import Reader
from assay_collector.qualify.versions import Written, follow_folder, write_down
from assay_collector.qualify.worker import Qualifier, Worker
from assay_collector.settings import Settings
from assay_collector.store import Identifier, OutboxMessage, Store, Transition
from assay_collector.stores.sqlite.claim import Claim
from assay_collector.stores.sqlite.store import SQLiteStore
from assay_collector.surroundings import settings_here
from assay_collector.web.application import Services, WebSettings, build_app

_EXTENSION = "assay_collector"
_STOP_FIRST = 100  # before multiprocessing's own finalizers


@dataclass(eq=False)
class IdentityKeyChanged(AssayError):
    """The database was written under another identity key."""

    def __str__(self) -> str:
        return (
            "setting identity_key is not what this database was begun with, so nobody in it would be recognised;"
            " set the former one again, or begin a new database"
        )


@dataclass(eq=False)
class PersonalDataUnknown(AssayError):
    """Personal data is to be hashed or dropped, and nothing says where it is."""

    def __str__(self) -> str:
        return "personal_data is set, but no plan says which properties are personal data; set plan, or leave it out"


@dataclass(frozen=True, kw_only=True, slots=True)
class Loaded:
    """What is read from folders and checked before anything starts."""

    plan: Plan | None
    catalogue: Catalogue
    # The definitions with their texts; None: no folder is named, so that the register alone says what runs.
    written: tuple[Written, ...] | None
    endpoints: tuple[Endpoint, ...]


def load(settings: Settings) -> Loaded:
    """
    Read the tracking plan, the definitions and the webhooks.

    Raises:
        AssayError: With everything that is wrong in them.
    """
    plan = load_plan(settings.plan) if settings.plan else None
    if plan is None and settings.personal_data:
        raise PersonalDataUnknown
    documents = read_definitions_folder(settings.definitions) if settings.definitions else {}
    catalogue = read_definitions(documents, plan)
    return Loaded(
        plan=plan,
        catalogue=catalogue,
        written=write_down(documents, catalogue) if settings.definitions else None,
        endpoints=tuple(Endpoint.from_settings(webhook.name, webhook.table) for webhook in settings.webhooks),
    )


def create_app(settings: Settings | None = None) -> Flask:
    """
    The collector, running: its background threads are started, and stop when the process ends or at `stop`.

    Args:
        settings: None: what the environment and ``assay.toml`` say, for WSGI servers of your own choice. Use one
            process with many threads: the database has one writer.

    Raises:
        AssayError: Something is not set as it must be, or another collector serves this database.
    """
    settings = settings or settings_here().settings
    loaded = load(settings)
    with ExitStack() as parts:
        claim = Claim(settings.database)
        parts.callback(claim.release)
        store = SQLiteStore(settings.database)
        parts.callback(store.close)
        key = identity_key(settings, store)
        identify = identifier_hasher(key)
        office = privacy_office(store, settings, identify)
        # Before anything is taken in or decided: this may be an older copy, with people in it who were erased since.
        office.recall()
        receiver = _receiver(store, loaded, settings, identify, key)
        rules = identity_rules(settings)
        reader = Reader(store, Catalogue(), identify, now, rules)
        qualifier = _qualifier(store, loaded, rules, release=lambda event_ids: keeper.release(event_ids))
        keeper = Keeper(store, receiver, qualifier, show=reader.use)
        if loaded.written is not None:
            follow_folder(store.register, loaded.written, now())
        keeper.start(now())
        store.agenda.adjust_identity(rules.fingerprint, now())
        services = Services(
            store=store,
            ingest=receiver,
            explainer=reader,
            now=now,
            random=random.random,
            plan=loaded.plan,
            office=office,
            identity=IdentityDesk(store, lambda: reader.catalogue, identify, clock=now, new_id=_new_id, rules=rules),
            consent=ConsentReader(store, identify, now),
        )
        app = build_app(services, _web_settings(settings))
        _start_deliver(parts, store, loaded)
        worker = Worker(qualifier, clock=now, interval_seconds=settings.decide_interval_seconds, upkeep=keeper.step)
        _start(parts, "assay-qualify", worker.run)
        sweeper = Sweeper(store.retention, _periods(settings), is_read=Attention(store, now).reads)
        _start(parts, "assay-privacy", PrivacyWorker(office, sweeper, clock=now, work_clock=worked).run)
        app.extensions[_EXTENSION] = Finalize(None, parts.pop_all().close, exitpriority=_STOP_FIRST)
    return app


def stop(app: Flask) -> None:
    """Stop the background threads, close the store, and give the database free. Calling it again does nothing."""
    cast(Finalize, app.extensions[_EXTENSION])()


def now() -> int:
    """Microseconds since the epoch."""
    return time.time_ns() // 1000


def worked() -> int:
    """How long the calling thread has worked, in microseconds."""
    return time.thread_time_ns() // 1000


def elapsed() -> int:
    """Microseconds that have passed, from any moment on."""
    return time.monotonic_ns() // 1000


def identity_key(settings: Settings, store: Store) -> bytes:
    """
    What identifiers are hashed with: the setting, else what was drawn when the database was begun.

    Raises:
        IdentityKeyChanged: The database knows another.
    """
    if settings.identity_key is None:
        key = store.setting("identity_key", secrets.token_bytes(IDENTITY_KEY_BYTES))
    else:
        key = hashlib.sha256(settings.identity_key.encode()).digest()
    fingerprint = hashlib.sha256(b"assay.identity_key:" + key).digest()
    if store.setting("identity_key_fingerprint", fingerprint) != fingerprint:
        raise IdentityKeyChanged
    return key


def identity_rules(settings: Settings) -> IdentityRules:
    """What is set about who is who."""
    return IdentityRules(
        component_max=settings.identity_component_max,
        adopt=settings.identity_adopt,
        placeholders=Placeholders(settings.identity_placeholders),
    )


def privacy_office(store: Store, settings: Settings, identify: Identify) -> Office:
    """Where persons' requests are entered and carried out."""
    attention = Attention(store, now)
    key = store.setting("certificate_key", secrets.token_bytes(KEY_BYTES))
    return Office(
        store,
        identify=identify,
        expand=partial(everybody_of, component_max=settings.identity_component_max),
        redaction=redaction(lambda: attention.catalogue, key),
        certificate_key=key,
        endpoints=[webhook.name for webhook in settings.webhooks],
        due_days=settings.privacy_due_days,
        keeps_suppressed_events=settings.suppressed_events == "keep",
        new_id=_new_id,
        clock=now,
    )


def _receiver(store: SQLiteStore, loaded: Loaded, settings: Settings, identify: Identify, key: bytes) -> Receiver:
    personal_data = _personal_data(settings, loaded.plan, key)
    return Receiver(
        store.events,
        Admitter(
            identify,
            SignalIndex(()),
            identity_rules(settings),
            known_consent=KnownConsent(store.snapshot),
            personal_data=personal_data,
            traffic=TrafficRules(settings.internal_networks, settings.counted_traffic),
        ),
        loaded.plan,
        new_message_id=lambda: uuid7(now(), secrets.token_bytes(10)),
        new_quarantine_id=_new_id,
        turn=store.turn,
        personal_data=personal_data,
    )


def _personal_data(settings: Settings, plan: Plan | None, key: bytes) -> DoorRules | None:
    if plan is None or not settings.personal_data:
        return None
    return DoorRules(plan, dict(settings.personal_data), key, unread=settings.personal_data_unread)


def _periods(settings: Settings) -> Periods:
    return Periods(
        events=settings.retention_events_days,
        others={
            "quarantine": settings.retention_quarantine_days,
            "conflicts": settings.retention_conflicts_days,
            "outbox": settings.retention_outbox_days,
        },
    )


def _web_settings(settings: Settings) -> WebSettings:
    return WebSettings(
        body_bytes_max=settings.body_bytes_max,
        batch_events_max=settings.batch_events_max,
        public_url=settings.public_url,
        proxy_hops=settings.proxy_hops,
        cors_origins=settings.cors_origins,
        metrics_token=settings.metrics_token,
        key_cache_seconds=settings.key_cache_seconds,
        ready_backlog_seconds_max=settings.ready_backlog_seconds_max,
    )


def _new_id() -> bytes:
    return bytes.fromhex(uuid7(now(), secrets.token_bytes(10)).replace("-", ""))


def _qualifier(
    store: SQLiteStore, loaded: Loaded, rules: IdentityRules, release: Callable[[Sequence[bytes]], None]
) -> Qualifier:
    def notify(transition: Transition, identifier: Identifier | None) -> tuple[OutboxMessage, ...]:
        external_id = identifier.value if identifier else None
        return webhook_messages(transition, external_id=external_id, endpoints=loaded.endpoints, now=now())

    return Qualifier(store, Catalogue(), notify=notify, identity=rules, release=release, elapsed=elapsed)


def _start_deliver(parts: ExitStack, store: Store, loaded: Loaded) -> None:
    if not loaded.endpoints:
        return
    sender = HttpSender()
    parts.callback(sender.close)
    may_send = Permission(store.snapshot).allows
    deliverer = Deliverer(store.outbox, sender, loaded.endpoints, clock=now, jitter=random.random, may_send=may_send)
    _start(parts, "assay-deliver", deliverer.run)


def _start(parts: ExitStack, name: str, run: Callable[[threading.Event], None]) -> None:
    """Run a stage in a thread of its own until its event is set."""
    stopping = threading.Event()
    thread = threading.Thread(target=run, args=(stopping,), name=name, daemon=True)
    parts.callback(thread.join)
    parts.callback(stopping.set)
    thread.start()
