"""
Drives somebody else's Python client, unmodified: `python_client.py MODULE < orders`.

Orders are JSON documents, one a line: first the arguments of the client, then one call after another. When all are
made, the client is flushed, and what it reported as failed is printed. Runs with the client's own folder on PYTHONPATH
and imports nothing of ours.
"""

import importlib
import json
import sys
from datetime import datetime


def main() -> None:
    orders = map(json.loads, sys.stdin)
    failures = []
    client = importlib.import_module(sys.argv[1]).Client(
        on_error=lambda error, batch: failures.append({"error": str(error), "messages": len(batch)}), **next(orders)
    )
    for order in orders:
        arguments = order["arguments"]
        if "timestamp" in arguments:
            arguments["timestamp"] = datetime.fromisoformat(arguments["timestamp"])
        getattr(client, order["call"])(**arguments)
    client.flush()
    client.join()
    print(json.dumps(failures))


if __name__ == "__main__":
    main()
