"""The simulated product lies beside the packages, not in them; tests reach it from the repository's root."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))
