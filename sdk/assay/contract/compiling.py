"""Schemas made ready for jsonschema-rs; nothing outside of a plan can be reached from them."""

from collections.abc import Mapping
from typing import Any

import jsonschema_rs

from assay.contract.subschemas import Schema, copy_json, places

# The name ends in .invalid (RFC 2606), so nothing could ever be fetched from it.
_ROOT = "https://plan.invalid/"


class TypeLibrary:
    """The shared types of a plan, for both validators. Nothing outside of it can be reached."""

    def __init__(self, types: Mapping[str, Schema]) -> None:
        self.types = {_ROOT + file: rooted(document) for file, document in types.items()}
        self.registry = jsonschema_rs.Registry(
            list(self.types.items()), draft=jsonschema_rs.Draft202012, retriever=_refuse
        )


def rooted(document: Schema) -> Schema:
    """Copy a document with its references made absolute, without ``$schema`` and root ``$id``."""
    copy: Schema = copy_json(document)
    copy.pop("$id", None)
    for _, schema in places("", copy):
        if not isinstance(schema, dict):
            continue
        # jsonschema would switch from our validator to the stock one at every `$schema`.
        schema.pop("$schema", None)
        if str(schema.get("$ref", "")).startswith("types/"):
            schema["$ref"] = _ROOT + schema["$ref"]
    return copy


def compile_schema(
    schema: Schema, registry: jsonschema_rs.Registry | None = None
) -> jsonschema_rs.Draft202012Validator:
    """
    Compile for the verdict: formats are asserted, patterns run in linear time, nothing is fetched.

    Raises:
        ValueError: The library cannot compile it.
    """
    return jsonschema_rs.Draft202012Validator(
        schema,
        registry=registry,
        retriever=_refuse,
        validate_formats=True,
        pattern_options=jsonschema_rs.RegexOptions(),
    )


def _refuse(uri: str) -> Any:
    raise ValueError(f"{uri} is outside of the plan")
