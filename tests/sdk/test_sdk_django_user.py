"""Django's own authentication: its user is the scope's, in sync and async views, through sign-in and sign-out."""

import subprocess
import sys
import textwrap

SITE = """
import asyncio
import django
from django.conf import settings
from django.http import HttpResponse
from django.urls import path
import assay
from assay.testing import CapturingTransport

settings.configure(
    ALLOWED_HOSTS=["*"],
    SECRET_KEY="not secret",
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "site.db"}},
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "assay.integrations.django.ScopeMiddleware",
    ],
)
django.setup()

from django.contrib.auth import authenticate, get_user_model, login, logout
from django.core.management import call_command
from django.test import AsyncClient, Client

transport = CapturingTransport()
client = assay.Client("http://collector.test", "key", transport=transport)

def seen(request):
    client.track(event="Seen")
    return HttpResponse("ok")

def sign_in(request):
    login(request, authenticate(request, username="ada", password="lovelace"))
    client.track(event="Signed In")
    logout(request)
    assay.reset()
    client.track(event="Signed Out")
    return HttpResponse("ok")

async def seen_async(request):
    client.track(event="Seen Async")
    return HttpResponse("ok")

urlpatterns = [path("seen", seen), path("sign-in", sign_in), path("seen-async", seen_async)]

call_command("migrate", verbosity=0)
ada = get_user_model().objects.create_user("ada", password="lovelace")

sync = Client()
sync.get("/seen")
sync.get("/sign-in")
sync.force_login(ada)
sync.get("/seen")

async def ask():
    browser = AsyncClient()
    await browser.get("/seen-async")
    await browser.aforce_login(ada)
    await browser.get("/seen-async")

asyncio.run(ask())
client.close()
for event in transport.events:
    print(event["event"], event.get("userId"), bool(event.get("anonymousId")))
"""


def test_the_user_is_djangos(tmp_path):
    """Who is signed in is the user, beside the browser's anonymous id; a sign-out is the end of both."""
    (tmp_path / "site_of_ada.py").write_text(textwrap.dedent(SITE))
    done = subprocess.run(
        [sys.executable, "site_of_ada.py"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )

    assert (0, "") == (done.returncode, done.stderr)
    assert [
        "Seen None True",
        "Signed In 1 True",
        "Signed Out None True",
        "Seen 1 True",
        "Seen Async None True",
        "Seen Async 1 True",
    ] == done.stdout.splitlines()
