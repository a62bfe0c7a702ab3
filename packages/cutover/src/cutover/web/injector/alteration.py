"""What the faults that change a complete reply make of it. Pure: same reply, same change.

A reply that a fault does not concern (no JSON envelope where an envelope is changed, a success where
errors are) passes unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec
from contracts.core.service import SERVICE_V2, SERVICE_V3

from cutover.web.http1.message import MAX_BODY_BYTES, Request, Response

QUESTION_PATHS: Final = ("/v1/query/ask", "/v1/query/recall")
_JSON: Final = [(b"content-type", b"application/json")]
_UNKNOWN_CODE: Final = "tea_is_ready"

Document = dict[str, Any]
Change = Callable[[Request, Response], Response]


def make_error(request: Request, code: str, message: str) -> Response:
    """Return a 500 error envelope in the contract that the request names (service.v3 when it names none)."""
    named = request.header(b"service-contract-version")
    contract = SERVICE_V3 if named is None else named.decode("latin-1")
    body: Document = {"service_contract_version": contract, "error": {"code": code, "message": message}}
    if contract == SERVICE_V2:
        body["legacy_error"] = message
    return Response(500, list(_JSON), msgspec.json.encode(body))


def _document(change: Callable[[Document], bool]) -> Change:
    """Make a change of a JSON object (which says whether it changed anything) a change of a reply."""

    def apply(_request: Request, response: Response) -> Response:
        try:
            body = msgspec.json.decode(response.body, type=Document)
        except msgspec.MsgspecError:
            return response
        if not change(body):
            return response
        return Response(response.status, response.headers, msgspec.json.encode(body))

    return apply


def _add_field(body: Document) -> bool:
    body["surprise"] = True
    return True


def _drop_field(body: Document) -> bool:
    error = body.get("error")
    if isinstance(error, dict):
        return error.pop("message", None) is not None
    return body.pop("api_contract_version", None) is not None


def _change_version(body: Document) -> bool:
    body["service_contract_version"] = "service.v9"
    return True


def _add_legacy_error(body: Document) -> bool:
    error = body.get("error")
    if isinstance(error, dict):
        body["legacy_error"] = error.get("message", "")
    return isinstance(error, dict)


def _alter_draft(body: Document) -> bool:
    draft = body.get("draft")
    text = draft.get("text") if isinstance(draft, dict) else None
    if not isinstance(text, str) or not text:
        return False
    body["draft"]["text"] = text[:-1] + ("." if text[-1] != "." else "!")
    return True


def _replace_body(make: Callable[[bytes], bytes]) -> Change:
    return lambda _request, response: Response(response.status, response.headers, make(response.body))


def _redirect(request: Request, _response: Response) -> Response:
    return Response(307, [(b"location", request.target)], b"")


def _call_it_html(_request: Request, response: Response) -> Response:
    kept = [header for header in response.headers if header[0] != b"content-type"]
    return Response(response.status, [*kept, (b"content-type", b"text/html")], response.body)


def _repeat_first_key(body: bytes) -> bytes:
    return b'{"service_contract_version":"service.v9",' + body[1:] if body.startswith(b"{") else body


ALTERATIONS: Final[Mapping[str, Change]] = MappingProxyType(
    {
        "empty": _replace_body(lambda _body: b""),
        "bad-json": _replace_body(lambda body: body[:-1] + b","),
        "duplicate-keys": _replace_body(_repeat_first_key),
        "extra-field": _document(_add_field),
        "missing-field": _document(_drop_field),
        "wrong-version": _document(_change_version),
        "unknown-code": lambda request, _response: make_error(request, _UNKNOWN_CODE, "a code nobody knows"),
        "non-2xx-extra": _document(_add_legacy_error),
        "redirect": _redirect,
        "wrong-content-type": _call_it_html,
        "oversized": _replace_body(lambda body: body + b" " * (2 * MAX_BODY_BYTES)),
        "altered": _document(_alter_draft),
    }
)
"""Fault -> what it makes of a reply."""
