"""Tracking plans in folders: the only place that reads a plan from disk."""

from pathlib import Path

from assay.contract.plan import Plan, PlanError, PlanProblem
from assay.contract.strict_json import DOCUMENT_BYTES_MAX

_PATTERNS = ("plan.json", "events/**/*.json", "types/**/*.json")


def load_plan(folder: Path) -> Plan:
    """
    Load and check the plan in a folder. Only ``plan.json`` and what lies in ``events`` and ``types`` is read.

    Raises:
        PlanError: With everything that is wrong, by file and JSON pointer; a folder that is missing is one problem.
    """
    return Plan.from_documents(read_plan_folder(folder))


def read_plan_folder(folder: Path) -> dict[str, bytes]:
    """
    Read a plan's files without checking them.

    Returns:
        Path relative to the folder, with ``/`` -> content, cut one byte past the size that a document may have.

    Raises:
        PlanError: The folder or a file in it cannot be read.
    """
    if not folder.is_dir():
        what = "is no folder" if folder.exists() else "does not exist"
        raise PlanError((PlanProblem(str(folder), "", f"{what}; a plan is a folder with plan.json in it"),))
    documents: dict[str, bytes] = {}
    problems: list[PlanProblem] = []
    for path in sorted({path for pattern in _PATTERNS for path in folder.glob(pattern) if path.is_file()}):
        file = path.relative_to(folder).as_posix()
        try:
            with path.open("rb") as stream:
                # A document one byte too long is enough to be refused, however long it is.
                documents[file] = stream.read(DOCUMENT_BYTES_MAX + 1)
        except OSError as error:
            problems.append(PlanProblem(file, "", f"cannot be read: {error.strerror}"))
    if problems:
        raise PlanError(tuple(problems))
    return documents
