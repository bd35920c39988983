"""
How long an import takes, each in a new process: ours beside other SDKs that are installed, less the bare interpreter.

    python benchmarks/import_time.py [--turns 15]

Each module is imported from bytecode, as where pip has installed it: a first import, not counted, writes that into a
folder of the benchmark's own. Else a checkout in an environment that forbids bytecode would be compiled at each import,
and compared with packages that are not.
"""

import argparse
import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile
import time

MODULES = (
    "assay",
    "segment.analytics",
    "rudderstack.analytics",
    "posthog",
    "amplitude",
    "mixpanel",
    "snowplow_tracker",
)
AT_MOST_MS = 100.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=15)
    turns = parser.parse_args().turns
    present = [module for module in MODULES if importlib.util.find_spec(module.partition(".")[0])]
    with tempfile.TemporaryDirectory() as bytecode:
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": bytecode}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        found = measured(present, turns, environment)
    for module, times in found.items():
        limit = f"   at most {AT_MOST_MS:.0f}" if module == "assay" else ""
        print(
            f"import {module:24} {statistics.median(times):8.1f} ms   from {min(times):.1f} to {max(times):.1f}{limit}"
        )


def measured(modules: list[str], turns: int, environment: dict[str, str]) -> dict[str, list[float]]:
    """Milliseconds of each module's imports above those of an empty program in the same turn."""
    for module in modules:
        _milliseconds(f"import {module}", environment)
    found: dict[str, list[float]] = {module: [] for module in modules}
    for _ in range(turns):
        bare = _milliseconds("pass", environment)
        for module in modules:
            found[module].append(_milliseconds(f"import {module}", environment) - bare)
    return found


def _milliseconds(code: str, environment: dict[str, str]) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
    return (time.perf_counter() - start) * 1e3


if __name__ == "__main__":
    main()
