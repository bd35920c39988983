"""What an event says of who is who: identifiers by type, links, and what stands for nobody."""

from typing import Any

import pytest

from assay_collector.identity.identifiers import hash_email, identifier_hasher
from assay_collector.identity.rules import Placeholders
from assay_collector.ingest.stitching import Stitcher, Stitches
from assay_collector.store import Source
from builders import NOW, an_id, message, read_event

IDENTIFY = identifier_hasher(b"k" * 32)
WEB = Source(id="web", name="web")
ALL = Source(id="all", name="all", identify_by=("device", "email", "external"))


def stitches(source: Source = WEB, *, more: tuple[str, ...] = (), **fields: Any) -> Stitches:
    event = read_event(message(**{"userId": None, **fields}))
    return Stitcher(IDENTIFY, Placeholders(more)).read(event, source, an_id(9))


def ids(found: Stitches) -> list[tuple[str, str]]:
    return [(each.type, each.value) for each in found.identifiers]


def links(found: Stitches) -> list[tuple[str, int]]:
    return [(link.kind, link.at) for link in found.links]


def test_the_user_id_is_the_leaf():
    """And the anonymous id beside it makes a link."""
    found = stitches(userId="u1", anonymousId="v1")

    assert [("user", "u1"), ("anonymous", "v1")] == ids(found)
    assert (IDENTIFY("default", "user", "u1"), [("observed", NOW)]) == (found.leaf, links(found))


@pytest.mark.parametrize("nobody", ["null", "NULL", " undefined ", "0", "none", "NaN", "0" * 32, "test@acme.example"])
def test_a_placeholder_beside_a_real_id_is_left_out(nobody):
    """The event is the other id's; the link is refused."""
    found = stitches(userId=nobody, anonymousId="v1")

    assert ([("anonymous", "v1")], (), ("placeholder",)) == (ids(found), found.links, found.refused)


def test_a_placeholder_for_an_anonymous_id_is_left_out_too():
    """The user stays."""
    found = stitches(userId="u1", anonymousId="undefined")

    assert ([("user", "u1")], (), ("placeholder",)) == (ids(found), found.links, found.refused)


def test_a_placeholder_alone_is_kept_as_it_is():
    """The event is kept; there is nothing to link."""
    found = stitches(userId="null")

    assert ([("user", "null")], ()) == (ids(found), found.refused)


def test_what_stands_for_nobody_is_typed():
    """A tester's address is no user; as an anonymous id it may be anything."""
    assert ("placeholder",) == stitches(userId="u1", anonymousId="null").refused
    assert () == stitches(userId="u1", anonymousId="test@acme.example").refused


def test_an_operator_may_add_placeholders():
    """For every type, or for one."""
    assert ("placeholder",) == stitches(more=("Guest",), userId="guest", anonymousId="v1").refused
    assert ("placeholder",) == stitches(more=("anonymous:kiosk",), userId="u1", anonymousId="kiosk").refused
    assert () == stitches(more=("anonymous:kiosk",), userId="kiosk", anonymousId="v1").refused


EXTRAS: dict[str, Any] = {
    "type": "identify",
    "userId": "u1",
    "anonymousId": "v1",
    "traits": {"email": " Ada@Example.ORG"},
    "context": {
        "device": {"id": "AB-12"},
        "externalIds": [{"type": "crm", "id": "7"}, {"id": "no type"}, "nonsense"],
        "externalId": [{"type": "erp", "id": "8"}],
    },
}


def test_further_identifiers_are_read_where_the_source_says_so():
    """In their canonical form, each linked to the leaf; an address is never kept itself."""
    found = stitches(ALL, **EXTRAS)

    assert [
        ("user", "u1"),
        ("anonymous", "v1"),
        ("device", "ab-12"),
        ("email_hash", hash_email("ada@example.org")),
        ("external", "crm:7"),
        ("external", "erp:8"),
    ] == ids(found)
    assert all(found.leaf in (link.low, link.high) for link in found.links)
    assert 5 == len(found.links)


def test_nothing_further_is_read_where_the_source_does_not():
    """A device's id is often not the device's."""
    assert [("user", "u1"), ("anonymous", "v1")] == ids(stitches(**EXTRAS))


@pytest.mark.parametrize(
    "extra",
    [
        {"context": {"device": {"id": "unknown"}}},
        {"context": {"externalIds": [{"type": "crm", "id": ""}]}, "traits": {"email": "test@example.org"}},
    ],
)
def test_a_further_identifier_may_be_a_placeholder(extra):
    """Counted as any other; what is empty is nothing at all."""
    found = stitches(ALL, **{"type": "identify", "userId": "u1", **extra})

    assert ([("user", "u1")], ("placeholder",)) == (ids(found), found.refused)


@pytest.mark.parametrize("context", [{}, {"device": "x"}, {"device": {"id": 7}}, {"externalIds": {}}, {"traits": 1}])
def test_nonsense_in_the_context_is_no_identifier(context):
    """Whatever a client sends."""
    assert [("user", "u1")] == ids(stitches(ALL, userId="u1", context=context))


def test_an_alias_is_kept_in_both_readings():
    """The previous id as a visitor's, and as a user's; and whether the source may join users."""
    (link,) = stitches(Source(id="a", name="a", allow_user_merge=True), type="alias", userId="b", previousId="a").links
    a, b = IDENTIFY("default", "anonymous", "a"), IDENTIFY("default", "user", "b")

    assert ({a, b}, "alias", True) == ({link.low, link.high}, link.kind, link.authorised)
    assert (a, IDENTIFY("default", "user", "a")) == (link.former, link.as_user)


def test_an_alias_of_nobody_is_refused():
    """Else all who never had an id would be one."""
    found = stitches(type="alias", userId="b", previousId="null")

    assert ((), ("placeholder",), [("user", "b")]) == (found.links, found.refused, ids(found))


@pytest.mark.parametrize(
    ("traits", "role", "left_at"),
    [({}, None, None), ({"role": "owner"}, "owner", None), ({"left": True}, None, NOW), ({"left": "yes"}, None, None)],
)
def test_a_group_message_opens_or_ends_a_membership(traits, role, left_at):
    """`left: true` ends it; everything else belongs."""
    (row,) = stitches(type="group", groupId="acme", userId="u1", traits=traits).memberships

    assert (role, left_at) == (row.role, row.left_at)
