"""The OpenAPI document of the JSON API, made from the records that are really sent."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import msgspec

from assistsupport.core.policy_question import PolicyOutcome
from assistsupport.web.wire import (
    DraftBody,
    DraftView,
    ErrorView,
    LiveView,
    ReadyView,
    ReloadView,
    SearchView,
    StatusView,
    TicketsView,
)

_BODIES = (
    DraftBody,
    DraftView,
    ErrorView,
    LiveView,
    PolicyOutcome,
    ReadyView,
    ReloadView,
    SearchView,
    StatusView,
    TicketsView,
)
_DRAFT_ID = {"name": "draft_id", "in": "path", "required": True, "schema": {"type": "string"}}


@cache
def describe_api(version: str) -> Mapping[str, Any]:
    """Return the document, OpenAPI 3.1. Pure."""
    _, schemas = msgspec.json.schema_components(_BODIES, ref_template="#/components/schemas/{name}")
    for schema in schemas.values():  # a docstring's first paragraph describes the record, the rest is for us
        schema["description"] = schema.get("description", "").split("\n\n")[0]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "AssistSupport",
            "version": version,
            "summary": "Cited replies to support tickets, with the policy answer beside them.",
            "description": "A draft's bytes depend on the ticket and the knowledge base only. No reply waits "
            "for the policy service; its answer comes in `policy`, at once or later.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": _paths(),
        "components": {
            "schemas": schemas,
            "securitySchemes": {"controlToken": {"type": "http", "scheme": "bearer"}},
        },
    }


def _paths() -> dict[str, Any]:
    return {
        "/health/live": {"get": _operation("getLive", "The process answers.", LiveView)},
        "/health/ready": {
            "get": _operation(
                "getReady", "Drafts can be made; the producer does not matter for that.", ReadyView, 503
            )
        },
        "/api/v1/drafts": {
            "post": _operation(
                "createDraft",
                "Draft a reply; never waits for the producer.",
                DraftView,
                400,
                413,
                415,
                422,
                503,
            )
            | {"requestBody": {"required": True, "content": _content(DraftBody)}}
        },
        "/api/v1/drafts/{draft_id}/policy": {
            "get": _operation(
                "getPolicy", "The policy outcome, as it is or a moment later.", PolicyOutcome, 404, 422
            )
            | {"parameters": [_DRAFT_ID, _number("wait_ms", "How long to wait for a pending one.", 0, 5_000)]}
        },
        "/api/v1/drafts/{draft_id}/events": {
            "get": {
                "operationId": "streamEvents",
                "summary": "One `policy` event when the outcome is there, then the end.",
                "parameters": [_DRAFT_ID],
                "responses": {
                    "200": {
                        "description": "Events.",
                        "content": {"text/event-stream": {"schema": {"type": "string"}}},
                    },
                    "404": _refusal(),
                },
            }
        },
        "/api/v1/status": {"get": _operation("getStatus", "How the desk stands.", StatusView, 503)},
        "/api/v1/governance/reload": {
            "post": _operation(
                "reloadGovernance", "Read the governance ref anew, preflight, swap.", ReloadView, 401
            )
            | {"security": [{"controlToken": []}]}
        },
        "/api/v1/tickets": {"get": _operation("listTickets", "The inbox.", TicketsView)},
        "/api/v1/search": {
            "get": _operation("search", "Articles, best first.", SearchView, 422, 503)
            | {
                "parameters": [
                    {"name": "q", "in": "query", "schema": {"type": "string", "maxLength": 2_000}},
                    _number("limit", "How many.", 10, 50),
                ]
            }
        },
    }


def _operation(name: str, summary: str, reply: type, *refusals: int) -> dict[str, Any]:
    responses: dict[str, Any] = {"200": {"description": summary, "content": _content(reply)}}
    if reply is ReloadView:
        responses["409"] = {
            "description": "The new pin is refused; the old one runs on.",
            "content": _content(reply),
        }
    responses |= {str(status): _refusal() for status in refusals}
    return {"operationId": name, "summary": summary, "responses": responses}


def _content(body: type) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{body.__name__}"}}}


def _refusal() -> dict[str, Any]:
    return {"description": "Refused.", "content": _content(ErrorView)}


def _number(name: str, what: str, default: int, limit: int) -> dict[str, Any]:
    schema = {"type": "integer", "minimum": 0, "maximum": limit, "default": default}
    return {"name": name, "in": "query", "description": what, "schema": schema}
