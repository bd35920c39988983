"""
How long an import takes, each in a new process: ours beside other SDKs that are installed, less the bare interpreter.

    python benchmarks/import_time.py [--turns 15]
"""

import argparse
import importlib.util
import statistics
import subprocess
import sys
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
    found: dict[str, list[float]] = {module: [] for module in present}
    for _ in range(turns):
        bare = _milliseconds("pass")
        for module in present:
            found[module].append(_milliseconds(f"import {module}") - bare)
    for module, times in found.items():
        limit = f"   at most {AT_MOST_MS:.0f}" if module == "assay" else ""
        print(
            f"import {module:24} {statistics.median(times):8.1f} ms   from {min(times):.1f} to {max(times):.1f}{limit}"
        )


def _milliseconds(code: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return (time.perf_counter() - start) * 1e3


if __name__ == "__main__":
    main()
