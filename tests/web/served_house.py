"""The house for a real server; /recorded says what its ingest stage took in, and makes it forget."""

from flask import Response
from test_wire_cases import recorded_by
from web_parts import make_house

from assay_collector.web.replies import to_json

house = make_house()
app = house.app


@app.get("/recorded")
def _recorded() -> Response:
    record = recorded_by(house)
    house.ingest.stored.clear()
    house.ingest.quarantined.clear()
    return Response(to_json(record.__dict__), content_type="application/json")
