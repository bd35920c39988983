"""
The shape of a definition and of a project file, as JSON Schemas (2020-12).

This floor reads no files, so the schemas live here; ``schemas/definition.schema.json`` and
``schemas/project.schema.json`` are the same, written out for editors, and a test keeps them equal. They cover the
whole language. What they cannot say (that a signal exists, that a comparator is spelt right) the compiler says.

The ``title`` of a part is the noun its error messages use.
"""

from typing import Final

from assay_collector.pql.schema_parts import (
    DIALECT,
    DURATION,
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

AGGREGATES: Final = (
    "count",
    "distinct",
    "active_days",
    "sum",
    "min",
    "max",
    "first",
    "last",
    "since",
    "trait",
    "ratio",
    "members",
    "sequence",
)
# Words that mean something else where a signal's name could stand.
RESERVED_NAMES: Final = ("all", "any", "not", "at_least", "score", "enter", "exit", "fit", "stage", "ever")
STAGES: Final = ("activation", "monetization", "expansion")


# Which modifiers go with which aggregate.
_MODIFIERS: Final[dict[str, tuple[str, ...]]] = {
    "count": ("where", "within", "ago"),
    "distinct": ("of", "where", "within", "ago"),
    "active_days": ("where", "within", "ago"),
    "sum": ("of", "where", "within", "ago"),
    "min": ("of", "where", "within", "ago"),
    "max": ("of", "where", "within", "ago"),
    "first": ("of", "where", "within", "ago"),
    "last": ("of", "where", "within", "ago"),
    "since": ("where",),
    "trait": (),
    "ratio": (),
    "members": ("having", "where"),
    "sequence": ("apart", "within", "ago"),
}
_NEEDED: Final[dict[str, tuple[str, ...]]] = {
    **dict.fromkeys(("distinct", "sum", "min", "max", "first", "last"), ("of",)),
    "members": ("having",),
    "sequence": ("apart",),
}


_EVENTS: Final[Schema] = {
    "title": "an event name",
    "description": "The name of an event of the tracking plan, a list of several, or `any` for every event.",
    "type": ["string", "array"],
    "minLength": 1,
    "items": text("an event name"),
    "minItems": 1,
    "uniqueItems": True,
    "examples": ["Project Created", ["Invoice Requested", "Billing Details Added"], "any"],
}

_WHERE: Final[Schema] = named(
    "conditions on properties",
    ref("comparator"),
    r"^[^\s.][^.]{0,99}(\.[^.]{1,100}){0,9}$",
    description="Only events whose properties pass every test count. A dot leads into a nested property.",
    examples=[{"env": "production", "status": "between 200 and 299"}],
)


def _signal() -> Schema:
    properties: Schema = {
        "count": {**ref("events"), "description": "How many such events."},
        "distinct": {**ref("events"), "description": "How many different values of the property `of`."},
        "active_days": {**ref("events"), "description": "On how many days there was such an event."},
        "sum": {**ref("events"), "description": "The sum of the property `of`."},
        "min": {**ref("events"), "description": "The smallest value of the property `of`."},
        "max": {**ref("events"), "description": "The largest value of the property `of`."},
        "first": {**ref("events"), "description": "The property `of` on the first such event."},
        "last": {**ref("events"), "description": "The property `of` on the last such event."},
        "since": {**ref("events"), "description": "The time since the last such event."},
        "trait": text(
            "a trait",
            pattern=f"^{TRAIT}$",
            description="What is known of the user or account.",
            examples=["user.role", "account.employees"],
        ),
        "ratio": list_of(
            "two signals",
            ref("signal_name"),
            minItems=2,
            maxItems=2,
            description="The first signal divided by the second.",
            examples=[["used", "limit"]],
        ),
        "members": {
            **ref("signal"),
            "description": "How many members of the account have this signal, `having` it so.",
        },
        "sequence": list_of(
            "two event names",
            text("an event name"),
            minItems=2,
            maxItems=2,
            description="How often the first event was followed by the second, within `apart`.",
            examples=[["Pricing Viewed", "Contact Requested"]],
        ),
        "of": text(
            "a property",
            description="The property that the aggregate reads; a dot leads into a nested one. `user_id` is the user.",
            examples=["invitee_id", "user_id"],
        ),
        "where": ref("where"),
        "within": ref("window"),
        "ago": {**ref("duration"), "description": "Shift the window back by this much."},
        "having": {**ref("comparator"), "description": "Which members count."},
        "apart": {**ref("duration"), "description": "The longest time between the two events."},
    }
    return mapping(
        "a signal",
        properties,
        description="One aggregate over matching events.",
        oneOf=[{"required": [aggregate]} for aggregate in AGGREGATES],
        dependentRequired={aggregate: list(needed) for aggregate, needed in _NEEDED.items()},
        dependentSchemas={aggregate: _without(aggregate) for aggregate in AGGREGATES},
        examples=[{"count": "Project Created"}, {"distinct": "Invite Accepted", "of": "invitee_id"}],
    )


def _without(aggregate: str) -> Schema:
    """What keeps modifiers away from an aggregate that has no use for them."""
    modifiers = ("of", "where", "within", "ago", "having", "apart")
    return {"properties": {name: {"not": {}} for name in modifiers if name not in _MODIFIERS[aggregate]}}


def _condition() -> Schema:
    """A mapping is AND of its entries; a clause word starts a nested condition."""
    entries = list_of("conditions", ref("condition"))
    properties: Schema = {
        "all": {**entries, "description": "Every one of these holds."},
        "any": {**entries, "description": "At least one of these holds."},
        "not": {**ref("condition"), "description": "This does not hold."},
        "at_least": mapping(
            "an at_least clause",
            {
                "share": {**ref("share"), "description": "How large a part of the entries must hold."},
                "count": whole("a whole number", 1, description="How many of the entries must hold."),
                "of": {
                    "title": "the entries",
                    "description": "Each entry is one criterion.",
                    "if": {"type": "array"},
                    "then": entries,
                    "else": ref("condition"),
                },
            },
            ("of",),
            oneOf=[{"required": ["share"]}, {"required": ["count"]}],
            description="A part of the entries holds.",
        ),
        "score": {
            "if": {"type": "array", "items": {"type": "object"}},
            "then": ref("score"),
            "else": ref("comparator"),
        },
        "enter": {"title": "a number", "type": "number", "description": "The score at which to qualify."},
        "exit": {"title": "a number", "type": "number", "description": "The score below which to stop."},
        "fit": {"title": "a fit", "enum": ["match", "not match"], "description": "Whether `fit` holds (in `route`)."},
    }
    return {
        "title": "a condition",
        "description": "Tests of signals by name, and of traits as user.NAME or account.NAME; all must hold.",
        "type": "object",
        "minProperties": 1,
        "properties": properties,
        "propertyNames": {
            "title": "the name of a signal, or user.TRAIT or account.TRAIT",
            "pattern": f"^({SIGNAL_NAME}|{TRAIT})$",
        },
        "additionalProperties": ref("comparator"),
        "dependentRequired": {"enter": ["score"], "exit": ["score"]},
        "examples": [{"projects": "at least 1", "account.plan_state": "trial"}],
    }


def _score_item() -> Schema:
    return mapping(
        "an item of a score",
        {
            "when": {**ref("condition"), "description": "Points are given once while this holds."},
            "each": {**ref("signal_name"), "description": "Points are given for each one counted."},
            "points": {"title": "a number", "type": "number", "description": "May be negative."},
            "cap": {"title": "a number", "type": "number", "description": "The most points that `each` can give."},
            "half_life": {**ref("duration"), "description": "Points lose half their worth in this time."},
        },
        ("points",),
        oneOf=[{"required": ["when"]}, {"required": ["each"]}],
        dependentRequired={"cap": ["each"], "half_life": ["each"]},
    )


def _header() -> Schema:
    return mapping(
        "the header",
        {
            "id": text(
                "an id",
                pattern=SLUG,
                maxLength=64,
                description="Never changes; lower-case words joined by hyphens.",
                examples=["trial-activation"],
            ),
            "version": whole("a version", 1, description="Raised with every change of meaning."),
            "entity": {"title": "an entity", "enum": ["user", "account"], "description": "Who qualifies."},
            "stage": {"title": "a stage", "enum": list(STAGES), "description": "What the lead is for."},
            "owner": text("an owner", maxLength=100, description="The team that answers for this definition."),
        },
        ("id", "version", "entity", "stage", "owner"),
        description="Name, version and owner of the definition.",
    )


def _lifecycle() -> Schema:
    requalify = mapping(
        "a requalify clause",
        {
            "after": {**ref("duration"), "description": "The cool-down."},
            "beyond": named(
                "marks to pass",
                ref("percent"),
                f"^{SIGNAL_NAME}$",
                description="Only once these signals pass so much of their last peak.",
                examples=[{"users": "150%"}],
            ),
        },
        ("after",),
    )
    convert = mapping("a convert clause", {"event": ref("events"), "where": ref("where")}, ("event",))
    return mapping(
        "the lifecycle",
        {
            "hold": {**ref("duration"), "description": "How long it must stay true before it counts."},
            "exit": {**ref("condition"), "description": "What ends the qualification."},
            "expire": {**ref("duration"), "description": "When a qualification runs out."},
            "convert": {**convert, "description": "What makes the lead a customer."},
            "requalify": {**requalify, "description": "When it may begin again."},
        },
        minProperties=1,
        description="How a qualification begins, ends and begins again.",
    )


def _tests() -> Schema:
    given = mapping(
        "a given event",
        {
            "t": {**ref("instant"), "description": "When it happened, or became known."},
            "event": text("an event name", description="What was done."),
            "user": text("a user id", description="Who did it; whoever is not named is one person."),
            "account": text("an account id", description="For the reader; everything given happens in one account."),
            "properties": {"title": "properties", "type": "object", "description": "Those that a signal reads."},
            "traits": {"title": "traits", "type": "object", "description": "What is known from then on."},
            "times": {
                "title": "how often",
                "type": "integer",
                "minimum": 1,
                "maximum": 100_000,
                "description": "So often, at one instant unless `every` says how far apart.",
            },
            "every": {**ref("duration"), "description": "How far apart, where it happens several times."},
        },
        ("t",),
        dependentRequired={"every": ["times"]},
    )
    expect = mapping(
        "an expectation",
        {
            "qualified": {"title": "true or false", "type": "boolean", "description": "Whether an episode is open."},
            "status": {
                "title": "a status",
                "description": "Held: true, and waiting for `hold`.",
                "enum": ["not qualified", "held", "qualified", "converted", "exited", "expired"],
            },
            "stage": text("a stage's name", description="The highest stage that holds."),
            "tier": text("a tier's name", description="The first tier that holds."),
            "level": {**ref("percent"), "description": "The highest level that is reached."},
            "score": {"title": "a number", "type": "number", "description": "The points at that moment."},
        },
        minProperties=1,
    )
    example = mapping(
        "an example",
        {
            "name": text("a name", description="A sentence that says what the example shows."),
            "given": {
                "title": "the given events",
                "type": "array",
                "items": given,
                "description": "What happened to the one user or account of the example.",
            },
            "at": {**ref("instant"), "description": "The moment that is looked at."},
            "expect": {**expect, "description": "What must be so at that moment."},
        },
        ("name", "given", "at", "expect"),
    )
    return list_of("examples", example, description="Examples that the definition must meet.")


def _route() -> Schema:
    rule = mapping(
        "a route",
        {
            "when": {**ref("condition"), "description": "Absent: always. The first route that fits is taken."},
            "to": text("a destination", description="Who gets the lead.", examples=["sales/enterprise", "self-serve"]),
            "sla": {**ref("duration"), "description": "How soon the lead must be taken up."},
            "capacity": text(
                "a capacity",
                pattern="^[1-9][0-9]{0,5} per [a-z]+$",
                description="How many leads at a time.",
                examples=["15 per owner"],
            ),
            "overflow": text("a destination", description="Where leads beyond the capacity go."),
            "payload": list_of("names", text("a name"), description="Signals that go with the lead."),
            "until": {"title": "an end", "enum": ["converted"], "description": "When the offer is withdrawn."},
        },
        ("to",),
    )
    return list_of("routes", rule, description="Where leads go.")


def _definition() -> Schema:
    names = text("a name", pattern=f"^{SIGNAL_NAME}$")
    name = {**names, "description": "What it is called where leads are shown."}
    stage = mapping("a stage", {"name": name, "qualify": ref("condition")}, ("name", "qualify"))
    variant = mapping(
        "a variant",
        {
            "name": name,
            "when": ref("condition"),
            "stage": {**names, "description": "The stage that it stands in for, where there are stages."},
            "qualify": ref("condition"),
        },
        ("name", "when", "qualify"),
    )
    predicts = mapping(
        "what it predicts",
        {
            "event": ref("events"),
            "within": {**ref("duration"), "description": "How soon after qualifying."},
            "after": {**ref("duration"), "description": "Not before this much time has passed."},
            "where": ref("where"),
        },
        ("event", "within"),
        description="The outcome that this definition claims to foresee; it is judged by it.",
        examples=[{"event": "Subscription Started", "within": "30 days"}],
    )
    continuity = mapping(
        "how trends continue",
        {
            "supersedes": whole("a version", 1, description="The version that this one replaces."),
            "trend": {
                "title": "a trend",
                "enum": ["restate", "splice"],
                "description": "Whether the past is told anew, or the old line goes on until now.",
            },
            "overlap": {**ref("duration"), "description": "How long both versions are shown."},
            "note": text("a note", description="What was wrong with the version before."),
        },
        ("supersedes", "trend"),
        description="How this version follows the one before.",
    )
    return mapping(
        "a definition",
        {
            "pql": _header(),
            "why": text("a reason", description="Why this behaviour means intent, in a sentence.", maxLength=1000),
            "predicts": predicts,
            "window": {**ref("window"), "description": "The window of every signal without its own `within`."},
            "signals": named(
                "the signals",
                ref("signal"),
                f"^(?!({'|'.join(RESERVED_NAMES)})$){SIGNAL_NAME}$",
                description="Aggregates over events, by name.",
            ),
            "qualify": {**ref("condition"), "description": "Who qualifies."},
            "eligible": {**ref("condition"), "description": "Who is considered at all."},
            "fit": {**ref("condition"), "description": "Whether the customer is of the right kind; does not decide."},
            "exclude": list_of(
                "exclusion lists",
                text("the name of a list"),
                uniqueItems=True,
                description="Lists of the project file that apply besides its defaults.",
            ),
            "tiers": named("the tiers", ref("condition"), f"^{SIGNAL_NAME}$", description="Grades, best first."),
            "levels": list_of("the levels", ref("percent"), description="Published shares of criteria met."),
            "stages": list_of("the stages", stage, description="Milestones, in order."),
            "variants": list_of("the variants", variant, description="Other paths for some segments."),
            "lifecycle": _lifecycle(),
            "holdout": mapping(
                "a holdout",
                {
                    "share": {**ref("share"), "description": "How large a part."},
                    "unit": {"title": "a unit", "enum": ["user", "account"], "description": "Of whom."},
                },
                ("share", "unit"),
                description="A random part that is left alone, for comparison.",
            ),
            "experiment": mapping(
                "an experiment",
                {
                    "name": name,
                    "arms": named(
                        "the arms",
                        ref("share"),
                        "^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$",
                        description="The part of the leads that each way of treating them gets.",
                    ),
                },
                ("name", "arms"),
                description="Ways of treating leads, to be compared.",
            ),
            "route": _route(),
            "nudge": mapping(
                "a nudge",
                {"near": {**ref("share"), "description": "From which part of the threshold on."}},
                ("near",),
                description="Publishes who is near.",
            ),
            "continuity": continuity,
            "review": mapping(
                "a review", {"every": ref("duration")}, ("every",), description="How often its owner looks at it again."
            ),
            "report": mapping(
                "a report",
                {"by": list_of("properties", text("a property"), description="Properties of its events.")},
                ("by",),
                description="What reports break its leads down by.",
            ),
            "tests": _tests(),
        },
        ("pql", "why", "predicts"),
        oneOf=[{"required": ["qualify"]}, {"required": ["stages"]}],
        description="Which users or accounts are product-qualified.",
    )


def _language_defs() -> Schema:
    return {
        **shared_defs(),
        "window": text(
            "a window",
            pattern=f"^(ever|this month|{DURATION}( of .*[^ ])?)$",
            description="How far back to look. `... of EVENT` starts at the entity's first such event.",
            examples=["ever", "14 days of Account Created", "48h of Trial Started", "7 days", "30m", "this month"],
        ),
        "instant": text(
            "a moment",
            pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}:[0-9]{2})$",
            examples=["2026-03-01T09:00Z"],
        ),
        "signal_name": text("the name of a signal", pattern=f"^{SIGNAL_NAME}$"),
        "events": _EVENTS,
        "where": _WHERE,
        "signal": _signal(),
        "condition": _condition(),
        "score": list_of("a score", _score_item(), description="Points; the definition holds while there are enough."),
    }


DEFINITION_SCHEMA: Final[Schema] = {
    "$schema": DIALECT,
    "$id": "urn:assay:schema:definition",
    **_definition(),
    "$defs": _language_defs(),
}
