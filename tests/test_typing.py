"""The SDK's types as its users see them: strict mypy and strict pyright pass good code and find what is wrong."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GOOD, BAD = ROOT / "tests" / "typing" / "good.py", ROOT / "tests" / "typing" / "bad.py"


def mypy(*files: Path) -> dict[tuple[str, int], str]:
    """What mypy says, by file and line."""
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", str(ROOT / "pyproject.toml")]
    done = subprocess.run([*command, *map(str, files)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    found = re.findall(r"^(\S+?):(\d+): error: (.*)$", done.stdout, re.MULTILINE)
    return {(Path(file).name, int(line)): message for file, line, message in found}


def pyright(folder: Path, *files: Path) -> dict[tuple[str, int], str]:
    """What pyright says in its strict mode, by file and line; basedpyright is pyright with the node it needs."""
    settings = folder / "pyrightconfig.json"
    settings.write_text(
        json.dumps(
            {
                "typeCheckingMode": "strict",
                "include": [str(file) for file in files],
                "extraPaths": [str(ROOT / "sdk")],
                "pythonVersion": "3.11",
            }
        )
    )
    command = [
        sys.executable,
        "-m",
        "basedpyright",
        "--outputjson",
        "-p",
        str(settings),
        "--pythonpath",
        sys.executable,
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return {
        (Path(each["file"]).name, each["range"]["start"]["line"] + 1): each["message"]
        for each in json.loads(done.stdout)["generalDiagnostics"]
        if each["severity"] == "error"
    }


@pytest.mark.parametrize("checker", ["mypy", "pyright"])
def test_strict_checkers_pass_good_code_and_find_what_is_wrong(checker, tmp_path):
    """Nothing is reported but the marked lines, and all of these."""
    found = mypy(GOOD, BAD) if checker == "mypy" else pyright(tmp_path, GOOD, BAD)
    lines = BAD.read_text().splitlines()
    marked = {(BAD.name, number) for number, line in enumerate(lines, 1) if line.endswith("# wrong")}

    assert marked == set(found), "\n".join(f"{place}: {message}" for place, message in sorted(found.items()))
