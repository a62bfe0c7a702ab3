"""One request to the release under test: no proxies, no redirects, no retries, a deadline."""

import json
import os
import tomllib
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RELEASE = tomllib.loads((ROOT / "release.toml").read_text("utf-8"))
CONTRACT = RELEASE["service_contract"]
DEADLINE_S = 5.0


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_arguments: object) -> None:
        return None


OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}), NoRedirect)


@dataclass(frozen=True, kw_only=True)
class Reply:
    status: int
    content_type: str
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def request(
    method: str, path: str, payload: object = None, *, raw: bytes | None = None, media: str = "application/json"
) -> Reply:
    """Send one request in the contract of this release; an error status is a reply like any other."""
    data = raw if raw is not None else (None if payload is None else json.dumps(payload).encode())
    headers = {"Service-Contract-Version": CONTRACT, "Accept": "application/json"}
    if data is not None:
        headers["Content-Type"] = media
    url = os.environ["CUTOVER_PRODUCER_URL"].rstrip("/") + path
    outgoing = urllib.request.Request(url, data=data, method=method, headers=headers)
    try:
        with OPENER.open(outgoing, timeout=DEADLINE_S) as reply:
            return Reply(status=reply.status, content_type=reply.headers.get("Content-Type", ""), body=reply.read())
    except urllib.error.HTTPError as error:
        with error:
            return Reply(status=error.code, content_type=error.headers.get("Content-Type", ""), body=error.read())


def ask(actor: str, action: str, resource: str, text: str = "may I?") -> Reply:
    question = {"text": text, "actor": actor, "action": action, "resource": resource, "as_of": None}
    return request("POST", "/v1/query/ask", question)
