"""Pages of documentation as programs: their blocks in order, and a place to run them."""

import json
import os
import re
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<code>.*?)^ *```$", re.MULTILINE | re.DOTALL)
_NOT_RUN = re.compile(r"<!-- not run: (?P<reason>[^\n]+?) -->\s*\Z")
_COLLECTOR = re.compile(r"<!-- collector: (?P<flags>[^\n]+?) -->")
_SHELLS = ("bash", "console", "sh", "shell")
_BLOCK_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code that is for running."""

    page: str
    line: int
    language: str  # python | bash
    code: str
    not_run: str | None  # the reason

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks_of(page: Path) -> list[Block]:
    """
    The page's blocks of Python and shell.

    A comment ``<!-- not run: reason -->`` before a block leaves it out.
    """
    text = page.read_text(encoding="utf-8")
    found = []
    for fence in _FENCE.finditer(text):
        language = fence["language"]
        if language != "python" and language not in _SHELLS:
            continue
        code = textwrap.dedent(fence["code"])
        reason = _NOT_RUN.search(text[: fence.start()])
        found.append(
            Block(
                page=page.relative_to(ROOT).as_posix(),
                line=text.count("\n", 0, fence.start()) + 1,
                language="python" if language == "python" else "bash",
                code=_commands(code) if language == "console" else code,
                not_run=reason["reason"] if reason else None,
            )
        )
    return found


def collector_flags(page: Path) -> list[str]:
    """How the page's collector is started: ``<!-- collector: --plan schemas/planboard/plan -->``."""
    wanted = _COLLECTOR.search(page.read_text(encoding="utf-8"))
    return wanted["flags"].split() if wanted else []


def _commands(session: str) -> str:
    """What was typed in a session: the lines after ``$``, with their continuations."""
    typed: list[str] = []
    for line in session.splitlines():
        if line.startswith("$ "):
            typed.append(line[2:])
        elif typed and typed[-1].endswith("\\"):
            typed.append(line.removeprefix("> "))
    return "\n".join(typed) + "\n"


class Desk:
    """
    Where a page's blocks run, one after the other: one folder, one shell's variables, one Python.

    Words of the page are replaced by what they stand for here, e.g. its port by the running collector's.
    """

    def __init__(self, folder: Path, words: dict[str, str], environment: dict[str, str]) -> None:
        self._folder = folder
        self._words = words
        self._environment = {**environment, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        for name in ("schemas", "examples"):
            (folder / name).symlink_to(ROOT / name)
        self._python = subprocess.Popen(
            [sys.executable, "-c", _PYTHON],
            cwd=folder,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, block: Block) -> str | None:
        """Run a block; returns what it said if it failed."""
        code = block.code
        for word, meaning in self._words.items():
            code = code.replace(word, meaning)
        return self._run_python(code) if block.language == "python" else self._run_shell(code)

    def close(self) -> None:
        """End Python as at the end of a script."""
        self._python.communicate(timeout=60)

    def _run_python(self, code: str) -> str | None:
        self._python.stdin.write(json.dumps({"code": code, "environment": self._environment}) + "\n")
        self._python.stdin.flush()
        said = []
        for line in self._python.stdout:
            if line in (_GOOD, _BAD):
                return None if line == _GOOD else "".join(said)
            said.append(line)
        return "".join(said) or "Python ended"

    def _run_shell(self, code: str) -> str | None:
        # The variables are handed on to the next block, as in one terminal.
        script = f"set -euo pipefail\n{code}\nenv -0 > .environment\n"
        ended = subprocess.run(
            ["bash", "-c", script],
            cwd=self._folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_BLOCK_SECONDS,
            check=False,
        )
        if ended.returncode:
            return f"{ended.stdout}\nexit code {ended.returncode}"
        pairs = (self._folder / ".environment").read_text().split("\0")
        self._environment = dict(pair.split("=", 1) for pair in pairs if pair)
        return None


_GOOD, _BAD = "--- good ---\n", "--- bad ---\n"
_PYTHON = f"""
import json, os, sys, traceback
names = {{"__name__": "__main__"}}
for line in sys.stdin:
    order = json.loads(line)
    os.environ.update(order["environment"])
    try:
        exec(compile(order["code"], "<page>", "exec"), names)
        said = {_GOOD!r}
    except BaseException:
        traceback.print_exc(file=sys.stdout)
        said = {_BAD!r}
    sys.stdout.write(said)
    sys.stdout.flush()
"""
