"""A FastAPI app that sells its reports."""

from typing import Annotated

from fastapi import Depends, FastAPI, Request, WebSocket
from fastapi.responses import HTMLResponse

from tollkeeper import Tollkeeper, Visitor, load

tollkeeper = Tollkeeper(load())
app = FastAPI(lifespan=tollkeeper.lifespan)
app.mount(tollkeeper.path, tollkeeper)

Payer = Annotated[Visitor, Depends(tollkeeper.require("dashboard"))]


@app.get("/", response_class=HTMLResponse)
async def front(request: Request) -> str:
    """For everybody; shows something else to visitors who are signed in."""
    visitor = await tollkeeper.visitor(request)
    features = ", ".join(sorted(tollkeeper.features(visitor))) or "nothing yet"
    return f"You may use: {features}" if visitor else f'<a href="{tollkeeper.path}/login?return_to=/">Sign in</a>'


@app.get("/reports")
async def reports(payer: Payer) -> dict[str, str]:
    """Only for visitors who have paid."""
    return {"reports for": payer.person.name}


@app.websocket("/feed")
async def feed(websocket: WebSocket, payer: Payer) -> None:
    """Only for visitors who have paid, too."""
    await websocket.accept()
    await websocket.send_text(f"news for {payer.person.name}")
    await websocket.close()
