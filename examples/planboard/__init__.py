"""Planboard: a simulated project-management product, with planted truth."""

from examples.planboard.faults import Faults
from examples.planboard.messages import Message
from examples.planboard.simulation import DEFAULT_NOW, Counts, Simulation, build
from examples.planboard.truth import DEFINITIONS, Entity, Truth

__all__ = ["DEFAULT_NOW", "DEFINITIONS", "Counts", "Entity", "Faults", "Message", "Simulation", "Truth", "build"]
