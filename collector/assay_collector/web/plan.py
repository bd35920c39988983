"""
The tracking plan as one document, so that clients can follow it without a deploy.

``documents`` holds the plan's files by path: who has read them has the plan, in any language. The revision is a hash of
them, and the ETag.
"""

import msgspec
from flask import Blueprint, Response, request

from assay.contract.plan import Plan
from assay_collector.web.auth import Keys, read_authorization
from assay_collector.web.problems import as_response, problem
from assay_collector.web.replies import Reply

# It may be kept, and must be asked about before each use; what is behind a key is nobody else's.
_CACHE = ("Cache-Control", "private, no-cache")
_REFUSED = problem(401, "unauthorized", "a server's write key, or an admin token, is needed")
_PUBLIC = problem(403, "public_key", "a browser's write key is public, and the plan is not; use a server's")
_NONE = problem(404, "no_plan", "this collector has no tracking plan")


def plan_document(plan: Plan) -> bytes:
    """The plan as it is served."""
    files = {path: msgspec.Raw(content) for path, content in plan.documents.items()}
    return msgspec.json.encode({"revision": plan.revision, "name": plan.name, "documents": files})


def plan_blueprint(plan: Plan | None, keys: Keys) -> Blueprint:
    """GET /v1/plan."""
    blueprint = Blueprint("plan", __name__)
    reply = _NONE
    if plan is not None:
        reply = Reply(200, plan_document(plan), (("ETag", f'"{plan.revision}"'), _CACHE))

    @blueprint.get("/v1/plan")
    def _plan() -> Response:
        refusal = _refusal(keys, request.headers.get("Authorization"))
        if refusal is not None:
            return as_response(refusal)
        if plan is not None and request.if_none_match.contains_weak(plan.revision):
            return Response(status=304, headers=list(reply.headers))
        return as_response(reply)

    return blueprint


def _refusal(keys: Keys, header: str | None) -> Reply | None:
    authorization = read_authorization(header)
    secret = authorization.basic or authorization.bearer
    grant = None if secret is None else keys.find(secret)
    if grant is None:
        return _REFUSED
    return _PUBLIC if grant.key.kind == "browser" else None
