"""What the worked definitions of the specification are compiled to, clause by clause."""

from decimal import Decimal

from assay.contract.times import DAY, HOUR, MINUTE
from assay_collector.pql.comparators import Comparator, parse_comparator
from assay_collector.pql.definition import (
    ZONE,
    All,
    AnyOf,
    CalendarDays,
    CalendarMonth,
    Criterion,
    Definition,
    Ever,
    Lifecycle,
    Matcher,
    Members,
    NamedTrait,
    Points,
    Ratio,
    Requalify,
    Rung,
    Score,
    ScorePoints,
    Sequence,
    Signal,
    Subject,
    Trait,
    Use,
    Variant,
)
from pql.definitions import planboard, read, worked


def signal(scope: str, aggregate: str, event: str = "", of: str | None = None, **where: object) -> Signal:
    """A signal over one event, or over any."""
    tests = tuple((path, parse_comparator(test)) for path, test in where.items())
    return Signal(scope, aggregate, Matcher((event,) if event else (), tests), of)  # type: ignore[arg-type]


def days(number: int, ago: int = 0) -> CalendarDays:
    """So many calendar days of the project's time zone."""
    return CalendarDays(number, "UTC", ago, f"{number} days")


def uses(definition: Definition) -> dict[str, Subject]:
    """The named signals."""
    return {subject.name: subject for subject in definition.uses}


def criterion(subject: Subject, written: object) -> Criterion:
    """A test of a subject."""
    return Criterion(subject, parse_comparator(written))


def compiled(number: int) -> Definition:
    """A worked definition."""
    return read(worked(number), planboard())


def test_2_team_invites_must_hold_for_ten_minutes():
    """`hold` is a duration; nothing else of the lifecycle is set."""
    definition = compiled(2)
    invites = signal("account", "distinct", "Teammate Invited", "invitee_id", invitee_domain="not disposable")
    assert Lifecycle(hold=10 * MINUTE) == definition.lifecycle
    assert ["invites", "accepted"] == list(uses(definition))
    found = uses(definition)["invites"]
    assert isinstance(found, Use)
    assert (invites.aggregate, invites.of, Ever()) == (found.signal.aggregate, found.signal.of, found.window)
    assert ("none of", ("mailinator.example", "tempmail.example")) == (
        found.signal.matcher.where[0][1].operator,
        found.signal.matcher.where[0][1].operands,
    )


def test_4_practitioners_qualify_another_way():
    """A variant without a stage stands in for the whole."""
    definition = compiled(4)
    found = uses(definition)
    window = found["feature_x"].window
    assert ("7 days of Account Created", 7 * DAY) == (window.text, window.length)
    assert (
        Variant(
            "practitioner",
            when=criterion(Trait("user", "role"), "practitioner"),
            qualify=All(
                (
                    criterion(found["onboarded"], "at least 1"),
                    criterion(found["feature_x"], "at least 2"),
                    criterion(found["invites"], "at least 1"),
                )
            ),
        )
        == (definition.variants[0])
    )
    assert signal("user", "distinct", "Project Created", "project_id") == found["projects"].signal


def test_6_tiers_test_a_ratio_of_a_signal_and_a_trait():
    """The first tier that holds counts; per cents are fractions."""
    definition = compiled(6)
    used = Use("used", signal("user", "last", "Storage Measured", "used_bytes"), Ever())
    limit = NamedTrait("limit", Trait("user", "storage_limit_bytes"))
    fullness = Ratio("fullness", used, limit)
    devices = Use("devices", signal("user", "distinct", "File Synced", "device_id"), days(30))
    assert {"used": used, "limit": limit, "fullness": fullness, "devices": devices}.items() <= uses(definition).items()
    assert (
        Rung("hot", All((criterion(fullness, "at least 80%"), criterion(devices, "at least 2")))),
        Rung("warm", criterion(fullness, "at least 50%")),
    ) == definition.tiers
    assert (Decimal("0.8"),) == definition.tiers[0].qualify.of[0].test.operands
    # Thirty days are those of the account's time zone.
    assert frozenset({Trait("user", "storage_limit_bytes"), ZONE}) == definition.traits


def test_9_what_is_used_this_month_against_what_is_allowed():
    """Active days, a sum within the month, a ratio, a conversion and an exit of its own."""
    definition = compiled(9)
    month_use = Use("month_use", signal("user", "sum", "Premium Used", "units"), CalendarMonth("UTC"))
    usage = Ratio("usage", month_use, NamedTrait("allowance", Trait("user", "monthly_units")))
    habit = Use("habit", signal("user", "active_days", "Premium Used"), days(28), "UTC")
    assert {"habit": habit, "month_use": month_use, "usage": usage}.items() <= uses(definition).items()
    assert isinstance(definition.qualify, AnyOf)
    assert All((criterion(habit, "at least 4"), criterion(usage, "at least 100%"))) == definition.qualify.of[0]
    assert ("Invoice Requested", "Billing Details Added") == uses(definition)["invoice"].signal.matcher.events
    assert Lifecycle(
        exit=criterion(usage, "less than 80%"),
        convert=signal("user", "count", "Plan Upgraded"),
        requalify=Requalify(30 * DAY),
    ) == (definition.lifecycle)
    assert "converted" == definition.document["route"][0]["until"]


def test_10_two_windows_of_one_signal_and_a_mark_to_pass():
    """The same tally is read through two windows; 150% is one and a half times."""
    definition = compiled(10)
    people = signal("account", "distinct", of="user_id")
    now = Use("active_now", people, days(7))
    assert {"active_now": now, "active_then": Use("active_then", people, days(7, ago=14))}.items() <= (
        uses(definition).items()
    )
    assert Lifecycle(requalify=Requalify(60 * DAY, ((now, Decimal("1.5")),))) == definition.lifecycle
    assert (
        Use("billing", signal("account", "count", "Billing Viewed", role="admin"), days(14))
        == (uses(definition)["billing"])
    )


def test_11_a_score_of_members_caps_and_half_lives():
    """Its items in the order of the file, with where to enter and where to leave."""
    definition = compiled(11)
    regulars = Members(
        "regulars",
        Use("regulars", signal("account", "active_days"), days(7), "UTC"),
        parse_comparator("at least 3"),
    )
    admins = Members(
        "admins",
        Use("admins", signal("account", "count", "Report Run"), days(14)),
        parse_comparator("at least 1"),
        ((Trait("user", "role"), parse_comparator(["admin", "owner"])),),
    )
    pricing = Use("pricing", signal("account", "count", "Pricing Viewed"), days(30))
    reports = Use("reports", signal("account", "count", "Report Run"), days(30))
    onboarded = Use("onboarded", signal("account", "count", "Checklist Completed"), Ever())
    assert Score(
        (
            Points(Decimal(30), when=criterion(regulars, "at least 3")),
            Points(Decimal(15), when=criterion(admins, "at least 1")),
            Points(Decimal(15), when=criterion(onboarded, "at least 1")),
            Points(Decimal(6), each=pricing, cap=Decimal(18), half_life=7 * DAY),
            Points(Decimal(1), each=reports, cap=Decimal(12)),
            Points(Decimal(20), when=criterion(Trait("account", "employees"), "between 50 and 5000")),
            Points(Decimal(-20), when=criterion(Trait("account", "email_kind"), "personal")),
        ),
        enter=Decimal(60),
        leave=Decimal(45),
    ) == (definition.qualify)
    assert (Rung("A", criterion(ScorePoints(), "at least 80")), Rung("B", criterion(ScorePoints(), "at least 60"))) == (
        definition.tiers
    )
    assert ["bots", "competitors", "students"] == [each.name for each in definition.exclude]


def test_12_a_ladder_whose_second_rung_is_higher_for_enterprises():
    """Any stage qualifies; `since` is measured in microseconds."""
    definition = compiled(12)
    found = uses(definition)
    ask = Sequence(
        "ask",
        signal("account", "count", "Pricing Viewed"),
        signal("account", "count", "Contact Requested"),
        3 * DAY,
        Ever(),
    )
    quiet = Use("quiet", signal("account", "since"), Ever())
    assert {"ask": ask, "quiet": quiet}.items() <= found.items()
    engaged = criterion(found["source"], "at least 1")
    activated = All((engaged, criterion(found["flows"], "at least 1")))
    ready = All((criterion(found["reach"], "at least 10"), criterion(ask, "at least 1")))
    assert (Rung("engaged", engaged), Rung("activated", activated), Rung("expansion-ready", ready)) == definition.stages
    assert AnyOf((engaged, activated, ready)) == definition.qualify
    (variant,) = definition.variants
    assert ("enterprise", "activated", criterion(Trait("account", "employees"), "at least 500")) == (
        variant.name,
        variant.stage,
        variant.when,
    )
    assert Lifecycle(
        exit=Criterion(quiet, Comparator("more than", (Decimal(30 * DAY),), "more than 30 days")),
        requalify=Requalify(0),
    ) == (definition.lifecycle)


def test_7_levels_are_shares():
    """Ascending fractions."""
    assert (Decimal("0.4"), Decimal("0.7"), Decimal(1)) == compiled(7).levels


def test_8_what_decides_nothing_is_kept():
    """Expiry and cool-down decide; holdout, experiment and route are carried along."""
    definition = compiled(8)
    assert Lifecycle(expire=14 * DAY, requalify=Requalify(90 * DAY)) == definition.lifecycle
    assert 48 * HOUR == uses(definition)["projects"].window.length
    assert {"holdout", "experiment", "route"} <= set(definition.document)
