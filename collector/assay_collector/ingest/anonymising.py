"""An event without whoever did it: what may be kept where a person refuses, and the event is worth counting. Pure."""

import re
from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from assay.contract.messages import Event
from assay.contract.scrubbing import is_hashed
from assay.contract.times import DAY

Json = dict[str, Any]

# The leaf of all anonymised events: nobody.
NOBODY = bytes(16)

# What is kept of a context; everything else may tell people apart.
_KEPT = {"library": ("name", "version"), "app": ("name", "version"), "os": ("name",), "device": ("type",)}
# Properties whose name says that they tell who it is, or where to find them.
_NAMING = re.compile(
    r"(^|[_\-. ])(id|ids|uuid|guid|email|e-?mail|mail|phone|mobile|name|first|last|ip|address|token|key|session|cookie"
    r"|url|referrer|avatar|birthday|lat|lng|latitude|longitude)$"
    r"|[a-z](Id|Ids|ID|Uuid|Email|Phone|Name|Ip|IP|Address|Token|Key|Url|URL)$",
)
_FAMILIES = ("Edg", "OPR", "Firefox", "Chrome", "Safari")
_SYSTEMS = ("Windows", "Android", "iPhone", "iPad", "Mac OS X", "Linux")


def anonymised(event: Event) -> Event:
    """
    The same event without ids, address and exact time.

    Kept are its type, name and message id, its day, its properties less those that name or quote somebody (none, of
    identify and group), the library and app it came from, and a coarse user agent.
    """
    ids = {value for value in (event.user_id, event.anonymous_id, event.previous_id, event.group_id) if value}
    day = event.at - event.at % DAY
    return replace(
        event,
        user_id=None,
        anonymous_id=None,
        previous_id=None,
        group_id=None,
        at=day,
        original_at=None,
        sent_at=None,
        received_at=event.received_at - event.received_at % DAY,
        properties={} if event.type in ("identify", "group", "alias") else _unnamed(event.properties, ids),
        context=_surroundings(event.context),
    )


def coarse_user_agent(text: str) -> str:
    """The family of a browser with its major version, and of its system: shared by very many."""
    found = [match for family in _FAMILIES if (match := re.search(rf"{family}\w*/(\d+)", text))]
    browser = f"{found[0][0].partition('/')[0]}/{found[0][1]}" if found else "other"
    return f"{browser} ({next((system for system in _SYSTEMS if system in text), 'other')})"


def _unnamed(properties: Mapping[str, Any], ids: set[str]) -> Json:
    return {
        key: kept for key, value in properties.items() if not _names(key) and (kept := _plain(value, ids)) is not None
    }


def _names(key: str) -> bool:
    return _NAMING.search(key) is not None or _NAMING.search(key.lower()) is not None


def _plain(value: Any, ids: set[str]) -> Any:
    """A value, if it quotes nobody; of what is nested, the parts that do not. None: nothing is left."""
    if isinstance(value, Mapping):
        return _unnamed(value, ids) or None
    if isinstance(value, list):
        return [kept for each in value if (kept := _plain(each, ids)) is not None]
    # What was hashed at the door still tells people apart.
    tells_who = str(value) in ids or is_hashed(value) or (isinstance(value, str) and "@" in value)
    return None if tells_who else value


def _surroundings(context: Mapping[str, Any]) -> Json:
    kept: Json = {}
    for name, fields in _KEPT.items():
        value = context.get(name)
        if isinstance(value, dict):
            kept[name] = {key: value[key] for key in fields if isinstance(value.get(key), str)}
    agent = context.get("userAgent")
    if isinstance(agent, str):
        kept["userAgent"] = coarse_user_agent(agent)
    return {name: value for name, value in kept.items() if value}
