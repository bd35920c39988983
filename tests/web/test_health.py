"""Alive, ready, and measured."""

from web_parts import SERVER_KEY, make_house

from assay_collector.web.application import WebSettings

MINUTE = 60_000_000


def test_alive_whatever_the_store_says() -> None:
    """Restarting the process does not free a disk."""
    house = make_house()
    house.store.down = True

    assert 200 == house.app.test_client().get("/healthz").status_code


def test_ready() -> None:
    """With how far decisions are behind."""
    house = make_house()
    house.store.waited = 2 * MINUTE
    answer = house.app.test_client().get("/readyz")

    assert 200 == answer.status_code
    assert {"status": "ready", "agenda": {"due": 1, "waitSeconds": 120.0}} == answer.json


def test_not_ready_without_a_store() -> None:
    """503, as every other refusal."""
    house = make_house()
    house.store.down = True
    answer = house.app.test_client().get("/readyz")

    assert (503, "unavailable") == (answer.status_code, answer.json["code"])


def test_not_ready_while_stopping() -> None:
    """A balancer sends the next request elsewhere; what still comes is taken."""
    house = make_house(draining=lambda: True)
    message = {"event": "E", "userId": "u", "messageId": "m", "writeKey": SERVER_KEY}

    assert (503, "draining") == (house.app.test_client().get("/readyz").status_code, "draining")
    assert 200 == house.app.test_client().post("/v1/t", json=message).status_code


def test_not_ready_when_too_far_behind() -> None:
    """Only where the operator set how far is too far."""
    house = make_house(WebSettings(ready_backlog_seconds_max=60))
    house.store.waited = 2 * MINUTE
    answer = house.app.test_client().get("/readyz")

    assert (503, "behind") == (answer.status_code, answer.json["code"])


def test_the_metrics_token() -> None:
    """With a token set, only its bearer reads the metrics."""
    client = make_house(WebSettings(metrics_token="t0ken")).app.test_client()

    assert 401 == client.get("/metrics").status_code
    assert 401 == client.get("/metrics", headers={"Authorization": "Bearer other"}).status_code
    assert 200 == client.get("/metrics", headers={"Authorization": "Bearer t0ken"}).status_code


def test_what_is_measured() -> None:
    """Requests by family and status, events by source and outcome, refusals by code, bytes, seconds and the backlog."""
    house = make_house()
    client = house.app.test_client()
    batch = [{"type": "page", "userId": "u", "messageId": id} for id in ("a", "a", "b")]
    client.post("/v1/batch", json={"batch": [*batch, {}], "writeKey": SERVER_KEY})
    client.post("/v1/batch", data=b"nonsense")
    client.get("/v1/receipts/secret-id")
    client.get("/a-path-that-somebody-made-up")
    text = client.get("/metrics").text

    for line in (
        'assay_requests_total{path="batch",status="200"} 1.0',
        'assay_requests_total{path="batch",status="400"} 1.0',
        'assay_requests_total{path="receipts",status="401"} 1.0',
        'assay_requests_total{path="other",status="404"} 1.0',
        'assay_events_total{outcome="stored",source="app"} 2.0',
        'assay_events_total{outcome="duplicate",source="app"} 1.0',
        'assay_events_total{outcome="quarantined",source="app"} 1.0',
        'assay_requests_refused_total{code="invalid_json"} 1.0',
        'assay_request_seconds_count{path="batch"} 2.0',
        "assay_store_up 1.0",
        "assay_agenda_due 0.0",
        "assay_outbox_pending 0.0",
    ):
        assert line in text
    assert "secret-id" not in text
    assert "somebody" not in text


def test_metrics_without_a_store() -> None:
    """A scrape works while the store does not."""
    house = make_house()
    house.store.down = True

    assert "assay_store_up 0.0" == house.metric("assay_store_up")


def test_two_apps_do_not_know_of_each_other() -> None:
    """No metric is global."""
    first, second = make_house(), make_house()
    first.app.test_client().post("/v1/m", data=b"")

    assert 'path="sdk_metrics"' in first.metric("assay_requests_total")
    assert 'path="sdk_metrics"' not in second.metric("assay_requests_total")


def test_the_first_page() -> None:
    """It says what this is."""
    answer = make_house().app.test_client().get("/")

    assert (200, "assay") == (answer.status_code, answer.json["service"])
