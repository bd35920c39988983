"""
A real browser with the unmodified browser SDK: an anonymous visitor becomes known, and what was done before counts.

Run by `make test-browser`; `make test` leaves these out, since it must not need Node or a browser.
"""

import json
import re
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from assay.contract.consent import PURPOSES
from assay_collector.stores.sqlite.store import SQLiteStore
from deliver.receiver import Receiver, receiving
from serving import assay, serving, wait_until

from .browsing import PACKAGE, Browser, Site, Tab, Visitor, browser, site
from .house import House, opened_house, stored_events, stored_ids

pytestmark = pytest.mark.browser

WORKSPACE_ACTIVE = """
pql: {id: workspace-active, version: 1, entity: account, stage: activation, owner: product}
why: A project with three tasks is real work.
predicts: {event: Subscription Started, within: 30 days}
signals: {projects: {count: Project Created}, tasks: {count: Task Assigned}}
qualify: {projects: at least 1, tasks: at least 3}
"""
BUSY = """
pql: {id: busy, version: 1, entity: user, stage: monetization, owner: sales}
why: Three tasks in a day are more than a look around.
predicts: {event: Subscription Started, within: 30 days}
signals: {tasks: {count: Task Assigned}}
qualify: {tasks: at least 3}
"""
BUILDING = """
pql: {id: building, version: 1, entity: user, stage: monetization, owner: sales}
why: A second project means that the first was worth it.
predicts: {event: Subscription Started, within: 30 days}
signals: {projects: {count: Project Created}}
qualify: {projects: at least 2}
"""
DEFINITIONS = {"workspace-active": WORKSPACE_ACTIVE, "busy": BUSY, "building": BUILDING}
CONFIG = f"""
definitions = "definitions"

[[webhooks]]
name = "crm"
url = "%s"
secret = "whsec_{"A" * 32}"
purpose = "sales_contact"
allow_private = true
"""
DELIVERIES = {
    "each by itself": {},
    "in batches": {"deliveryStrategy": {"strategy": "batching", "config": {"size": 4, "timeout": 200}}},
}
# Neither full nor due while a test looks.
PATIENT = {"deliveryStrategy": {"strategy": "batching", "config": {"size": 100, "timeout": 600_000}}}
USER_AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36"
_numbers = count(1)

each_delivery = pytest.mark.parametrize("delivery", DELIVERIES.values(), ids=DELIVERIES.keys())


@pytest.fixture(scope="module", autouse=True)
def installed() -> None:
    """Without the packages these tests fail, and say why; they are not skipped."""
    assert PACKAGE.exists(), "the browser's SDK is not installed; `make test-browser` does that first"


@pytest.fixture(scope="module")
def crm() -> Iterator[Receiver]:
    """A receiver of webhooks that sells to whom it hears of."""
    with receiving() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def house(tmp_path_factory, crm) -> Iterator[House]:
    """One collector for all visitors; every test has people and accounts of its own."""
    folder = tmp_path_factory.mktemp("house")
    (folder / "definitions").mkdir()
    for name, definition in DEFINITIONS.items():
        (folder / "definitions" / f"{name}.yaml").write_text(definition)
    (folder / "assay.toml").write_text(CONFIG % crm.url)
    with opened_house(folder) as house:
        yield house


@pytest.fixture(scope="module")
def key(house) -> str:
    """A browser's write key; pages are public, and so is it."""
    return browser_key(house.folder)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as running:
        yield running


@pytest.fixture(scope="module")
def shop() -> Iterator[Site]:
    with site() as running:
        yield running


@each_delivery
def test_what_an_anonymous_visitor_did_counts_for_the_account_they_join(house, key, chromium, shop, delivery):
    """Acted, signed up, joined: the account's lead counts what was done before anybody knew who it was."""
    user, account = new("ann"), new("acme")
    ann = visitor(chromium)
    tab = ann.open(shop.page(key, house.url, **delivery))
    tab.call("page", "Pricing")
    act(tab, projects=1, tasks=2)
    wait_until_stored(house, ann, 4)
    house.wait_until_decided()
    assert [] == leads(house, account)

    tab.call("identify", user, {"role": "admin"})
    tab.call("group", account, {"employees": 70})
    act(tab, tasks=1)
    wait_until_stored(house, ann, 7)
    house.wait_until_decided()

    (lead,) = leads(house, account)
    assert ("workspace-active", "account") == (lead["definition"], lead["kind"])
    assert ["projects = 1 (at least 1)", "tasks = 3 (at least 3)"] == lead["reasons"]


def test_everything_crosses_origins_as_the_sdk_sends_it(house, key, chromium, shop):
    """Chromium asks before it sends; the body is plain text, nothing is compressed, and the key stands in a header."""
    asked = preflights(house)
    guest = visitor(chromium)
    act(guest.open(shop.page(key, house.url)), tasks=1)

    wait_until_stored(house, guest, 1)
    (sent,) = guest.sent()
    assert f"{house.url}/v1/t" == sent.url
    assert "text/plain" == sent.headers["content-type"]
    assert "content-encoding" not in sent.headers
    assert sent.headers["authorization"].startswith("Basic ")
    assert asked < preflights(house)


def test_what_waits_when_the_page_is_left_is_sent(house, key, chromium, shop):
    """A batch that is neither full nor due goes out with the page; its preflight as well."""
    name = new("Cart Left")
    guest = visitor(chromium)
    tab = guest.open(shop.page(key, house.url, **PATIENT))
    for item in range(5):
        tab.call("track", name, {"item": item})
    assert [] == guest.messages()

    tab.go("about:blank")

    wait_until(lambda: sum(row.name == name for row in stored_events(house.folder)) == 5)


def test_a_beacon_of_the_pages_own_is_taken(house, key, chromium, shop):
    """A page that says goodbye by navigator.sendBeacon needs nothing but the key in the body."""
    message_id = new("beacon")
    said = {"writeKey": key, "event": "Page Left", "anonymousId": new("anon"), "messageId": message_id}
    tab = visitor(chromium).open(shop.page(key, house.url))
    beacon = f"navigator.sendBeacon('{house.url}/v1/t', {json.dumps(json.dumps(said))})"
    tab.run(f"void addEventListener('pagehide', () => {beacon})")

    tab.go("about:blank")

    wait_until(lambda: [("stored", "track", "Page Left")] == house.receipts([message_id])[message_id])


def test_events_wait_for_a_collector_that_is_away_and_for_the_next_page(chromium, shop, tmp_path):
    """What was tracked while nobody answered is in the browser's storage; the next page sends it, once."""
    with opened_house(tmp_path) as house:
        key = browser_key(tmp_path)
        guest = visitor(chromium)
        tab = guest.open(shop.page(key, house.url))
        act(tab, tasks=1)
        wait_until_stored(house, guest, 1)
        house.collector.terminate()
        act(tab, tasks=2)

        with serving(tmp_path, port=house.collector.port):
            tab.reload()
            wait_until(lambda: stored_ids(tmp_path).total() == 3, 60)

    assert dict.fromkeys((message["messageId"] for message in guest.messages()), 1) == stored_ids(tmp_path)
    assert any("x-retry-count" in sent.headers for sent in guest.sent())


def test_two_tabs_are_one_visitor(house, key, chromium, shop):
    """Who signs up in one tab is known by what was done in the other, before and after."""
    user, account = new("tess"), new("tandem")
    tess = visitor(chromium)
    left, right = (tess.open(shop.page(key, house.url)) for _ in range(2))
    act(left, projects=1)
    act(right, tasks=2)
    assert left.anonymous_id() == right.anonymous_id()

    left.call("identify", user)
    left.call("group", account)
    act(right, tasks=1)
    wait_until_stored(house, tess, 6)
    house.wait_until_decided()

    (lead,) = leads(house, account)
    assert ["projects = 1 (at least 1)", "tasks = 3 (at least 3)"] == lead["reasons"]


def test_a_shared_browser_keeps_its_people_apart(house, key, chromium, shop):
    """One leaves without a reset, another signs in: neither account counts what the other did."""
    first, second = new("first"), new("second")
    shared = visitor(chromium)
    tab = shared.open(shop.page(key, house.url))
    act(tab, projects=1, tasks=2)
    tab.call("identify", new("a"))
    tab.call("group", first)
    tab.reload()
    tab.call("identify", new("b"))
    tab.call("group", second)
    act(tab, projects=1, tasks=1)
    wait_until_stored(house, shared, 9)
    house.wait_until_decided()

    assert [] == leads(house, first) + leads(house, second)
    assert {"projects": 1, "tasks": 2} == counted(house, first)
    assert {"projects": 1, "tasks": 1} == counted(house, second)


def test_global_privacy_control_denies_sale_for_the_browser_and_for_the_person(house, key, chromium, shop, crm):
    """
    The signal is read from every request. It binds the person wherever they go on, later silence included: they are
    scored, and nobody who sells hears of it.
    """
    gwen, norm = new("gwen"), new("norm")
    private, phone, plain = (visitor(chromium, gpc=gpc) for gpc in (True, False, False))
    tab = private.open(shop.page(key, house.url))
    assert tab.run("navigator.globalPrivacyControl")
    act(tab, projects=1, tasks=3)
    tab.call("identify", gwen)
    for who, profile in ((gwen, phone), (norm, plain)):
        tab = profile.open(shop.page(key, house.url))
        tab.call("identify", who)
        act(tab, projects=2, tasks=3 if who == norm else 0)
    wait_until_stored(house, private, 5)
    wait_until_stored(house, phone, 3)
    wait_until_stored(house, plain, 6)
    house.wait_until_decided()

    denied = {"sales_contact": "denied", "third_party_share": "denied"}
    assert {"anonymous": denied, "user": denied} == said_by(house, private)
    assert {"busy", "building"} == {lead["definition"] for lead in leads(house, gwen)}
    wait_until(lambda: heard_of(crm, norm) == {"busy", "building"})
    wait_until(lambda: waiting_messages(house) == 0)
    assert set() == heard_of(crm, gwen)


def test_a_browser_that_nobody_watches_is_a_bot(house, key, chromium, shop):
    """Chromium without a window says so: what it does is stored and marked, and qualifies nobody."""
    user = new("robot")
    robot = visitor(chromium, user_agent=None)
    tab = robot.open(shop.page(key, house.url))
    tab.call("identify", user)
    act(tab, tasks=3)
    wait_until_stored(house, robot, 4)
    house.wait_until_decided()

    ids = {message["messageId"] for message in robot.messages()}
    marks = [json.loads(row.context)["traffic"] for row in stored_events(house.folder) if row.message_id in ids]
    assert ["bot"] * 4 == marks
    assert [] == leads(house, user)


# --- helpers ---


def new(name: str) -> str:
    """A name that no other test has."""
    return f"{name}-{next(_numbers)}"


def browser_key(folder: Path) -> str:
    return assay(folder, "keys", "create", "--source", "web", "--kind", "browser").stdout.strip()


def visitor(chromium: Browser, **how: Any) -> Visitor:
    """Somebody whose browser does not say that nobody watches it."""
    return chromium.visitor(new("visitor"), **{"user_agent": USER_AGENT, **how})


def act(tab: Tab, *, projects: int = 0, tasks: int = 0) -> None:
    """What people do in the product."""
    for number in range(projects):
        tab.call("track", "Project Created", {"project_id": f"p{number}"})
    for number in range(tasks):
        tab.call("track", "Task Assigned", {"task_id": f"t{number}"})


def wait_until_stored(house: House, visitor: Visitor, number: int) -> None:
    """Until a profile has sent so many messages, and each is stored once."""

    def are_stored() -> bool:
        ids = {message["messageId"] for message in visitor.messages()}
        found = house.receipts(ids).values()
        return len(ids) == number and all([line[0] for line in lines] == ["stored"] for lines in found)

    wait_until(are_stored, 30)


def leads(house: House, account: str) -> list[dict[str, Any]]:
    return [lead for lead in house.ask("/v1/leads", limit=500)["leads"] if lead["id"] == account]


def counted(house: House, account: str) -> dict[str, int]:
    """What each criterion of the account comes to now."""
    (entity,) = house.ask(f"/v1/qualifications/{account}", kind="account")["entities"]
    (definition,) = entity["definitions"]
    return {entry["name"]: entry["value"] for entry in definition["evidence"]["qualify"]["all"]}


def heard_of(crm: Receiver, user: str) -> set[str]:
    """The definitions under which a receiver of webhooks was told of somebody."""
    told = [json.loads(received.body)["data"] for received in crm.received if user.encode() in received.body]
    return {message["definition"] for message in told}


def waiting_messages(house: House) -> float:
    return metric(house, "assay_outbox_pending")


def preflights(house: House) -> float:
    return metric(house, 'assay_requests_total{path="preflight",status="200"}')


def metric(house: House, name: str) -> float:
    found = re.search(rf"^{re.escape(name)} (\S+)", house.metrics(), re.MULTILINE)
    return float(found[1]) if found else 0.0


def said_by(house: House, visitor: Visitor) -> dict[str, dict[str, str]]:
    """What the consent log holds of each kind of identifier of this profile."""
    ids = {message["messageId"] for message in visitor.messages()}
    leaves = {row.leaf for row in stored_events(house.folder) if row.message_id in ids}
    with closing(SQLiteStore(house.folder / "assay.db")) as store, store.snapshot() as facts:
        types = {id: known.type for id, known in facts.identifiers(list(leaves)).items()}
        log = facts.consents(list(leaves), PURPOSES)
    return {
        type: {entry.purpose: entry.state for entry in log if types[entry.subject] == type}
        for type in sorted(set(types.values()))
    }
