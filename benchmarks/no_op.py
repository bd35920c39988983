"""The baseline for single requests: a Flask application that reads the body and answers, on granian."""

import sys

from flask import Flask, request
from granian import Granian
from granian.constants import HTTPModes, Interfaces

from assay_collector.settings import Settings

app = Flask("no_op")


@app.post("/v1/track")
def track() -> dict[str, bool]:
    """Do nothing with an event."""
    request.get_data()
    return {"success": True}


if __name__ == "__main__":
    Granian(
        "benchmarks.no_op:app",
        address="127.0.0.1",
        port=int(sys.argv[1]),
        interface=Interfaces.WSGI,
        workers=1,
        blocking_threads=Settings().threads,
        http=HTTPModes.http1,
        websockets=False,
        log_enabled=False,
    ).serve()
