"""The running consumer over its JSON API: drafts, their policy answers, and its governance.

The draft's digest is computed here, over the bytes that arrived; what the consumer says of itself is
compared elsewhere. Replies are read strictly.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import quote

import msgspec
from contracts.core.strict_json import parse_json
from contracts.errors import MalformedDocument

from cutover.errors import KeyUnusable, Refused, ReleaseUnreachable
from cutover.ports import Drafted, Http, Reply

MAX_REPLY_BYTES: Final = 1 << 20
PENDING: Final = "pending"
_LONGEST_WAIT_MS: Final = 5000
_SLACK_S: Final = 0.5
R = TypeVar("R", bound=msgspec.Struct)


class _Text(msgspec.Struct, frozen=True):
    text: str


class _Policy(msgspec.Struct, frozen=True):
    status: str
    reason: str | None = None
    release_tag: str | None = None


class _Draft(msgspec.Struct, frozen=True):
    draft_id: str
    draft: _Text
    policy: _Policy


class _Governance(msgspec.Struct, frozen=True):
    commit: str


class _Pin(msgspec.Struct, frozen=True):
    release_tag: str


class _Status(msgspec.Struct, frozen=True):
    governance: _Governance
    pin: _Pin | None = None


class _Reload(msgspec.Struct, frozen=True):
    outcome: str
    commit: str
    reason: str | None = None


class HttpConsumer:
    """`ports.ConsumerControl` over HTTP.

    Args:
        http: Loopback HTTP.
        url: Base URL of the consumer.
        token_file: File with the token for its reload endpoint; read for every reload.
    """

    def __init__(self, http: Http, url: str, token_file: Path) -> None:
        self._http = http
        self._url = url.rstrip("/")
        self._token_file = token_file

    def draft(self, ticket: Mapping[str, str], *, enrichment: bool, timeout_s: float) -> Drafted:
        """Draft one ticket (`ticket_id`, `subject`, `text`).

        Raises:
            ReleaseUnreachable: When no complete draft came in time.
        """
        body = msgspec.json.encode({**ticket, "enrichment": enrichment})
        reply = self._http.request(
            "POST",
            f"{self._url}/api/v1/drafts",
            headers={"content-type": "application/json"},
            body=body,
            timeout_s=timeout_s,
        )
        made = _read(reply, _Draft, "draft")
        return Drafted(
            draft_id=made.draft_id,
            sha256=hashlib.sha256(made.draft.text.encode()).hexdigest(),
            policy_status=made.policy.status,
            policy_reason=made.policy.reason,
            release_tag=made.policy.release_tag,
            elapsed_s=reply.elapsed_s,
        )

    def settle(self, draft: Drafted, *, timeout_s: float) -> Drafted:
        """Return the draft with its policy status final; still pending when it did not settle in time.

        Raises:
            ReleaseUnreachable: When the consumer does not answer.
        """
        deadline = time.monotonic() + timeout_s
        while draft.policy_status == PENDING and (left := deadline - time.monotonic()) > 0:
            wait_ms = min(int(left * 1000) + 1, _LONGEST_WAIT_MS)
            url = f"{self._url}/api/v1/drafts/{quote(draft.draft_id, safe='')}/policy?wait_ms={wait_ms}"
            policy = _read(
                self._http.request("GET", url, timeout_s=wait_ms / 1000 + _SLACK_S), _Policy, "policy answer"
            )
            draft = msgspec.structs.replace(
                draft,
                policy_status=policy.status,
                policy_reason=policy.reason,
                release_tag=policy.release_tag,
            )
        return draft

    def governance_commit(self) -> str:
        """Return the commit that it runs on.

        Raises:
            ReleaseUnreachable: When it does not answer.
        """
        return self._status().governance.commit

    def release_tag(self) -> str | None:
        """Return the producer release that its pin names; None without a pin.

        Raises:
            ReleaseUnreachable: When it does not answer.
        """
        pin = self._status().pin
        return None if pin is None else pin.release_tag

    def reload(self) -> str:
        """Make it read its governance anew; return the commit it runs on afterwards.

        Raises:
            Refused: When it refused the new pin, with its reason.
            KeyUnusable: When the token is missing or not accepted.
            ReleaseUnreachable: When it does not answer.
        """
        reply = self._http.request(
            "POST",
            f"{self._url}/api/v1/governance/reload",
            headers={"authorization": f"Bearer {self._token()}"},
            timeout_s=10.0,
        )
        if reply.status == 401:
            raise KeyUnusable(
                f"the consumer does not accept the token in {self._token_file}; compare both files"
            )
        said = _read(reply, _Reload, "reload", allowed=(200, 409))
        if reply.status == 409:
            raise Refused(
                f"the consumer refused its new pin and stays on {said.commit[:12]}: {said.reason}; "
                "see its integration status"
            )
        return said.commit

    def _status(self) -> _Status:
        return _read(self._http.request("GET", f"{self._url}/api/v1/status"), _Status, "status")

    def _token(self) -> str:
        try:
            return self._token_file.read_text().strip()
        except OSError as exc:
            raise KeyUnusable(
                f"{self._token_file} cannot be read: {exc.strerror}; expected the token"
            ) from exc


def _read(reply: Reply, kind: type[R], what: str, *, allowed: tuple[int, ...] = (200,)) -> R:
    if reply.status not in allowed:
        raise ReleaseUnreachable(f"the consumer answered {reply.status} instead of a {what}; see its log")
    try:
        return msgspec.convert(parse_json(reply.body, max_bytes=MAX_REPLY_BYTES), kind)
    except (MalformedDocument, msgspec.ValidationError) as exc:
        raise ReleaseUnreachable(f"the consumer's {what} does not read: {exc}; see its log") from exc
