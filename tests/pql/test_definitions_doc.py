"""The page that teaches the language: every block of it is loaded."""

import json
import re

import pytest

from assay_collector.pql.examples import run_examples
from assay_collector.pql.language import read_definitions
from assay_collector.pql.lint import lint_definitions
from pql.definitions import ROOT, planboard

PAGE = (ROOT / "docs" / "definitions.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
YAML = [text for language, text in BLOCKS if language == "yaml"]
(PROJECT,) = [text for text in YAML if text.startswith("project:")]
DEFINITIONS = [text for text in YAML if text.startswith("pql:")]


def test_every_block_is_of_a_kind_that_is_checked():
    """Definitions, one project, commands with what they print, an editor's settings, and one message."""
    assert len(YAML) == len(DEFINITIONS) + 1
    assert ["bash"] * 3 + ["text"] * 2 + ["json", ""] == [language for language, _ in BLOCKS if language != "yaml"]


def test_the_first_definition_lints_clean_and_meets_its_examples():
    """As the page says, to the letter."""
    (text,) = re.findall(r"<<'YAML'\n(.*?)^YAML$", PAGE, re.MULTILINE | re.DOTALL)
    expected, without_sign_up = [text for language, text in BLOCKS if language == "text"]
    (definition,) = read_definitions({"a.yaml": text}, planboard()).definitions
    results = run_examples(definition)

    assert () == lint_definitions({"a.yaml": text}, planboard())
    met = [f"met: {definition.id}: {result.name}" for result in results if not result.differences]
    assert expected.splitlines() == [*met, f"{len(results)} examples of 1 definitions"]
    definition.document["tests"][1]["given"].pop(0)
    _, result, _ = run_examples(definition)
    assert without_sign_up.splitlines() == [
        f"not met: {definition.id}: {result.name}",
        *(f"  {difference}" for difference in result.differences),
    ]


@pytest.mark.parametrize("text", DEFINITIONS, ids=lambda text: re.findall(r"id: ([\w-]+)", text)[0])
def test_every_definition_on_the_page_runs(text: str):
    """Against the simulated product's plan and the page's own project; only its missing example is warned of."""
    documents = {"a.yaml": text, "project.yaml": PROJECT}

    (definition,) = read_definitions(documents, planboard()).definitions

    assert definition.hash
    assert {"D204"} >= {problem.rule for problem in lint_definitions(documents, planboard())}


def test_the_definitions_on_the_page_fit_into_one_folder():
    """Their ids differ."""
    documents = {f"{number}.yaml": text for number, text in enumerate(DEFINITIONS)} | {"project.yaml": PROJECT}
    assert len(DEFINITIONS) == len(read_definitions(documents, planboard()).definitions)


def test_the_editors_settings_name_real_schemas():
    """Each of them lies in the repository."""
    (settings,) = [json.loads(text) for language, text in BLOCKS if language == "json"]
    assert all((ROOT / path).is_file() for path in settings["yaml.schemas"])


def test_the_message_on_the_page_is_a_real_one():
    """It is what lint says of such a line."""
    (message,) = [text.strip() for language, text in BLOCKS if not language]
    text = (
        "pql: {id: a, version: 1, entity: account, stage: activation, owner: devrel}\n"
        "why: Because.\n"
        "predicts: {event: Subscription Started, within: 30 days}\n"
        "# The first success.\n"
        "signals:\n"
        "  p: {count: API Called, where: {envv: production}}\n"
        "qualify: {p: at least 1}\n"
    )
    assert message in map(str, lint_definitions({"a.yaml": text}, planboard()))
