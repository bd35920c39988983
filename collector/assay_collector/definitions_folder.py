"""Definitions in folders: the only place that reads them from disk."""

from pathlib import Path

from assay.contract.plan import Plan
from assay_collector.pql.definition import Catalogue
from assay_collector.pql.language import read_definitions
from assay_collector.pql.problems import DefinitionProblems, Problem
from assay_collector.pql.yaml_tree import CHARACTERS_MAX

_PATTERNS = ("*.yaml", "*.yml")
# UTF-8 takes at most four bytes for a character.
_BYTES_MAX = 4 * CHARACTERS_MAX


def load_catalogue(folder: Path, plan: Plan | None = None) -> Catalogue:
    """
    Load and check the definitions of a folder: its ``*.yaml`` and ``*.yml``, not those of folders inside.

    Raises:
        DefinitionProblems: With everything that is wrong, by file, line and column.
    """
    return read_definitions(read_definitions_folder(folder), plan)


def read_definitions_folder(folder: Path) -> dict[str, str]:
    """
    Read a folder's definitions without checking them.

    Returns:
        Name of the file -> its text, cut where it is longer than any definition may be.

    Raises:
        DefinitionProblems: The folder or a file in it cannot be read, or is not UTF-8.
    """
    if not folder.is_dir():
        what = "is no folder" if folder.exists() else "does not exist"
        raise DefinitionProblems((_unreadable(str(folder), f"{what}; definitions are YAML files in a folder"),))
    documents: dict[str, str] = {}
    problems: list[Problem] = []
    for path in sorted({path for pattern in _PATTERNS for path in folder.glob(pattern) if path.is_file()}):
        try:
            documents[path.name] = _read(path)
        except OSError as error:
            problems.append(_unreadable(path.name, f"cannot be read: {error.strerror}"))
        except UnicodeDecodeError as error:
            problems.append(_not_utf8(path.name, error))
    if problems:
        raise DefinitionProblems(tuple(problems))
    return documents


def _read(path: Path) -> str:
    with path.open("rb") as stream:
        data = stream.read(_BYTES_MAX + 1)
    # A text that is cut is too long in any case, so the reader refuses it, whatever its last character was.
    return data.decode("utf-8", "ignore" if len(data) > _BYTES_MAX else "strict")


def _not_utf8(file: str, error: UnicodeDecodeError) -> Problem:
    before = error.object[: error.start]
    line = before.count(b"\n") + 1
    column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
    return Problem(file, line, column, "D001", f"not UTF-8: {error.reason}; save the file as UTF-8")


def _unreadable(file: str, message: str) -> Problem:
    return Problem(file, 1, 1, "D001", message)
