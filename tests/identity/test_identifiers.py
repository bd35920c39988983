"""Identifiers: one id for one identifier, under one key."""

from hashlib import blake2b

import pytest

from assay_collector.identity.identifiers import TYPES, hash_email, identifier_hasher

KEY, OTHER = b"k" * 32, b"o" * 32
HALF = "\ud83d"  # what a client leaves of an emoji that it cut in two


def test_an_id_is_sixteen_bytes_that_never_change():
    """They are stored: a collector of another edition must find who it knows."""
    expected = blake2b(b"4:shopuser:Ada", digest_size=16, key=KEY, person=b"assay.identity").digest()

    assert expected == identifier_hasher(KEY)("shop", "user", "Ada")
    assert 16 == len(expected)


def test_namespace_type_value_and_key_all_tell_apart():
    """Nor can a part of the one pass for a part of the other."""
    identify = identifier_hasher(KEY)
    same = [
        ("shop", "user", "a"),
        ("shop", "device", "a"),
        ("shop", "user", "A"),
        ("sho", "user", "a"),
        ("", "user", "a"),
    ]

    assert len(same) == len({identify(*each) for each in same} - {identifier_hasher(OTHER)(*same[0])})
    assert identify("a", "user", "user:b") != identify("auser:", "user", "b")


@pytest.mark.parametrize("value", ["", "Zoë", HALF])
def test_any_text_has_an_id(value):
    """Also one that is no proper text; an id must never be what loses an event."""
    assert 16 == len(identifier_hasher(KEY)("shop", "user", value))
    assert 16 == len(identifier_hasher(KEY)(HALF, "user", value))
    assert 64 == len(hash_email(value))


def test_an_address_is_one_however_it_is_written():
    """Without case and surrounding space, and hashed as others hash it, so that lists may be compared."""
    assert "045908bb27d67d489df6a36702ff48e74157fc0a075d5de9546527bad4a4bb94" == hash_email("ada@engine.example")
    assert hash_email("ada@engine.example") == hash_email("  Ada@Engine.EXAMPLE ")
    assert hash_email("ada@engine.example") != hash_email("ada@engine.exampl")


def test_only_a_devices_id_is_read_without_case():
    """Whether "Ada" and "ada" are one is the product's to say."""
    read = {type: rule.canonical(" AB-1 ") for type, rule in TYPES.items()}

    assert {**dict.fromkeys(TYPES, " AB-1 "), "device": "ab-1"} == read


def test_of_two_links_the_one_with_the_stronger_end_stands():
    """A user is named, a browser forgets, a device is handed on; and only a user may be seen with a thousand others."""
    strongest = sorted(TYPES, key=lambda name: (-TYPES[name].strength, name))

    assert ["user", "email_hash", "external", "anonymous", "device"] == strongest
    assert TYPES["email_hash"].strength == TYPES["external"].strength
    assert {"user": 1_000} == {type: rule.ceiling for type, rule in TYPES.items() if rule.ceiling != 100}
