"""The shape of a project file, as a JSON Schema; ``schemas/project.schema.json`` is the same."""

from typing import Final

from assay_collector.pql.schema_parts import (
    DIALECT,
    SIGNAL_NAME,
    SLUG,
    TRAIT,
    Schema,
    list_of,
    mapping,
    named,
    ref,
    shared_defs,
    text,
    whole,
)


def _project() -> Schema:
    exclusion = named(
        "an exclusion list",
        ref("comparator"),
        f"^{TRAIT}$",
        description="Tests of traits, all of user.* or all of account.*; whom all of them hold of is left out.",
        examples=[{"user.bot": True}],
    )
    return mapping(
        "a project",
        {
            "project": text("a name", pattern=SLUG, maxLength=64),
            "timezone": text("a time zone", description="An IANA name.", examples=["UTC", "Europe/Berlin"]),
            "lateness": {**ref("duration"), "description": "Later transitions than this raise no alert."},
            "exclude": mapping(
                "exclusions",
                {
                    "default": list_of(
                        "names of lists", text("a name"), uniqueItems=True, description="Apply to every definition."
                    ),
                    "lists": named("the lists", exclusion, f"^{SIGNAL_NAME}$"),
                },
            ),
            "marketing": list_of(
                "event names",
                text("an event name"),
                uniqueItems=True,
                description="Events that show interest in marketing, not use of the product.",
                examples=[["Page Viewed", "Email Opened"]],
            ),
            "max_definitions_per_stage": whole(
                "a whole number", 1, description="More definitions of one stage than this are warned of; by default 7."
            ),
            "values": named(
                "lists of values",
                list_of("a list of values", {"title": "a value", "type": ["string", "number", "boolean"]}),
                f"^{SIGNAL_NAME}$",
                description="Named lists for comparators such as `not disposable`.",
            ),
        },
        ("project",),
        description="What holds for every definition of a folder.",
    )


PROJECT_SCHEMA: Final[Schema] = {
    "$schema": DIALECT,
    "$id": "urn:assay:schema:project",
    **_project(),
    "$defs": shared_defs(),
}
