"""The built wheel, installed alone: the base install is whole, and says in one line what it leaves out."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Building and installing takes seconds: with several workers, one of them runs all of this file.
pytestmark = pytest.mark.xdist_group("wheel")


def run(*words: str | Path, cwd: Path | None = None) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [str(word) for word in words], cwd=cwd, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, built as for a release."""
    folder = tmp_path_factory.mktemp("dist")
    built = run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT)
    assert 0 == built.returncode, built.stderr
    (wheel,) = folder.glob("assay-*.whl")
    return wheel


@pytest.fixture(scope="module")
def base(wheel, tmp_path_factory) -> Path:
    """The programs of a new environment with the wheel and no extra."""
    folder = tmp_path_factory.mktemp("base")
    assert 0 == run(sys.executable, "-m", "venv", "--without-pip", folder).returncode
    pip = (sys.executable, "-m", "pip", "--python", folder / "bin" / "python")
    installed = run(*pip, "install", "--quiet", "--no-compile", wheel)
    assert 0 == installed.returncode, installed.stderr
    return folder / "bin"


def test_the_wheel_holds_schemas_types_and_license(wheel):
    """What the code needs beside code is in the wheel, and nothing that is only for developers."""
    names = zipfile.ZipFile(wheel).namelist()
    schemas = [path for path in (ROOT / "schemas").rglob("*") if path.is_file()]

    assert {f"assay/schemas/{path.relative_to(ROOT / 'schemas').as_posix()}" for path in schemas} <= set(names)
    assert {"assay/py.typed", "assay_collector/py.typed"} <= set(names)
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert {"assay", "assay_collector"} == {name.split("/")[0] for name in names if ".dist-info" not in name}


def test_the_base_install_has_the_sdk(base, tmp_path):
    """The SDK imports, with its public names and its version."""
    script = "import assay, assay.testing; print(assay.Client.__name__, assay.__version__)"

    said = run(base / "python", "-W", "error", "-c", script, cwd=tmp_path)

    assert "" == said.stderr
    assert "Client" == said.stdout.split()[0]


def test_the_base_install_knows_the_command_line(base, tmp_path):
    """`assay --help`, `assay --version` and `assay settings` need no extra."""
    assert "Commands:" in run(base / "assay", "--help", cwd=tmp_path).stdout
    assert run(base / "assay", "--version", cwd=tmp_path).stdout.startswith("assay ")
    assert "port = 8080" in run(base / "assay", "settings", cwd=tmp_path).stdout


def test_the_base_install_checks_events(base, tmp_path):
    """`assay check` judges events by a plan, without the collector."""
    events = tmp_path / "events.ndjson"
    event = {"type": "track", "event": "No Such Event", "userId": "ann", "properties": {}}
    events.write_text(json.dumps(event) + "\n")

    checked = run(base / "assay", "check", events, "--plan", ROOT / "schemas" / "planboard" / "plan", cwd=tmp_path)

    assert 1 == checked.returncode, checked.stderr
    assert "No Such Event" in checked.stdout


@pytest.mark.parametrize("command", ["serve", "counts", "quarantine", "leads", "verify"])
def test_the_base_install_names_the_missing_extra(base, tmp_path, command):
    """What needs the collector says so in one line, with the command that helps."""
    (tmp_path / "assay.db").touch()

    refused = run(base / "assay", command, cwd=tmp_path)

    assert f"Error: assay {command} needs the collector extra: pip install 'assay[collector]'\n" == refused.stderr
    assert 2 == refused.returncode
