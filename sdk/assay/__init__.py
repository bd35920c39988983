"""Assay's client SDK: events that are validated, deduplicated and stitched to who did them."""

from assay._version import __version__

__all__ = ["__version__"]
