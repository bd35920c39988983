"""Whatever is sent, anywhere: never a 5xx, never HTML, never a status that SDKs misread, never a lost neighbour."""

import json
from typing import Any

import pytest
from cases_run import Answer, check_answer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_wire_cases import send_to
from web_parts import ADMIN_TOKEN, SERVER_KEY, make_house

HOUSE = make_house()
fuzz = settings(
    max_examples=settings.default.max_examples * 3 // 10, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)

TRACKING = [f"/v1/{name}" for name in ("identify", "t", "page", "s", "group", "a", "batch", "import", "m")]
OTHERS = [
    "/", "/healthz", "/readyz", "/v1/projects/x/settings", "/v1/receipts/x", "/v1/quarantine", "/v1/counts",
    "/v1/leads",
    "/v1/qualifications/x", "/v1/dead-letters", "/v1/dead-letters/resend", "/v1/id/x", "/v1/saveId",
]  # fmt: skip
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY"]

# Headers as a server hands them on: Latin-1 without control characters.
latin = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=40)
headers = st.dictionaries(
    st.sampled_from(
        [
            "Authorization", "Content-Type", "Content-Encoding", "Origin", "Access-Control-Request-Headers", "Host",
            "Prefer", "SentAt", "AnonymousId", "Sec-GPC", "DNT", "X-Forwarded-For", "Cookie", "Range", "If-None-Match",
            "Accept", "X-Retry-Count", "X-HTTP-Method-Override",
        ]
    ),
    latin | st.sampled_from(
        ["gzip", "deflate", "1", "return=representation", f"Basic {SERVER_KEY}", "Bearer x", "multipart/form-data"]
    ),
    max_size=6,
)  # fmt: skip

scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30)
    | st.sampled_from(["", "track", "null", "2026-03-01T09:00:00Z", "9999-12-31T23:59:59Z", "\x00", "\ud800"])
)  # fmt: skip
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
FIELDS = [
    "type", "event", "name", "messageId", "userId", "anonymousId", "previousId", "groupId", "timestamp", "sentAt",
    "originalTimestamp", "properties", "traits", "context", "integrations", "writeKey", "batch", "_metadata",
]  # fmt: skip
messages = st.dictionaries(st.sampled_from(FIELDS), values, max_size=10)


def check(answer: Answer, method: str = "POST") -> None:
    """`check_answer`, and that a 503 has no place here either: nothing is wrong with the store."""
    check_answer(answer, is_head=method == "HEAD")
    assert answer.status < 500
    assert b"<" not in answer.body[:1]


@pytest.mark.parametrize("path", TRACKING)
@fuzz
@given(body=st.binary(max_size=400), headers=headers)
def test_random_bytes(path: str, body: bytes, headers: dict[str, str]) -> None:
    """Any bytes under any headers."""
    check(send_to(HOUSE.app, "POST", path, headers, body))


@pytest.mark.parametrize("path", TRACKING)
@fuzz
@given(document=values | messages | st.fixed_dictionaries({"batch": st.lists(messages | values, max_size=5)}))
def test_random_json(path: str, document: Any) -> None:
    """Any JSON, NaN and lone surrogates included, from a sender with a key."""
    answer = send_to(HOUSE.app, "POST", path, {"Authorization": f"Basic {SERVER_KEY}"}, json.dumps(document).encode())

    check(answer)
    assert answer.status in (200, 400)


@fuzz
@given(before=st.lists(messages | values, max_size=3), after=st.lists(messages | values, max_size=3))
def test_a_good_neighbour_is_always_in(before: list[Any], after: list[Any]) -> None:
    """Whatever stands around it in a batch, a good message is stored and the answer is 200."""
    HOUSE.ingest.stored.clear()
    good = {"type": "track", "event": "E", "userId": "u", "messageId": "the good one"}
    body = json.dumps({"batch": [*before, good, *after]}).encode()
    answer = send_to(HOUSE.app, "POST", "/v1/batch", {"Authorization": f"Basic {SERVER_KEY}"}, body)

    assert (200, b'{"success":true}') == (answer.status, answer.body)
    assert ("app", "the good one") in HOUSE.ingest.stored


@fuzz
@given(damage=st.text(st.characters(exclude_characters='"\\[]{},', exclude_categories=["Cs"]), max_size=30))
def test_damage_inside_a_message_stays_inside_it(damage: str) -> None:
    """Text that is no JSON, between a message's own brackets, costs that message alone."""
    HOUSE.ingest.stored.clear()
    good = '{"type":"track","event":"E","userId":"u","messageId":"the good one"}'
    body = f'{{"batch":[{{"type":{damage}}},{good}]}}'.encode()
    answer = send_to(HOUSE.app, "POST", "/v1/batch", {"Authorization": f"Basic {SERVER_KEY}"}, body)

    assert (200, b'{"success":true}') == (answer.status, answer.body)
    assert ("app", "the good one") in HOUSE.ingest.stored


@pytest.mark.parametrize("path", OTHERS)
@fuzz
@given(
    method=st.sampled_from(METHODS), body=st.binary(max_size=100), headers=headers, is_admin=st.booleans(),
    query=st.dictionaries(st.sampled_from(["limit", "offset", "before", "kind", "reason"]), st.text(max_size=12)),
)  # fmt: skip
def test_the_other_paths(
    path: str, method: str, body: bytes, headers: dict[str, str], is_admin: bool, query: dict[str, str]
) -> None:
    """Any method, body, headers and parameters, with and without the admin token."""
    if is_admin:
        headers = {**headers, "Authorization": f"Bearer {ADMIN_TOKEN}"}
    check(send_to(HOUSE.app, method, path, headers, body, query), method)


@fuzz
@given(
    words=st.lists(st.sampled_from(["v1", "track", "projects", "qualifications", "settings", ""]) | latin, max_size=5),
    method=st.sampled_from(METHODS),
)  # fmt: skip
def test_any_path(words: list[str], method: str) -> None:
    """Paths that nobody made."""
    path = "/" + "/".join(words).replace("?", "").replace("#", "").lstrip("/")
    check(send_to(HOUSE.app, method, path, {}, b""), method)
