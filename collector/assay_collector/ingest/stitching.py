"""From an event to its identifiers, and to what it says of who is who and who belongs where. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from assay.contract.messages import Event
from assay_collector.identity.identifiers import TYPES, IdentifierType, Identify, hash_email
from assay_collector.identity.people import pair_of
from assay_collector.identity.rules import Placeholders
from assay_collector.store import Identifier, Link, Membership, Source

EXTRA_IDENTIFIERS = ("device", "email", "external")
EXTERNAL_MAX = 10
VALUE_CHARS_MAX = 1_000

PLACEHOLDER = "placeholder"


@dataclass(frozen=True, slots=True)
class Stitches:
    """Who an event is about, and what it joins."""

    leaf: bytes  # its user id, else its anonymous id
    anonymous: bytes | None
    account: bytes | None  # the account that it names
    identifiers: tuple[Identifier, ...]
    links: tuple[Link, ...]
    memberships: tuple[Membership, ...]
    refused: tuple[str, ...]  # why something that it says makes no link


class Stitcher:
    """Reads identifiers under one identity key."""

    def __init__(self, identify: Identify, placeholders: Placeholders) -> None:
        self._identify = identify
        self._refuses = placeholders.refuses

    def read(self, event: Event, source: Source, event_id: bytes) -> Stitches:
        """
        Everything that an event says about who did it.

        A placeholder stands for nobody: it makes no link, and where a message has a real id beside it, that one is the
        leaf. A message of nothing but placeholders is kept under what it says.
        """
        refused: list[str] = []
        user, anonymous = event.user_id, event.anonymous_id
        user_is_nobody = user is not None and self._refuses("user", user)
        anonymous_is_nobody = anonymous is not None and self._refuses("anonymous", anonymous)
        if user is not None and anonymous is not None and (user_is_nobody or anonymous_is_nobody):
            refused.append(PLACEHOLDER)
            user, anonymous = (None, anonymous) if user_is_nobody else (user, None)
        if user is None and anonymous is not None:
            main = self._identifier(source, "anonymous", anonymous)
        else:
            assert user is not None
            main = self._identifier(source, "user", user)
        found = [main]
        links: list[Link] = []
        other = None
        if user is not None and anonymous is not None:
            other = self._identifier(source, "anonymous", anonymous)
            found.append(other)
            links.append(_link(main.id, other.id, "observed", event.at, event_id))
        is_nobody = self._refuses(main.type, main.value)
        if source.identify_by:
            for type, value in _extras(event, source):
                if is_nobody or self._refuses(type, value):
                    refused.append(PLACEHOLDER)
                    continue
                extra = self._identifier(source, type, hash_email(value) if type == "email_hash" else value)
                found.append(extra)
                links.append(_link(main.id, extra.id, "observed", event.at, event_id))
        if event.previous_id is not None:
            if is_nobody or self._refuses("user", event.previous_id):
                refused.append(PLACEHOLDER)
            else:
                previous, link = self._alias(event, event.previous_id, source, main.id, event_id)
                found.append(previous)
                links.append(link)
        account = None
        if event.group_id is not None:
            group = self._identifier(source, "account", event.group_id)
            account = group.id
            found.append(group)
        return Stitches(
            leaf=main.id,
            anonymous=main.id if main.type == "anonymous" else None if other is None else other.id,
            account=account,
            identifiers=tuple(found),
            links=tuple(links),
            memberships=_memberships(event, main.id, account, event_id),
            refused=tuple(refused),
        )

    def _alias(
        self, event: Event, previous_id: str, source: Source, leaf: bytes, event_id: bytes
    ) -> tuple[Identifier, Link]:
        """Of what type the previous id is, all that was ever seen will tell: so both readings are kept."""
        previous = self._identifier(source, "anonymous", previous_id)
        link = Link(
            *pair_of(previous.id, leaf),
            "alias",
            event.at,
            event_id,
            authorised=source.allow_user_merge,
            former=previous.id,
            as_user=self._identify(source.namespace, "user", previous_id),
        )
        return previous, link

    def _identifier(self, source: Source, type: IdentifierType, value: str) -> Identifier:
        if type in TYPES:
            value = TYPES[type].canonical(value)
        return Identifier(self._identify(source.namespace, type, value), source.namespace, type, value)


def _link(one: bytes, other: bytes, kind: str, at: int, event_id: bytes) -> Link:
    return Link(*pair_of(one, other), kind, at, event_id)


def _memberships(event: Event, leaf: bytes, account: bytes | None, event_id: bytes) -> tuple[Membership, ...]:
    if event.type != "group" or account is None:
        return ()
    role = event.properties.get("role")
    left_at = event.at if event.properties.get("left") is True else None
    return (Membership(leaf, account, event.at, event_id, role if isinstance(role, str) else None, left_at),)


def _extras(event: Event, source: Source) -> Iterator[tuple[IdentifierType, str]]:
    """What else a source's messages identify somebody by, where the source says so."""
    if "device" in source.identify_by:
        device = event.context.get("device")
        yield from _text("device", device.get("id") if isinstance(device, dict) else None)
    if "email" in source.identify_by:
        traits = event.properties if event.type == "identify" else event.context.get("traits")
        yield from _text("email_hash", traits.get("email") if isinstance(traits, dict) else None)
    if "external" in source.identify_by:
        for key in ("externalIds", "externalId"):
            entries = event.context.get(key)
            for entry in entries[:EXTERNAL_MAX] if isinstance(entries, list) else ():
                if isinstance(entry, dict) and isinstance(entry.get("type"), str):
                    for _, value in _text("external", entry.get("id")):
                        yield "external", f"{entry['type']}:{value}"


def _text(type: IdentifierType, value: Any) -> Iterator[tuple[IdentifierType, str]]:
    if isinstance(value, str) and value.strip() and len(value) <= VALUE_CHARS_MAX:
        yield type, value
