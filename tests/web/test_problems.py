"""Errors: when to come back, what is said, and what is kept to ourselves."""

import io
import json
import logging

import pytest
from web_parts import SERVER_KEY, House, make_house

from assay_collector.web.logs import JsonFormatter, install, log
from assay_collector.web.problems import retry_after_seconds

SECRET = "a secret that was sent"
MESSAGE = {"event": SECRET, "userId": SECRET, "messageId": "m", "writeKey": SERVER_KEY}


@pytest.mark.parametrize(("random", "seconds"), [(0.0, 5), (0.5, 18), (0.999999, 30)])
def test_when_to_come_back(random: float, seconds: int) -> None:
    """Spread over 5 to 30 whole seconds."""
    assert seconds == retry_after_seconds(random)


def broken_house() -> House:
    house = make_house()
    house.ingest.broken = True
    return house


def test_a_bug_is_json_with_an_incident(caplog: pytest.LogCaptureFixture) -> None:
    """The client gets a number; the log gets it too, with the way to the bug, and neither gets the payload."""
    response = broken_house().app.test_client().post("/v1/track", json=MESSAGE)

    assert (500, "internal") == (response.status_code, response.json["code"])  # type: ignore[index]
    fields = caplog.records[0].__dict__["fields"]
    assert ("800000000000", "ValueError") == (fields["incident"], fields["error"])
    assert fields["incident"] in response.text
    assert SECRET not in response.text + json.dumps(fields) + caplog.text


def test_a_full_disk_keeps_its_words_to_itself(caplog: pytest.LogCaptureFixture) -> None:
    """The client is told when to come back; the operator is told why."""
    house = make_house()
    house.ingest.down = True
    response = house.app.test_client().post("/v1/track", json=MESSAGE)

    assert (503, "18") == (response.status_code, response.headers["Retry-After"])
    assert "disk" not in response.text
    assert {"reason": "the disk is full"} == caplog.records[0].__dict__["fields"]


def test_an_unreadable_body_is_not_lost_while_the_store_is_down() -> None:
    """It was to be kept, so the sender is asked to send it again."""
    house = make_house()
    house.ingest.down = True
    response = house.app.test_client().post("/v1/track", data=b"{", headers={"Authorization": f"Basic {SERVER_KEY}"})

    assert 503 == response.status_code


def test_log_lines_are_json_of_one_line() -> None:
    """Control characters cannot forge a line, nor reach a terminal."""
    stream = io.StringIO()
    logger = logging.Logger("assay.test")
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    logger.addHandler(handler)
    log(logger, logging.WARNING, "assay.odd", text="a\nb\x1b[31m\x7f\u2028é", count=3)

    assert 1 == stream.getvalue().count("\n")
    assert all(" " <= character < "\x7f" for character in stream.getvalue().rstrip("\n"))
    line = json.loads(stream.getvalue())
    assert ("assay.odd", "warning", 3) == (line["event"], line["level"], line["count"])
    assert "a\nb\x1b[31m\x7f\u2028é" == line["text"]


def test_an_exceptions_text_is_not_logged() -> None:
    """It may quote what was sent; its type cannot."""
    stream = io.StringIO()
    handler = install(stream)
    try:
        raise ValueError(SECRET)
    except ValueError:
        logging.getLogger("some.library").exception("it failed")
    finally:
        logging.getLogger().removeHandler(handler)

    line = json.loads(stream.getvalue())
    assert ("it failed", "ValueError") == (line["event"], line["error"])
    assert SECRET not in stream.getvalue()
