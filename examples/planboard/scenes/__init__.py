"""
The planted scenes: for each definition, entities whose fate is known by construction.

Each scene has people and accounts of its own, and says what must become of them. `truth.recount` must agree, and so
must the collector.
"""

from collections.abc import Iterator

from examples.planboard.scenes import (
    composite_onboarding,
    production_call,
    storage_upgrade,
    team_invites,
    team_messaging_depth,
    trial_activation,
    trial_high_intent,
    workspace_activated,
)
from examples.planboard.scenes.stage import Kind, Plant, Stage

__all__ = ["Kind", "Plant", "Stage", "plant_all"]


def plant_all(stage: Stage) -> Iterator[Plant]:
    """Play every scene of every definition once."""
    yield from trial_activation.plant(stage)
    yield from team_invites.plant(stage)
    yield from production_call.plant(stage)
    yield from team_messaging_depth.plant(stage)
    yield from workspace_activated.plant(stage)
    yield from trial_high_intent.plant(stage)
    yield from composite_onboarding.plant(stage)
    yield from storage_upgrade.plant(stage)
