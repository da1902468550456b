"""The cloud's API, as a script calls it."""

from __future__ import annotations

import base64
import http.client
import json
import urllib.error
import urllib.request
from typing import Any

TIMEOUT_S = 30


class ApiError(Exception):
    """The API refused a request, or did not answer (status 0)."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        self.status = status
        self.problem = problem
        super().__init__(f"HTTP {status}: {problem.get('title', '')}: {problem.get('detail', '')}")


class CloudClient:
    """Requests to the API that begins at `base`, with the viewer's name and password."""

    def __init__(self, base: str, viewer: str, password: str) -> None:
        self._base = base.rstrip("/")
        token = base64.b64encode(f"{viewer}:{password}".encode()).decode()
        self._headers = {"Authorization": f"Basic {token}", "Content-Type": "application/json"}

    def bytes(self, path: str, body: object | None = None) -> bytes:
        """The answer's body; ApiError when the status is not 2xx."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self._base}/{path}", data=data, headers=self._headers)  # noqa: S310  the base is our own loopback address
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
                content: bytes = answer.read()
                return content
        except urllib.error.HTTPError as error:
            content = error.read()
            try:
                problem = json.loads(content)
            except ValueError:
                problem = {"title": error.reason, "detail": content.decode(errors="replace")[:200]}
            raise ApiError(error.code, problem) from error
        except (OSError, http.client.HTTPException) as error:
            raise ApiError(0, {"title": "no answer", "detail": f"{self._base}: {error}"}) from error

    def get(self, path: str) -> Any:
        """The answer's JSON."""
        return json.loads(self.bytes(path))

    def post(self, path: str, body: object) -> Any:
        """The JSON that answers a posted JSON."""
        return json.loads(self.bytes(path, body))
