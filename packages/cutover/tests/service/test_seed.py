"""Filling a database through HTTP: in order, references resolved, every refusal an error."""

from __future__ import annotations

import msgspec
import pytest
from cutover.core.material import SeedWrite
from cutover.errors import ReleaseUnreachable
from cutover.ports import Reply
from cutover.service.seed import fill, resolve_references

from packages.cutover.tests.service.fakes import FakeHttp, make_reply

URL = "http://127.0.0.1:1"
PATH = "/v1/memory/add/constraint"


def make_write(name: str, body: object) -> SeedWrite:
    return SeedWrite(name=name, path=PATH, body=msgspec.Raw(msgspec.json.encode(body)))


@pytest.fixture
def http() -> FakeHttp:
    http = FakeHttp()
    count = iter(range(1, 100))

    def reply(_body: bytes | None) -> Reply:
        return make_reply(body=msgspec.json.encode({"data": {"memory_version_id": f"ID{next(count)}"}}))

    http.replies[URL + PATH] = reply
    return http


def test_writes_are_posted_in_order_and_named_by_their_ids(http: FakeHttp) -> None:
    assert fill(http, URL, [make_write("a", {"n": 1}), make_write("b", {"n": 2})], headers={}) == {
        "a": "ID1",
        "b": "ID2",
    }
    assert [msgspec.json.decode(body or b"") for _, _, body in http.requests] == [{"n": 1}, {"n": 2}]


def test_a_reference_stands_for_the_id_of_an_earlier_write(http: FakeHttp) -> None:
    fill(http, URL, [make_write("a", {}), make_write("b", {"supersedes": ["{{id:a}}"]})], headers={})
    assert msgspec.json.decode(http.requests[1][2] or b"") == {"supersedes": ["ID1"]}


def test_a_reference_to_nothing_is_an_error_before_anything_is_sent(http: FakeHttp) -> None:
    with pytest.raises(ReleaseUnreachable, match="refers to later, which no earlier line writes"):
        fill(http, URL, [make_write("a", {"supersedes": ["{{id:later}}"]})], headers={})
    assert http.requests == []


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [(422, b"{}", "was answered 422"), (200, b"{}", "without an id"), (200, b"no json", "without an id")],
)
def test_a_write_that_is_not_answered_with_its_id_is_an_error(
    http: FakeHttp, status: int, body: bytes, reason: str
) -> None:
    http.put(URL + PATH, status, body)
    with pytest.raises(ReleaseUnreachable, match=reason):
        fill(http, URL, [make_write("a", {})], headers={})


def test_references_without_an_id_name_what_is_missing() -> None:
    assert resolve_references(b"x {{id:a}} {{id:a}}", {"a": "1"}) == b"x 1 1"
    with pytest.raises(KeyError, match="b"):
        resolve_references(b"{{id:b}}", {"a": "1"})
