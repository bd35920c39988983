"""What the query API asks of whoever can explain verdicts."""

from typing import Any, Protocol


class Explainer(Protocol):
    """Reads verdicts out in words and numbers. Everything returned is plain JSON, and holds no personal data."""

    def qualifications(self, kind: str | None, value: str) -> dict[str, Any] | None:
        """
        Who this is, what it qualifies for and why, near misses included.

        Args:
            kind: "user" or "account"; None: whichever is known by this id, users first.
            value: The raw identifier as the product knows it.

        Returns:
            None: nobody is known by this id.

        Raises:
            StoreUnavailable: The store cannot answer now.
        """

    def leads(self, definition: str | None, limit: int, offset: int) -> list[dict[str, Any]]:
        """
        The open qualifications, latest first.

        Args:
            definition: Only those of this definition; None: of all.

        Raises:
            StoreUnavailable: The store cannot answer now.
        """

    def near(self, definition: str | None, after: bytes, limit: int) -> tuple[list[dict[str, Any]], bytes | None]:
        """
        Who is near to qualifying, among so many entities.

        Args:
            after: Where the page before ended; at first nothing.

        Returns:
            Those who are, and where this page ended; None: nobody is left.

        Raises:
            StoreUnavailable: The store cannot answer now.
        """
