"""The consumer's JSON API, read strictly; replies are what a fake HTTP hands out."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest
from cutover.adapters.consumer_client import HttpConsumer
from cutover.errors import KeyUnusable, Refused, ReleaseUnreachable
from cutover.ports import Reply

URL = "http://127.0.0.1:4020"
TICKET = {"ticket_id": "t1", "subject": "s", "text": "May I?"}
APPLIED = {"status": "applied", "reason": None, "release_tag": "v0.4.0", "answer": {"result": "allow"}}
PENDING = {"status": "pending", "reason": None, "release_tag": None}


class FakeHttp:
    """Hands out replies in order and keeps what was asked."""

    def __init__(self, *replies: tuple[int, object]) -> None:
        self._replies = list(replies)
        self.asked: list[tuple[str, str, Mapping[str, str], bytes | None]] = []

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout_s: float = 5.0,
    ) -> Reply:
        assert timeout_s > 0
        self.asked.append((method, url, headers or {}, body))
        status, document = self._replies.pop(0)
        data = document if isinstance(document, bytes) else msgspec.json.encode(document)
        return Reply(status=status, headers={}, body=data, elapsed_s=0.01)


@pytest.fixture
def token(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text("secret\n")
    return path


def _draft(policy: object, text: str = "Dear Ärzte") -> dict[str, object]:
    return {"draft_id": "d/1", "draft": {"text": text, "sha256": "0" * 64}, "policy": policy}


def test_the_digest_is_computed_over_the_text_that_arrived(token: Path) -> None:
    http = FakeHttp((200, _draft(APPLIED)))
    made = HttpConsumer(http, URL, token).draft(TICKET, enrichment=True, timeout_s=1.0)
    assert made.sha256 == hashlib.sha256("Dear Ärzte".encode()).hexdigest()
    assert (made.policy_status, made.release_tag) == ("applied", "v0.4.0")
    assert msgspec.json.decode(http.asked[0][3] or b"") == {**TICKET, "enrichment": True}


def test_a_pending_answer_is_waited_for(token: Path) -> None:
    http = FakeHttp((200, _draft(PENDING)), (200, PENDING), (200, APPLIED))
    consumer = HttpConsumer(http, URL, token)
    made = consumer.draft(TICKET, enrichment=True, timeout_s=1.0)
    assert consumer.settle(made, timeout_s=5.0).policy_status == "applied"
    assert http.asked[1][1].startswith(f"{URL}/api/v1/drafts/d%2F1/policy?wait_ms=")


def test_a_final_answer_is_not_asked_for_again(token: Path) -> None:
    http = FakeHttp((200, _draft(APPLIED)))
    consumer = HttpConsumer(http, URL, token)
    consumer.settle(consumer.draft(TICKET, enrichment=True, timeout_s=1.0), timeout_s=5.0)
    assert len(http.asked) == 1


@pytest.mark.parametrize(
    "reply",
    [
        (500, {"error": "x"}),
        (200, b"not json"),
        (200, {"draft_id": "d"}),
        (200, b'{"draft_id": "d", "draft_id": "e", "draft": {"text": "x"}, "policy": {"status": "applied"}}'),
    ],
)
def test_a_reply_that_is_no_draft_is_no_draft(token: Path, reply: tuple[int, object]) -> None:
    with pytest.raises(ReleaseUnreachable):
        HttpConsumer(FakeHttp(reply), URL, token).draft(TICKET, enrichment=True, timeout_s=1.0)


def test_status_names_commit_and_release(token: Path) -> None:
    status = {"governance": {"commit": "a" * 40}, "pin": {"release_tag": "v0.3.2"}, "version": "1"}
    consumer = HttpConsumer(
        FakeHttp((200, status), (200, status), (200, {**status, "pin": None})), URL, token
    )
    assert consumer.governance_commit() == "a" * 40
    assert consumer.release_tag() == "v0.3.2"
    assert consumer.release_tag() is None


def test_a_reload_carries_the_token_and_returns_the_commit(token: Path) -> None:
    http = FakeHttp((200, {"outcome": "swapped", "commit": "b" * 40, "reason": None}))
    assert HttpConsumer(http, URL, token).reload() == "b" * 40
    assert http.asked[0][2] == {"authorization": "Bearer secret"}


def test_a_refused_pin_is_refused_with_its_reason(token: Path) -> None:
    reply = (409, {"outcome": "refused", "commit": "a" * 40, "reason": "version-mismatch"})
    with pytest.raises(Refused, match="version-mismatch"):
        HttpConsumer(FakeHttp(reply), URL, token).reload()


def test_a_token_that_is_missing_or_wrong_is_said(token: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyUnusable, match="does not accept the token"):
        HttpConsumer(FakeHttp((401, {})), URL, token).reload()
    with pytest.raises(KeyUnusable, match="cannot be read"):
        HttpConsumer(FakeHttp(), URL, tmp_path / "nope").reload()
