"""The worked definitions of the simulated product."""

from functools import cache
from pathlib import Path

from assay.contract.plan import Plan
from assay.plans import load_plan
from assay_collector.definitions_folder import load_catalogue
from assay_collector.pql.definition import Catalogue

FOLDER = Path(__file__).parents[2] / "schemas" / "planboard"


@cache
def plan() -> Plan:
    return load_plan(FOLDER / "plan")


@cache
def catalogue() -> Catalogue:
    return load_catalogue(FOLDER / "definitions", plan())
