"""Where webhooks go: one configured receiver each."""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn
from urllib.parse import SplitResult, urlsplit

from assay.contract.consent import PURPOSES
from assay.contract.errors import AssayError
from assay_collector.deliver.addresses import refusal

TIMEOUT_SECONDS_DEFAULT = 15.0
NEWS_AGE_HOURS_DEFAULT = 24.0
TIMEOUT_SECONDS_MAX = 60.0
PURPOSE_DEFAULT = "sales_contact"
SECRET_BYTES_MIN = 24
SECRET_BYTES_MAX = 64

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_URL_CHARACTERS = re.compile(r"[!-~]+")  # visible ASCII: a parser that disagrees about the rest cannot be fooled by it
_LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(\.{_LABEL})*\.?")  # as urlsplit gives it, in lower case
_ENDS_IN_NUMBER = re.compile(r"(.*\.)?(\d+|0[xX][0-9A-Fa-f]*)\.?")
_IPV4 = re.compile(r"(0|[1-9]\d{0,2})(\.(0|[1-9]\d{0,2})){3}")


@dataclass(eq=False)
class InvalidEndpoint(AssayError):
    """A webhook endpoint is not configured as it must be."""

    endpoint: str
    setting: str  # name | url | secret | timeout_seconds | ...
    problem: str  # never holds the secret, nor the url beyond its host

    def __str__(self) -> str:
        return f"webhook endpoint {self.endpoint!r}, {self.setting}: {self.problem}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoint:
    """
    A receiver of webhooks.

    Neither its secret nor its URL, which may hold a password or a token, is shown by ``repr``.

    Raises:
        InvalidEndpoint: On making one that could not work, or could reach what it must not.
    """

    name: str  # what messages and the operator call it; changing it orphans the messages that wait for it
    url: str = field(repr=False)  # http or https; a user and password become Basic authentication
    secret: str = field(repr=False)  # whsec_ and Base64 of 24 to 64 random bytes
    allow_private: bool = False  # whether loopback and private networks may be reached
    timeout_seconds: float = TIMEOUT_SECONDS_DEFAULT  # for one attempt as a whole, answer included
    news_age_hours_max: float = NEWS_AGE_HOURS_DEFAULT  # what took effect earlier than that is no news any more
    purpose: str = PURPOSE_DEFAULT  # what it does with what it hears; who denies this is not spoken of

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise InvalidEndpoint(
                self.name, "name", "must be 1 to 64 letters, digits, - or _, not starting with - or _"
            )
        self._check_url(self._split())
        self._check_secret()
        if not 0 < self.timeout_seconds <= TIMEOUT_SECONDS_MAX:
            self._refuse("timeout_seconds", f"must be more than 0 and at most {TIMEOUT_SECONDS_MAX:g} seconds")
        if not self.news_age_hours_max > 0:
            self._refuse("news_age_hours_max", "must be more than 0 hours")
        if self.purpose not in PURPOSES:
            self._refuse("purpose", f"must be one of {', '.join(PURPOSES)}")

    @classmethod
    def from_settings(cls, name: str, settings: Mapping[str, Any]) -> "Endpoint":
        """
        Read one from a settings table.

        Args:
            name: The endpoint's name.
            settings: `url` and `secret`; perhaps `allow_private`, `timeout_seconds`, `news_age_hours_max` and
                `purpose`.

        Raises:
            InvalidEndpoint: A setting is missing, unknown, of the wrong type or refused.
        """
        for setting in ("url", "secret"):
            if setting not in settings:
                raise InvalidEndpoint(name, setting, "is missing")
        for setting, value in settings.items():
            if setting not in _SETTINGS:
                raise InvalidEndpoint(name, setting, f"is no such setting; there are {', '.join(_SETTINGS)}")
            # To Python, True is a number as well.
            if not isinstance(value, _SETTINGS[setting]) or (isinstance(value, bool) and setting != "allow_private"):
                raise InvalidEndpoint(name, setting, f"must not be of type {type(value).__name__}")
        return cls(name=name, **settings)

    @property
    def origin(self) -> str:
        """The URL's scheme, host and port: all of it that may be shown."""
        parts = urlsplit(self.url)
        return f"{parts.scheme.lower()}://{parts.netloc.rpartition('@')[2].lower()}"

    def _split(self) -> SplitResult:
        if not _URL_CHARACTERS.fullmatch(self.url) or "\\" in self.url:
            self._refuse(
                "url", "must be visible ASCII without backslashes (write an international host in its xn-- form)"
            )
        try:
            parts = urlsplit(self.url)
            port = parts.port
        except ValueError:
            self._refuse("url", "is no URL: its host or port cannot be read")
        if port == 0:
            self._refuse("url", "port 0 cannot be reached")
        return parts

    def _check_url(self, parts: SplitResult) -> None:
        if parts.scheme not in ("http", "https"):
            self._refuse("url", "must start with https:// or http://")
        if parts.fragment:
            self._refuse("url", "must not have a fragment (#...); it would never be sent")
        host = parts.hostname or ""
        bracketed = "[" in parts.netloc
        if not bracketed and not _HOST.fullmatch(host):
            self._refuse("url", f"{host!r} is no host")
        if host.rstrip(".") == "localhost" or host.rstrip(".").endswith(".localhost"):
            self._check_address("127.0.0.1", bracketed)
        elif bracketed or _ENDS_IN_NUMBER.fullmatch(host):
            self._check_address(host, bracketed)

    def _check_address(self, host: str, bracketed: bool) -> None:
        # 0x7f.1, 017700000001 and 2130706433 are all 127.0.0.1 to a resolver, and are written so to hide it.
        if not bracketed and not _IPV4.fullmatch(host):
            self._refuse("url", f"{host!r} is no host: an IPv4 address has four decimal parts from 0 to 255")
        try:
            kind = refusal(host, allow_private=self.allow_private)
        except ValueError:
            self._refuse("url", f"{host!r} is no IP address")
        if kind is not None:
            hint = "" if refusal(host, allow_private=True) else "; set allow_private if that is meant"
            self._refuse("url", f"{host} is {kind}{hint}")

    def _check_secret(self) -> None:
        prefix, _, encoded = self.secret.partition("whsec_")
        wanted = f"whsec_ followed by Base64 of {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX} random bytes"
        if prefix or not encoded:
            self._refuse("secret", f"must be {wanted}")
        try:
            key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
        except (binascii.Error, ValueError):
            self._refuse("secret", f"is not Base64; it must be {wanted}")
        if not SECRET_BYTES_MIN <= len(key) <= SECRET_BYTES_MAX:
            self._refuse("secret", f"holds {len(key)} bytes; it must be {wanted}")

    def _refuse(self, setting: str, problem: str) -> NoReturn:
        raise InvalidEndpoint(self.name, setting, problem)


_SETTINGS: dict[str, type | tuple[type, ...]] = {
    "url": str,
    "secret": str,
    "allow_private": bool,
    "timeout_seconds": (int, float),
    "news_age_hours_max": (int, float),
    "purpose": str,
}
