"""A service contract as the gateway enforces it: which routes pass, and what a reply must look like.

Routes come from the contract's published OpenAPI document, policies from `contracts.core.envelope`; the
gateway adds none of its own. Source: cutover-program, "Switch"; wire contract, section 1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from contracts.core.envelope import POLICIES, Breach, BreachCode, EnvelopePolicy, check_reply
from contracts.core.openapi import parse_openapi
from contracts.core.service import OPENAPI_MEDIA_TYPE
from contracts.documents import load_openapi

from cutover.web.http1.message import MAX_BODY_BYTES, Response

ANSWER_ROUTE: Final = "POST /v1/query/ask"
"""A 200 here is a policy answer; the first one after a way back is what the way back is measured to."""
_DOCUMENT_PATH: Final = "/v1/openapi"
_METHODS: Final = ("get", "put", "post", "delete", "patch")
_PARAMETER: Final = re.compile(r"\{[^/{}]+\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """One service contract.

    Args:
        name: As in `Service-Contract-Version`.
        policy: What every enveloped reply must obey.
        exact: Path -> methods, for paths without parameters.
        templates: Pattern, path template and methods of the others.
    """

    name: str
    policy: EnvelopePolicy
    exact: Mapping[str, frozenset[str]]
    templates: Sequence[tuple[re.Pattern[str], str, frozenset[str]]]

    def match(self, path: str) -> tuple[str, frozenset[str]] | None:
        """Return the template that a path (undecoded, without query) fits and its methods, or None."""
        if (methods := self.exact.get(path)) is not None:
            return path, methods
        for pattern, template, methods in self.templates:
            if pattern.fullmatch(path):
                return template, methods
        return None

    def check(self, template: str, response: Response) -> tuple[Breach, ...]:
        """Return every breach of a complete reply. Pure.

        The document's own success carries no envelope: only its media type is judged.
        """
        media_type = response.header(b"content-type")
        content_type = None if media_type is None else media_type.decode("latin-1")
        if template == _DOCUMENT_PATH and response.status == 200:
            return _check_document(content_type)
        return check_reply(
            self.policy,
            status=response.status,
            content_type=content_type,
            body=response.body,
            max_bytes=MAX_BODY_BYTES,
        )


def _check_document(content_type: str | None) -> tuple[Breach, ...]:
    media_type = (content_type or "none").partition(";")[0].strip().lower()
    if media_type == OPENAPI_MEDIA_TYPE:
        return ()
    detail = f"expected {OPENAPI_MEDIA_TYPE}, got {media_type[:80]}"
    return (Breach(code=BreachCode.WRONG_TYPE, field="content-type", detail=detail),)


def load_contract(name: str) -> Contract:
    """Load a known contract from its OpenAPI document."""
    exact: dict[str, frozenset[str]] = {}
    templates: list[tuple[re.Pattern[str], str, frozenset[str]]] = []
    paths = parse_openapi(load_openapi(name))["paths"]
    for template, item in paths.items() if isinstance(paths, dict) else ():
        methods = frozenset(m.upper() for m in _METHODS if isinstance(item, dict) and m in item)
        if _PARAMETER.search(template):
            literals = map(re.escape, _PARAMETER.split(template))
            templates.append((re.compile("[^/]+".join(literals)), template, methods))
        else:
            exact[template] = methods
    return Contract(name=name, policy=POLICIES[name], exact=exact, templates=tuple(templates))


CONTRACTS: Final[Mapping[str, Contract]] = MappingProxyType({name: load_contract(name) for name in POLICIES})
"""Every contract that a request may name."""
