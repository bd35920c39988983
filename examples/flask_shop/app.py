"""A shop: look at products, put some into the cart, sign up, order."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from flask import Flask, abort, redirect, request, session, url_for
from werkzeug.wrappers import Response

import assay
from assay.integrations.flask import init_app

PLAN = Path(__file__).parent / "plan"
PRICES = {"lamp": 49.0, "chair": 120.0, "desk": 380.0, "rug": 95.5}


@dataclass
class Shop:
    """What the shop knows; a database in real life."""

    customers: dict[str, str] = field(default_factory=dict)  # e-mail -> id
    orders: dict[str, list[str]] = field(default_factory=dict)  # order -> products


def create_app(client: assay.Client) -> Flask:
    """The shop, which sends its events through the client."""
    app, shop = Flask(__name__), Shop()
    app.secret_key = os.environ.get("SHOP_SECRET") or uuid4().hex
    # Who is signed in, and what the banner was answered with: asked whenever an event is recorded.
    init_app(app, user=lambda: session.get("customer"), consent=_consent)
    _add_products(app, client)
    _add_customers(app, client, shop)
    _add_orders(app, client, shop)
    return app


def _add_products(app: Flask, client: assay.Client) -> None:
    @app.get("/products/<product>")
    def view(product: str) -> str:
        if product not in PRICES:
            abort(404)
        client.track(event="Product Viewed", properties={"product_id": product})
        return f"<h1>{product}</h1><p>{PRICES[product]:.2f}</p>"

    @app.post("/cart/<product>")
    def add(product: str) -> Response:
        if product not in PRICES:
            abort(404)
        session["cart"] = [*session.get("cart", []), product]
        client.track(event="Product Added", properties={"product_id": product})
        return redirect(url_for("view", product=product))


def _add_customers(app: Flask, client: assay.Client, shop: Shop) -> None:
    @app.post("/banner")
    def answer_banner() -> Mapping[str, Any]:
        session["analytics"] = request.form["analytics"] == "yes"
        return {"analytics": session["analytics"]}

    @app.post("/sign-up")
    def sign_up() -> Mapping[str, Any]:
        email = request.form["email"]
        session["customer"] = shop.customers.setdefault(email, f"c-{len(shop.customers) + 1}")
        # From here on the customer is the user of this request, and what the visitor did before is theirs.
        client.identify(traits={"email": email})
        client.track(event="Signed Up")
        return {"customer": session["customer"]}

    @app.post("/sign-out")
    def sign_out() -> Response:
        session.clear()
        assay.reset()  # whoever uses this browser next is somebody else
        return redirect(url_for("view", product="lamp"))


def _add_orders(app: Flask, client: assay.Client, shop: Shop) -> None:
    @app.post("/orders")
    def order() -> Mapping[str, Any]:
        if "customer" not in session or not session.get("cart"):
            abort(409)
        number, products = uuid4().hex[:8], session.pop("cart")
        shop.orders[number] = products
        client.track(
            event="Order Completed",
            properties={"order_id": number, "revenue": sum(PRICES[each] for each in products), "products": products},
            message_id=f"order-{number}",  # however often this order is told of, it is one event
        )
        return {"order": number}

    @app.post("/membership")
    def become_member() -> Mapping[str, Any]:
        if "customer" not in session:
            abort(409)
        client.track(event="Membership Started")
        return {"member": session["customer"]}


def _consent() -> Mapping[str, bool] | None:
    """What the visitor has said; None: nothing yet, so there is no cookie either."""
    said = session.get("analytics")
    return None if said is None else {"analytics": said, "pql_scoring": said}


def main() -> Flask:
    """The app for a server: ``gunicorn "examples.flask_shop.app:main()"``."""
    return create_app(assay.Client(os.environ["ASSAY_URL"], os.environ["ASSAY_WRITE_KEY"], plan=PLAN))
