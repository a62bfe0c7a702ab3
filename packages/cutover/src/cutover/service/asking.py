"""Ask a release a policy question, without judging the answer."""

from __future__ import annotations

import hashlib

import msgspec

from cutover.core.material import Question
from cutover.core.program import ReleaseTarget
from cutover.errors import ReleaseUnreachable
from cutover.ports import Http, Reply

PATH = "/v1/query/ask"


class _Result(msgspec.Struct):
    result: str


class _Answer(msgspec.Struct):
    answer: _Result


class _Asked(msgspec.Struct):
    data: _Answer


def ask(http: Http, url: str, release: ReleaseTarget, question: Question, *, as_of: str | None) -> Reply:
    """Send a question in the release's contract.

    Raises:
        ReleaseUnreachable: When no complete reply came.
    """
    body = {
        "text": question.text,
        "actor": question.actor,
        "action": question.action,
        "resource": question.resource,
        "as_of": question.as_of or as_of,
    }
    headers = {
        "Content-Type": "application/json",
        "Service-Contract-Version": release.service_contract_version,
    }
    return http.request("POST", url + PATH, headers=headers, body=msgspec.json.encode(body))


def ask_result(
    http: Http, url: str, release: ReleaseTarget, question: Question, *, as_of: str | None
) -> str | None:
    """Return allow, deny or inconclusive; None for an error of any kind."""
    try:
        reply = ask(http, url, release, question, as_of=as_of)
        return (
            msgspec.json.decode(reply.body, type=_Asked).data.answer.result if reply.status == 200 else None
        )
    except (ReleaseUnreachable, msgspec.MsgspecError):
        return None


def digest_reply(reply: Reply) -> str:
    """Return a digest of status and body, to compare replies byte for byte."""
    return hashlib.sha256(b"%d\n" % reply.status + reply.body).hexdigest()
