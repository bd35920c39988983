"""What is probably not meant with several definitions beside each other."""

from collections import Counter
from collections.abc import Iterator
from itertools import combinations
from typing import Final

from assay_collector.pql.compilation import Compilation, Source
from assay_collector.pql.definition import Definition
from assay_collector.pql.normal_form import criteria_in_use
from assay_collector.pql.problems import Problem, problem, quoted

# Two definitions that share more of their criteria than this are nearly the same.
_SHARED_PER_CENT_MAX: Final = 80


def lint_folder(compilation: Compilation) -> Iterator[Problem]:
    """The rules D207 and D208."""
    running = [(source, source.definition) for source in compilation.sources if source.definition is not None]
    yield from _overlapping(running)
    yield from _too_many(running, compilation.project.max_definitions_per_stage)


def _overlapping(running: list[tuple[Source, Definition]]) -> Iterator[Problem]:
    asked = {definition.id: criteria_in_use(definition) for _, definition in running}
    for (_, first), (source, second) in combinations(running, 2):
        one, other = asked[first.id], asked[second.id]
        shared, all_of_both = len(one & other), len(one | other)
        if first.id == second.id or first.entity != second.entity:
            continue
        if shared * 100 > all_of_both * _SHARED_PER_CENT_MAX:
            message = (
                f"{shared} of the {all_of_both} criteria of this and of {quoted(first.id)} ({first.file}) are the "
                "same; make them one definition, or let them differ"
            )
            yield problem(source.file, source.tree.at_key(("pql",)), "D207", message)


def _too_many(running: list[tuple[Source, Definition]], most: int) -> Iterator[Problem]:
    seen: Counter[str] = Counter()
    total = Counter(definition.stage for _, definition in running)
    for source, definition in running:
        seen[definition.stage] += 1
        if seen[definition.stage] == most + 1:
            message = (
                f"{total[definition.stage]} definitions are of the stage {quoted(definition.stage)}, and nobody keeps "
                f"more than {most} apart; retire some, or raise `max_definitions_per_stage` in project.yaml"
            )
            yield problem(source.file, source.tree.at(("pql", "stage")), "D208", message)
