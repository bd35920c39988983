"""Mistakes that type checkers find: each line marked `wrong`, and no other."""

import assay
from assay import Client
from assay.integrations.wsgi import AnonymousCookie

Client("https://collect.example")  # wrong
Client("https://collect.example", "key", on_invalid="explode")  # wrong
assay.configure("https://collect.example", "key", exit_second=1)  # wrong
client = Client("https://collect.example", "key")
client.track("u1", "Seen", ["n"])  # wrong
client.track(1.5, "Seen")  # wrong
client.track("u1", event=3)  # wrong
client.identify("u1", trait={})  # wrong
client.flush("1")  # wrong
assay.track("u1", "Seen", {1: 2})  # wrong
assay.scope(user="u1")  # wrong
assay.update_scope(consent={"analytics": "yes"})  # wrong
AnonymousCookie(same_site="lax")  # wrong
