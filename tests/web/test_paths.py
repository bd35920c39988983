"""Every path of the tracking API, in every way that SDKs and proxies write it."""

import re
from base64 import b64encode

import pytest
from web_parts import BROWSER_KEY, SERVER_KEY, make_house

SINGLES = {
    "identify": "identify", "i": "identify", "track": "track", "t": "track", "page": "page", "p": "page",
    "screen": "screen", "s": "screen", "group": "group", "g": "group", "alias": "alias", "a": "alias",
}  # fmt: skip
BATCHES = ("batch", "b", "import")
MESSAGE = {"event": "E", "userId": "u", "messageId": "m", "groupId": "g", "previousId": "p", "writeKey": SERVER_KEY}


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("prefix", ["/v1", ""])
@pytest.mark.parametrize("name", [*SINGLES, *BATCHES])
def test_a_path_takes_what_it_names(name: str, prefix: str, slash: str) -> None:
    """Long and short, with and without prefix and slash: the path's type counts, a batch's messages say theirs."""
    house = make_house()
    body = MESSAGE if name in SINGLES else {"batch": [{**MESSAGE, "type": "page"}], "writeKey": SERVER_KEY}
    response = house.app.test_client().post(f"{prefix}/{name}{slash}", json=body)

    assert (200, b'{"success":true}') == (response.status_code, response.data)
    assert [SINGLES.get(name, "page")] == [event.type for event in house.ingest.stored.values()]


@pytest.mark.parametrize("path", ["/v1/m", "/v1/m/", "/m", "/m/"])
def test_sdk_metrics_are_counted(path: str) -> None:
    """What analytics.js reports on itself is answered 200 without a key, and names nobody knows become one label."""
    house = make_house()
    report = {"series": [{"metric": "analytics_js.invoke"}, {"metric": "made up"}, {"metric": {"x": 1}}]}
    response = house.app.test_client().post(path, json=report)

    assert (200, b'{"success":true}') == (response.status_code, response.data)
    assert 'assay_sdk_metrics_total{metric="analytics_js.invoke"} 1.0' in house.metric("assay_sdk_metrics_total")
    assert 'assay_sdk_metrics_total{metric="other"} 2.0' in house.metric("assay_sdk_metrics_total")


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("prefix", ["/v1", ""])
def test_the_settings_document_has_the_same_freedom(prefix: str, slash: str) -> None:
    """With and without prefix and slash."""
    path = f"{prefix}/projects/{BROWSER_KEY}/settings{slash}"
    response = make_house().app.test_client().get(path)

    assert 200 == response.status_code


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize("name", [*SINGLES, *BATCHES, "m"])
def test_other_methods_are_refused(name: str, method: str) -> None:
    """405, as JSON, naming what is allowed."""
    response = make_house().app.test_client().open(f"/v1/{name}", method=method)

    assert (405, "application/json", "POST") == (
        response.status_code, response.headers["Content-Type"], response.headers["Allow"],
    )  # fmt: skip


def test_what_our_clients_report_is_counted_by_source_and_version() -> None:
    """With a key only, and under labels that nobody can make up; the rest counts as any SDK's report."""
    house = make_house()
    tags = {"library": "assay-python", "library_version": "0.1.0"}
    lines = [
        {"metric": "assay_sdk.events", "value": 7, "tags": {**tags, "outcome": "tracked"}},
        {"metric": "assay_sdk.dropped", "value": 2, "tags": {**tags, "reason": "queue_full"}},
        {"metric": "assay_sdk.dropped", "value": 1, "tags": {**tags, "library_version": "x" * 99, "reason": "made up"}},
        {"metric": "assay_sdk.retried", "value": 3, "tags": tags},
        {"metric": "assay_sdk.events", "value": -1, "tags": {**tags, "outcome": "tracked"}},
        {"metric": "assay_sdk.events", "value": 1, "tags": {"outcome": ["tracked"]}},
    ]
    basic = {"Authorization": "Basic " + b64encode(f"{SERVER_KEY}:".encode()).decode()}
    for headers in (basic, {}):
        response = house.app.test_client().post("/v1/m", json={"series": lines}, headers=headers)
        assert (200, b'{"success":true}') == (response.status_code, response.data)
    counted = house.metric("assay_client_")

    assert re.search(r'assay_client_events_total{library_version="0.1.0",outcome="tracked",source="\w+"} 7.0', counted)
    assert re.search(r'_dropped_total{library_version="0.1.0",reason="queue_full",source="\w+"} 2.0', counted)
    assert re.search(r'_dropped_total{library_version="other",reason="other",source="\w+"} 1.0', counted)
    assert re.search(r'assay_client_retried_total{library_version="0.1.0",source="\w+"} 3.0', counted)
    assert 'assay_sdk_metrics_total{metric="other"} 8.0' in house.metric("assay_sdk_metrics_total")
