"""The example apps, as real processes beside a real collector: who is qualified in the end."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from assay.plans import load_plan
from assay.qa.lint import ERROR, lint_documents
from serving import assay, clean_environment, serving, wait_until, write_key

ROOT = Path(__file__).parents[2]


@dataclass
class Street:
    """An example app and its collector, both running."""

    folder: Path
    collector: str
    token: str
    app_url: str
    process: "subprocess.Popen[bytes]"

    def browser(self, **headers: str) -> httpx.Client:
        return httpx.Client(base_url=self.app_url, headers=headers, follow_redirects=True, timeout=30)

    def close_the_app(self) -> None:
        """As a deployment does: what it has tracked is sent before it ends."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(30) in (0, -signal.SIGTERM)

    def leads(self) -> list[tuple[str, str]]:
        """Definition and entity of each lead, once nobody is due."""
        wait_until(lambda: httpx.get(f"{self.collector}/readyz", timeout=30).json()["agenda"]["due"] == 0, 30)
        return sorted((lead["definition"], lead["id"]) for lead in self.ask("/v1/leads")["leads"])

    def ask(self, path: str) -> Any:
        headers = {"Authorization": f"Bearer {self.token}"}
        return httpx.get(f"{self.collector}{path}", headers=headers, timeout=30).json()


@contextmanager
def street(folder: Path, example: str, *command: str) -> Iterator[Street]:
    """The app, started by the command with ``PORT`` replaced, and a collector with the example's plan."""
    home = ROOT / "examples" / example
    key = write_key(folder, source="app")
    token = assay(folder, "keys", "create", "--kind", "admin").stdout.strip()
    port = free_port()
    words = [word.replace("PORT", str(port)) for word in command]
    with serving(folder, "--plan", str(home / "plan"), "--definitions", str(home / "definitions")) as collector:
        # gunicorn keeps a socket in the home directory.
        environment = {**clean_environment(), "ASSAY_URL": collector.url, "ASSAY_WRITE_KEY": key, "HOME": str(folder)}
        process = subprocess.Popen([sys.executable, "-m", *words], cwd=ROOT, env=environment)
        with process:
            try:
                wait_until(lambda: listens(port), 30)
                yield Street(folder, collector.url, token, f"http://127.0.0.1:{port}", process)
            finally:
                process.kill()


def test_the_flask_shop(tmp_path):
    """Looks before the sign-up count for whoever signed up; who said no, or looked less, is no lead."""
    command = ("gunicorn", "examples.flask_shop.app:main()", "-b", "127.0.0.1:PORT", "--preload", "--threads", "4")
    with street(tmp_path, "flask_shop", *command) as shops:
        shop_for(shops, "keen@mail.example", "yes", ["lamp", "chair", "desk"])
        shop_for(shops, "hasty@mail.example", "yes", ["rug"])
        shop_for(shops, "private@mail.example", "no", ["lamp", "chair", "desk"])
        shops.close_the_app()

        assert [("keen-buyer", "c-1")] == shops.leads()
        assert 0 == sum(shops.ask("/v1/counts")["quarantined"].values())


def shop_for(shops: Street, email: str, allows: str, products: list[str]) -> None:
    """Look at products, answer the banner, sign up, order."""
    with shops.browser() as browser:
        assert {"analytics": allows == "yes"} == browser.post("/banner", data={"analytics": allows}).json()
        for product in products:
            assert 200 == browser.get(f"/products/{product}?utm_source=news").status_code
        assert (allows == "yes") == ("assay_anonymous_id" in browser.cookies)
        browser.post("/sign-up", data={"email": email}).raise_for_status()
        browser.post(f"/cart/{products[0]}").raise_for_status()
        browser.post("/orders").raise_for_status()


def test_the_fastapi_service(tmp_path):
    """The workspace that writes and invites is a lead; one that only writes is none."""
    command = ("uvicorn", "examples.fastapi_service.app:app", "--port", "PORT", "--log-level", "warning")
    with street(tmp_path, "fastapi_service", *command) as shops:
        work_in(shops, "Acme", documents=3, invitees=["bob", "eve"])
        work_in(shops, "Solo", documents=5, invitees=[])
        with shops.browser(Authorization="Bearer wrong") as stranger:
            assert 401 == stranger.post("/documents").status_code
        shops.close_the_app()

        assert [("team-at-work", "acme")] == shops.leads()
        # 2 x (identify, group, export), 8 documents, 2 invitations of two events each
        assert {"stored": 18, "duplicates": 0, "conflicts": 0, "quarantined": {}, "refused": {}} == shops.ask(
            "/v1/counts"
        )


def work_in(shops: Street, name: str, documents: int, invitees: list[str]) -> None:
    """Open a workspace, write in it, invite others, export."""
    with shops.browser() as browser:
        opened = browser.post("/workspaces", json={"name": name, "email": f"ada@{name.lower()}.example"})
    with shops.browser(Authorization=f"Bearer {opened.json()['token']}") as browser:
        for _ in range(documents):
            browser.post("/documents").raise_for_status()
        for invitee in invitees:
            browser.post("/invitations", json={"invitee": invitee}).raise_for_status()
        assert {"documents": documents} == browser.post("/exports").json()


@pytest.mark.parametrize("example", ["flask_shop", "fastapi_service"])
def test_the_plans_are_clean(example):
    """What users copy has no errors."""
    folder = ROOT / "examples" / example / "plan"
    load_plan(folder)
    documents = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.json")}

    assert [] == [finding for finding in lint_documents(documents, 0)[1] if finding.severity == ERROR]


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
