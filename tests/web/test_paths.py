"""Every path of the tracking API, in every way that SDKs and proxies write it."""

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
