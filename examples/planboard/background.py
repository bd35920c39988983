"""Everyday life: accounts that sign up, look around, work, pay or leave, with no fate planted for them."""

from random import Random
from typing import Unpack

from examples.planboard.messages import How
from examples.planboard.scenes.stage import MILLISECOND, Stage, Team
from examples.planboard.world import COMPETITOR_DOMAINS, DAY, HOUR, MINUTE, STAFF_DOMAIN, Person

# What a member does on an active day, and how often compared with the rest.
_WORK = {
    "Signed In": 6,
    "Task Added": 6,
    "Task Assigned": 4,
    "Task Completed": 5,
    "Comment Added": 4,
    "Message Sent": 8,
    "Project Created": 2,
    "Document Created": 2,
    "Document Shared": 1,
    "Asset Uploaded": 1,
    "File Uploaded": 1,
    "App Installed": 0.3,
    "Search Performed": 2,
    "Storage Measured": 1,
    "Calendar Created": 0.4,
    "Feature X Used": 1,
    "Premium Used": 1,
    "Report Run": 0.5,
    "Automation Created": 0.3,
    "Project Opened": 0.2,
}
# What an owner does besides.
_MANAGEMENT = {
    "Teammate Invited": 3,
    "Member Invited": 1,
    "Integration Connected": 1.5,
    "Onboarding Completed": 1,
    "Pricing Viewed": 1.5,
    "Billing Viewed": 1,
}
_CALLS = (("development", 200), ("development", 401), ("staging", 200), ("production", 403), ("production", 200))


class Background:
    """Plays ordinary accounts on a stage. Draws from a generator of its own."""

    def __init__(self, stage: Stage, rng: Random, *, denied_share: float) -> None:
        self._stage = stage
        self._rng = rng
        self._denied_share = denied_share

    def account(self) -> None:
        """One account's first weeks. A few are test accounts, competitors or schools."""
        rng, stage = self._rng, self._stage
        draw = rng.random()
        account = stage.world.account(
            test=draw < 0.03,
            domain=rng.choice(COMPETITOR_DOMAINS) if 0.03 <= draw < 0.05 else None,
            segment="education" if 0.05 <= draw < 0.08 else None,
        )
        on_trial = rng.random() < 0.5
        team = stage.founds(stage.start(), account, {"plan_state": "trial" if on_trial else "free"})
        if on_trial:
            stage.does(team.owner, "Trial Started", team.at + MINUTE, {"groupId": account.account_id})
        eager = rng.choice([0, 0, 1, 1, 1, 2, 3])  # how much happens at all
        self._works(team, team.owner, days=1 + 2 * eager, management=True)
        for _ in range(rng.randrange(1 + 2 * eager)):
            self._member(team, days=1 + eager)
        if eager and rng.random() < 0.35:
            self._calls_api(team)
        if on_trial and eager and rng.random() < 0.4:
            self._pays(team)

    def visitor(self) -> None:
        """Somebody who reads a few pages and never signs up."""
        person = self._stage.world.person("unknown.example")
        at = self._stage.start()
        for path in self._rng.sample(["/", "/pricing", "/features", "/blog", "/docs"], k=self._rng.randrange(1, 4)):
            at += self._rng.randrange(5_000, 200_000) * MILLISECOND
            self._stage.diary.page(person, path, at, ids="anonymous")

    def bot(self) -> None:
        """A script with an account of its own, that does all the right things far too fast."""
        stage = self._stage
        account = stage.world.account()
        at = stage.start()
        bot = stage.signs_up(at, account.domain, bot=True)
        stage.diary.group(bot, account, at + MINUTE)
        for i, event in enumerate(("Project Created", "Task Assigned", "Task Assigned", "Task Assigned", "API Called")):
            stage.does(bot, event, at + 2 * MINUTE + i * 100 * MILLISECOND)

    def staff(self) -> None:
        """One of our own, who works in the product and looks into it every day."""
        person = self._stage.signs_up(self._stage.start(), STAFF_DOMAIN)
        at = self._stage.start()
        for event in ("Project Created", "Task Assigned", "Message Sent", "API Called"):
            at += HOUR
            self._stage.does(person, event, at)

    def _member(self, team: Team, days: int) -> None:
        stage, rng = self._stage, self._rng
        denies = rng.random() < self._denied_share
        how: How = {"scoring": False} if denies else {"scoring": True} if rng.random() < 0.3 else {}
        at = team.at + rng.randrange(HOUR // MILLISECOND, 6 * DAY // MILLISECOND) * MILLISECOND
        if rng.random() < 0.5:
            member = stage.joins(team, at, **how)
        else:  # signs up like anybody else, and is in the account a little later
            member = stage.signs_up(at, team.account.domain, **how)
            stage.diary.group(member, team.account, at + 5 * MINUTE, **how)
        if rng.random() < 0.6:
            accepted = {"invitee_id": member.user_id, "groupId": team.account.account_id}
            stage.does(member, "Invite Accepted", at + 6 * MINUTE, accepted, **how)
        self._works(Team(team.account, team.owner, at), member, days, **how)

    def _works(self, team: Team, who: Person, days: int, *, management: bool = False, **how: Unpack[How]) -> None:
        stage, rng = self._stage, self._rng
        what = {**_WORK, **(_MANAGEMENT if management else {})}
        if team.account.test:
            # Whether a user of a test account is a test user is not the simulator's to say: none gets that far.
            for last_step in ("Task Assigned", "Onboarding Completed", "App Installed"):
                what.pop(last_step, None)
        names, weights = list(what), list(what.values())
        if rng.random() < 0.3:
            how = {**how, "named": team.account}  # some clients always name the account
        for day in range(days):
            at = team.at + day * rng.randrange(1, 4) * DAY + 10 * MINUTE
            stage.diary.page(who, "/board", at, **how)
            for event in rng.choices(names, weights, k=rng.randrange(1, 6)):
                at += rng.randrange(5_000, 3_000_000) * MILLISECOND
                stage.does(who, event, at, **how)

    def _calls_api(self, team: Team) -> None:
        rng = self._rng
        at = team.at + HOUR
        for env, status in rng.sample(_CALLS, k=rng.randrange(1, 5)):
            at += rng.randrange(60_000, 90_000_000) * MILLISECOND
            call = {"env": env, "status": status, "language": rng.choice(["python", "go", "typescript"])}
            self._stage.does(team.owner, "API Called", at, call)

    def _pays(self, team: Team) -> None:
        stage, rng = self._stage, self._rng
        at = team.at + rng.randrange(10, 20 * 24) * HOUR + 7 * MINUTE
        billing = {"groupId": team.account.account_id}
        stage.does(team.owner, "Subscription Started", at, billing)
        stage.diary.group(team.owner, team.account, at + MINUTE, {"plan_state": "paid", "plan": "team"})
        if rng.random() < 0.3:
            stage.does(team.owner, rng.choice(["Plan Upgraded", "Seats Added"]), at + 3 * DAY, billing)
