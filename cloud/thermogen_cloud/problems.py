"""Errors over HTTP: RFC 9457 problem documents that say what happened, to what, and what to do."""

from __future__ import annotations

import logging
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from .accounting import UnbalancedBooksError
from .errors import CloudError, OperatorError, RefusedError

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"


class Problem(BaseModel):
    """An RFC 9457 problem, with what to do about it."""

    type: str = Field(
        description="urn:thermogen:problem:NAME, one name a kind of problem", examples=["urn:thermogen:problem:epoch-already-used"]
    )
    title: str
    status: int
    detail: str = Field(description="what happened, to what")
    remedy: str = Field(description="what the caller can do")


def describe(error: CloudError) -> Problem:
    """The problem document of one of our errors."""
    if isinstance(error, RefusedError):
        slug, title, status = error.slug, error.title, error.status
    elif isinstance(error, OperatorError):
        slug, title, status = "not-available", "The cloud cannot do that now", HTTPStatus.SERVICE_UNAVAILABLE
    elif isinstance(error, UnbalancedBooksError):
        slug, title, status = "books-do-not-balance", "Registry and ledger disagree", HTTPStatus.INTERNAL_SERVER_ERROR
    else:
        slug, title, status = "failed", "The ledger did not do what was asked", HTTPStatus.BAD_GATEWAY
    return Problem(type=f"urn:thermogen:problem:{slug}", title=title, status=int(status), detail=str(error), remedy=error.remedy)


def answer(problem: Problem, headers: dict[str, str] | None = None) -> JSONResponse:
    """The problem as a response."""
    return JSONResponse(problem.model_dump(), problem.status, headers, MEDIA_TYPE)


def install(application: FastAPI) -> None:
    """Makes every error of the application a problem document."""

    @application.exception_handler(CloudError)
    def _ours(_: Request, error: CloudError) -> JSONResponse:
        return answer(describe(error))

    @application.exception_handler(RequestValidationError)
    def _invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        faults = "; ".join(f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}" for fault in error.errors())
        return answer(
            Problem(
                type="urn:thermogen:problem:invalid-request",
                title="The request does not have the form that the API describes",
                status=422,
                detail=faults,
                remedy="compare it with /openapi.json",
            )
        )

    @application.exception_handler(HTTPException)
    def _http(request: Request, error: HTTPException) -> JSONResponse:
        status = HTTPStatus(error.status_code)
        remedies = {
            HTTPStatus.UNAUTHORIZED: "give the user viewer and the password that the cloud's directory has in viewer.password, "
            "or what THERMOGEN_VIEWER and THERMOGEN_VIEWER_PASSWORD_FILE say instead",
            HTTPStatus.NOT_FOUND: "look at /docs for what there is and where: THERMOGEN_API_PREFIX sets where the API begins",
        }
        return answer(
            Problem(
                type="about:blank",
                title=status.phrase,
                status=status,
                detail=f"{request.method} {request.url.path}: {error.detail}",
                remedy=remedies.get(status, "look at /docs for what is allowed"),
            ),
            dict(error.headers or {}),
        )

    @application.exception_handler(Exception)
    def _fault(request: Request, error: Exception) -> JSONResponse:
        log.error("fault in %s %s", request.method, request.url.path, exc_info=error)
        return answer(
            Problem(
                type="urn:thermogen:problem:fault",
                title="A fault in this program",
                status=500,
                detail=f"{request.method} {request.url.path} failed",
                remedy="the log of thermogen-cloud says where; report it",
            )
        )
