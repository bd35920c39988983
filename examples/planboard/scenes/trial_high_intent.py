"""Accounts on trial that do, or do not quite, set themselves up within 48 hours."""

from collections.abc import Iterator
from dataclasses import replace

from examples.planboard.scenes.accounts import Recipe, plant_common
from examples.planboard.scenes.stage import Kind, Plant, Stage, Team
from examples.planboard.world import COMPETITOR_DOMAINS, DAY, HOUR, MINUTE

ID = "trial-high-intent"
WINDOW = 48 * HOUR
LASTS = 14 * DAY
TRIAL = {"plan_state": "trial"}


def plant(stage: Stage) -> Iterator[Plant]:
    """Play every scene once."""
    for plant in _plants(stage):
        yield plant if plant.since is None else replace(plant, until=plant.since + LASTS)


def _plants(stage: Stage) -> Iterator[Plant]:
    yield from plant_common(stage, RECIPE)
    for scene in (near_miss, edge_start, edge_end, duplicate, not_for_us, eligibility, late_eligibility, open_now):
        yield from scene(stage)


def _one_project_short(stage: Stage, team: Team) -> None:
    # The billing system starts the trial, a moment after the sign-up, and names the account.
    stage.does(team.owner, "Trial Started", team.at + MINUTE, {"groupId": team.account.account_id}, exact=True)
    _sets_up(stage, team, projects=2)


def _sets_up(stage: Stage, team: Team, projects: int) -> None:
    """Two invitations and a data source, and this many projects, one an hour from the fourth hour on."""
    for hours in (1, 2):
        stage.does(team.owner, "Teammate Invited", team.at + hours * HOUR)
    stage.does(team.owner, "Integration Connected", team.at + 3 * HOUR)
    for hours in range(4, 4 + projects):
        stage.does(team.owner, "Project Created", team.at + hours * HOUR)


RECIPE = Recipe(
    definition=ID,
    nearly=_one_project_short,
    last_event="Project Created",
    finish=40 * HOUR,
    spoilt={"template": "kanban"},
    traits=TRIAL,
)


def near_miss(stage: Stage) -> Iterator[Plant]:
    wrong_kind = stage.founds(stage.start(), traits=TRIAL)
    stage.does(wrong_kind.owner, "Trial Started", wrong_kind.at + MINUTE)
    for hours in range(2, 5):
        stage.does(wrong_kind.owner, "Project Created", wrong_kind.at + hours * HOUR)
        stage.does(wrong_kind.owner, "Teammate Invited", wrong_kind.at + hours * HOUR)
    stage.does(wrong_kind.owner, "Integration Connected", wrong_kind.at + 5 * HOUR, {"kind": "chat"})
    yield Plant(ID, Kind.NEAR_MISS, wrong_kind.entity, None)
    # A second trial opens no second window.
    twice = RECIPE.team(stage)
    stage.does(twice.owner, "Trial Started", twice.at + 10 * DAY)
    _sets_up(stage, Team(twice.account, twice.owner, twice.at + 10 * DAY), projects=3)
    yield Plant(ID, Kind.NEAR_MISS, twice.entity, None)


def edge_start(stage: Stage) -> Iterator[Plant]:
    for offset, qualifies in ((0, True), (-1, False)):
        team = stage.founds(stage.start(), traits=TRIAL, exact=True)
        trial = team.at + 30 * MINUTE
        stage.does(team.owner, "Trial Started", trial, exact=True)
        stage.does(team.owner, "Project Created", trial + offset, exact=True)
        _sets_up(stage, team, projects=2)
        yield Plant(ID, Kind.EDGE_START, team.entity, team.at + 5 * HOUR if qualifies else None)


def edge_end(stage: Stage) -> Iterator[Plant]:
    for offset, qualifies in ((-1, True), (0, False)):
        team = RECIPE.team(stage)
        end = team.at + MINUTE + WINDOW + offset
        stage.does(team.owner, "Project Created", end, exact=True)
        yield Plant(ID, Kind.EDGE_END, team.entity, end if qualifies else None)


def duplicate(stage: Stage) -> Iterator[Plant]:
    team = stage.founds(stage.start(), traits=TRIAL)
    stage.does(team.owner, "Trial Started", team.at + MINUTE, twice=True)
    _sets_up(stage, team, projects=1)
    stage.does(team.owner, "Project Created", team.at + 6 * HOUR, twice=True)
    yield Plant(ID, Kind.DUPLICATE, team.entity, None)


def not_for_us(stage: Stage) -> Iterator[Plant]:
    """Competitors and students, who are welcome to any other definition."""
    rival = RECIPE.team(stage, domain=COMPETITOR_DOMAINS[0])
    school = RECIPE.team(stage, segment="education")
    # Known for a rival only by a late correction of its domain.
    disguised = RECIPE.team(stage)
    rename = {"domain": COMPETITOR_DOMAINS[1]}
    stage.diary.group(disguised.owner, disguised.account, disguised.at + 3 * DAY, rename, late=True)
    for team in (rival, school, disguised):
        RECIPE.last_step(stage, team.owner, team)
        yield RECIPE.plant(Kind.EXCLUDED, team, qualifies=False)


def eligibility(stage: Stage) -> Iterator[Plant]:
    paid_before = RECIPE.team(stage)
    RECIPE.last_step(stage, paid_before.owner, paid_before)
    _billing(stage, paid_before, 30 * HOUR, "paid")
    yield RECIPE.plant(Kind.ELIGIBLE, paid_before, qualifies=False)
    # Paying afterwards takes nothing back: eligibility is asked at the entry only.
    paid_after = RECIPE.team(stage)
    RECIPE.last_step(stage, paid_after.owner, paid_after)
    _billing(stage, paid_after, 60 * HOUR, "paid")
    yield RECIPE.plant(Kind.ELIGIBLE, paid_after, qualifies=True)
    # Nobody ever said what state its plan is in: unknown is not qualified.
    unknown = stage.founds(stage.start())
    stage.does(unknown.owner, "Trial Started", unknown.at + MINUTE)
    _sets_up(stage, unknown, projects=3)
    yield Plant(ID, Kind.ELIGIBLE, unknown.entity, None)
    # Free while it set itself up, on trial from the fifth day on: it qualifies then.
    free_at_first = stage.founds(stage.start(), traits={"plan_state": "free"})
    stage.does(free_at_first.owner, "Trial Started", free_at_first.at + MINUTE)
    _sets_up(stage, free_at_first, projects=3)
    _billing(stage, free_at_first, 5 * DAY, "trial")
    yield Plant(ID, Kind.ELIGIBLE, free_at_first.entity, free_at_first.at + 5 * DAY)


def late_eligibility(stage: Stage) -> Iterator[Plant]:
    # That it was on trial is heard of last, and holds from when it was said.
    team = stage.founds(stage.start())
    stage.does(team.owner, "Trial Started", team.at + MINUTE)
    _sets_up(stage, team, projects=3)
    _billing(stage, team, 30 * MINUTE, "trial", late=True)
    yield Plant(ID, Kind.LATE, team.entity, team.at + 6 * HOUR)
    # That it had paid is heard of last: what had qualified has to be taken back.
    team = RECIPE.team(stage)
    RECIPE.last_step(stage, team.owner, team)
    _billing(stage, team, 35 * HOUR, "paid", late=True)
    yield Plant(ID, Kind.LATE, team.entity, None)


def open_now(stage: Stage) -> Iterator[Plant]:
    # All other leads of this definition are so old that they have expired; these have not.
    for _ in range(3):
        team = stage.founds(stage.recently(), traits=TRIAL)
        _one_project_short(stage, team)
        RECIPE.last_step(stage, team.owner, team)
        yield RECIPE.plant(Kind.OPEN, team, qualifies=True)


def _billing(stage: Stage, team: Team, after: int, plan_state: str, *, late: bool = False) -> None:
    stage.diary.group(team.owner, team.account, team.at + after, {"plan_state": plan_state}, late=late)
