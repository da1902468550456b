"""A bound on what a request may carry, looked at before anything of it is read."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from .problems import Problem, answer

MOST_BYTES = 65_536
"""Three times the largest decision."""


class BodyLimit:
    """Refuses bodies above `MOST_BYTES`, and those that do not say how long they are."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            length = headers.get("content-length", "0")
            if "transfer-encoding" in headers or not length.isdecimal() or int(length) > MOST_BYTES:
                problem = Problem(
                    type="urn:thermogen:problem:body-too-large",
                    title="The request's body is too large",
                    status=413,
                    detail=f"at most {MOST_BYTES} bytes are taken, with their Content-Length",
                    remedy="send what the API describes; nothing of it is that long",
                )
                await answer(problem)(scope, receive, send)
                return
        await self._app(scope, receive, send)
