"""One request to the producer, in the contract that this commit is pinned to. No proxies, redirects or retries."""

import json
import os
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PIN = json.loads((ROOT / "config" / "memorykernel-integration-pin.json").read_bytes())


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_arguments: object) -> None:
        return None


OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}), NoRedirect)


@dataclass(frozen=True, kw_only=True)
class Reply:
    status: int
    json: Any


def request(method: str, path: str, payload: object = None, *, raw: bytes | None = None) -> Reply:
    """Send one request; an error status is a reply like any other."""
    data = raw if raw is not None else (None if payload is None else json.dumps(payload).encode())
    headers = {"Service-Contract-Version": PIN["expected_service_contract_version"]}
    if data is not None:
        headers["Content-Type"] = "application/json"
    url = os.environ["CUTOVER_PRODUCER_URL"].rstrip("/") + path
    outgoing = urllib.request.Request(url, data=data, method=method, headers=headers)
    try:
        with OPENER.open(outgoing, timeout=PIN["default_timeout_ms"] / 1000) as reply:
            return Reply(status=reply.status, json=json.load(reply))
    except urllib.error.HTTPError as error:
        with error:
            return Reply(status=error.code, json=json.load(error))


def ask(actor: str, action: str, resource: str, text: str = "may I?") -> Reply:
    question = {"text": text, "actor": actor, "action": action, "resource": resource, "as_of": None}
    return request("POST", "/v1/query/ask", question)
