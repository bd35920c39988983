"""All benchmarks, one after the other, each with its baseline in the same run."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = ("track", "delivery", "import_time", "ingest", "single", "plan", "history", "lag", "rights")


def main() -> None:
    for script in SCRIPTS:
        subprocess.run([sys.executable, "-m", f"benchmarks.{script}", *sys.argv[1:]], cwd=ROOT, check=True)


if __name__ == "__main__":
    main()
