"""A notes service: workspaces whose members write documents and invite each other."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from fastapi import BackgroundTasks, Depends, FastAPI, Header, HTTPException, Request
from pydantic import BaseModel

import assay
from assay.integrations.asgi import ScopeMiddleware

PLAN = Path(__file__).parent / "plan"


@dataclass
class Workspace:
    """What a workspace holds; a database in real life."""

    id: str
    documents: list[str] = field(default_factory=list)
    members: dict[str, str] = field(default_factory=dict)  # token -> member


class NewWorkspace(BaseModel):
    """What is said of a workspace to open one."""

    name: str
    email: str


class Invitation(BaseModel):
    """Who is to come in."""

    invitee: str


workspaces: dict[str, Workspace] = {}


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """One client for the process; what is pending at its end is sent without stopping the event loop."""
    async with assay.Client(os.environ["ASSAY_URL"], os.environ["ASSAY_WRITE_KEY"], plan=PLAN) as client:
        app.state.client = client
        yield


app = FastAPI(lifespan=lifespan)
# An API has no visitors, so it needs no cookie. Who calls is found out below, and kept in request.state.
app.add_middleware(
    ScopeMiddleware,
    user=lambda scope: scope["state"].get("member"),
    account=lambda scope: scope["state"].get("workspace"),
    cookie=None,
)


def client_of(request: Request) -> assay.Client:
    """The process's client."""
    client: assay.Client = request.app.state.client
    return client


def signed_in(request: Request, authorization: Annotated[str, Header()]) -> Workspace:
    """Who calls, by their token."""
    token = authorization.removeprefix("Bearer ")
    for workspace in workspaces.values():
        if token in workspace.members:
            request.state.member, request.state.workspace = workspace.members[token], workspace.id
            return workspace
    raise HTTPException(401)


Events = Annotated[assay.Client, Depends(client_of)]
Here = Annotated[Workspace, Depends(signed_in)]


@app.post("/workspaces")
async def open_workspace(new: NewWorkspace, client: Events) -> dict[str, str]:
    """A workspace with its first member."""
    workspace = Workspace(id=new.name.lower())
    member, token = f"{workspace.id}-1", f"token-{workspace.id}-1"
    workspaces[workspace.id], workspace.members[token] = workspace, member
    client.identify(member, {"email": new.email})
    client.group(member, workspace.id, {"name": new.name})
    return {"token": token}


@app.post("/documents")
async def write(client: Events, workspace: Here) -> dict[str, str]:
    """One more document."""
    document = f"{workspace.id}-d{len(workspace.documents) + 1}"
    workspace.documents.append(document)
    client.track(event="Document Created", properties={"document_id": document})
    return {"document": document}


@app.post("/invitations")
def invite(invitation: Invitation, client: Events, workspace: Here) -> dict[str, str]:  # runs in a thread
    """One more member."""
    member, token = invitation.invitee, f"token-{invitation.invitee}"
    workspace.members[token] = member
    client.track(event="Teammate Invited", properties={"invitee_id": member})
    client.group(member, workspace.id)
    return {"token": token}


@app.post("/upgrades")
async def upgrade(client: Events, workspace: Here) -> dict[str, str]:
    """The team plan for the workspace."""
    client.track(event="Plan Upgraded")
    return {"workspace": workspace.id}


@app.post("/exports")
async def export(client: Events, workspace: Here, tasks: BackgroundTasks) -> dict[str, Any]:
    """All documents in a file, after the answer."""

    async def write_file() -> None:
        await asyncio.sleep(0)
        client.track(event="Export Finished", properties={"documents": len(workspace.documents)})

    tasks.add_task(write_file)
    return {"documents": len(workspace.documents)}
