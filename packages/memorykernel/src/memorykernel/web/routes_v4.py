"""The endpoints of service.v4: the eleven published ones with what they gained, and the new ones.

Parse, one service call, render. A read that names a token waits until the store has seen that write. A write
answers with the token of the state after it, and says in a header when it makes questions undecidable.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec
from msgspec import UNSET
from starlette.requests import Request
from starlette.responses import Response

from memorykernel.core.explain_request import Compare, FindBlastRadius
from memorykernel.core.request import (
    AddConstraintV4,
    AddLink,
    AddMembership,
    AddRecord,
    AddSummaryV4,
    AskV4,
    RecallV4,
    read_request,
)
from memorykernel.core.ticket import Ticket
from memorykernel.errors import QueryFailed
from memorykernel.service.clock_care import ClockCare
from memorykernel.service.freshness import parse_token, write_token
from memorykernel.service.idempotency import Written, check_key
from memorykernel.service.suite import Suite
from memorykernel.web.body import parse_body, read_body, require_json
from memorykernel.web.envelope import Envelopes
from memorykernel.web.limits import CURRENT
from memorykernel.web.routes import JSON, Endpoints, Handler, Ready, Result, Taken
from memorykernel.web.worker import Worker

TOKEN_HEADER: Final = "Memory-Token"  # noqa: S105  # the name of a state, no secret
KEY_HEADER: Final = "Idempotency-Key"
WARNING_HEADER: Final = "Memory-Warning"

_WAIT_S: Final = 2.0
"""How long a read waits for the write that it names."""

_POLL_S: Final = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Aside:
    """Where searches run that take long, so that nobody's question waits for them.

    Attributes:
        suite: On connections of its own.
        worker: Its thread owns them.
    """

    suite: Suite
    worker: Worker


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointsV4:
    """The endpoints over their use cases.

    Attributes:
        base: The published endpoints, with service.v4's envelopes; what did not change is theirs.
        suite: The use cases that service.v4 adds.
        aside: The same, for what takes long.
        clock_care: What readiness warns of.
    """

    base: Endpoints
    suite: Suite
    aside: Aside
    clock_care: ClockCare

    @property
    def envelopes(self) -> Envelopes:
        """The envelopes of service.v4."""
        return self.base.envelopes

    def table(self) -> dict[str, dict[str, Handler]]:
        """Path -> method -> handler, as the contract lists them."""
        context = "/v1/context/{context_package_id}"
        return {
            **self.base.table(),
            "/v1/ready": {"GET": self.ready},
            "/v1/memory/add/constraint": {"POST": self.add_constraint},
            "/v1/memory/add/summary": {"POST": self.add_summary},
            "/v1/memory/add/membership": {"POST": self.add_membership},
            "/v1/memory/check/constraint": {"POST": self.check_constraint},
            "/v1/memory/link": {"POST": self.add_link},
            "/v1/memory/record/{memory_version_id}": {"GET": self.show_record},
            "/v1/memory/lineage/{memory_id}": {"GET": self.show_lineage},
            "/v1/query/ask": {"POST": self.ask},
            "/v1/query/recall": {"POST": self.recall},
            context: {"GET": self.show_context},
            f"{context}/exclusions": {"GET": self.list_exclusions},
            f"{context}/replay": {"GET": self.replay},
            f"{context}/proof": {"GET": self.prove},
            f"{context}/counterfactual": {"GET": self.find_flips},
            "/v1/explain/blast-radius": {"POST": self.find_blast_radius},
            "/v1/explain/compare": {"POST": self.compare},
        }

    async def ready(self, _: Request) -> Response:
        """Readiness, with what an operator should know although requests are answered."""

        def check() -> bytes:
            checks, warnings = self.base.check_ready(), self.clock_care.list_warnings()
            return _encode(Ready(checks=checks, warnings=warnings or UNSET))

        return self._succeed(await self._work(check))

    async def add_constraint(self, request: Request) -> Response:
        """Remember a constraint."""
        return await self._add_record(request, AddConstraintV4)

    async def add_summary(self, request: Request) -> Response:
        """Remember a decision, preference, event or outcome."""
        return await self._add_record(request, AddSummaryV4)

    async def add_membership(self, request: Request) -> Response:
        """Remember that a value belongs to a group."""
        return await self._add_record(request, AddMembership)

    async def add_link(self, request: Request) -> Response:
        """State how one version relates to another."""
        key = _read_key(request)
        return await self._write(request, AddLink, lambda asked: self.suite.guarding.add_link(asked, key=key))

    async def check_constraint(self, request: Request) -> Response:
        """What a constraint would contradict."""
        check = self.suite.guarding.check_constraint
        return await self._post(request, AddConstraintV4, lambda asked: _encode(check(asked)))

    async def show_record(self, request: Request) -> Response:
        """One version of a memory."""
        version_id = request.path_params["memory_version_id"]
        return await self._get(request, lambda: _encode(self.suite.lineage.show_record(version_id)))

    async def show_lineage(self, request: Request) -> Response:
        """The versions of a memory."""
        memory_id = request.path_params["memory_id"]
        return await self._get(request, lambda: _encode(self.suite.lineage.show_memory(memory_id)))

    async def ask(self, request: Request) -> Response:
        """Answer a policy question."""
        return await self._post(request, AskV4, self.base.asking.begin_ask)

    async def recall(self, request: Request) -> Response:
        """Answer what is remembered."""
        return await self._post(request, RecallV4, self.base.asking.begin_recall)

    async def show_context(self, request: Request) -> Response:
        """A kept answer, byte for byte."""
        package_id = _read_package_id(request)
        return await self._get(request, lambda: self.base.asking.find(package_id))

    async def list_exclusions(self, request: Request) -> Response:
        """One page of what does not count in an answer."""
        package_id, cursor = _read_package_id(request), request.query_params.get("cursor")
        return await self._get(request, lambda: _encode(self.suite.exclusions.list_page(package_id, cursor)))

    async def replay(self, request: Request) -> Response:
        """A kept answer, computed again and compared."""
        package_id = _read_package_id(request)
        return await self._get(request, lambda: _encode(self.suite.replaying.replay(package_id)))

    async def prove(self, request: Request) -> Response:
        """The proof of a kept answer."""
        package_id = _read_package_id(request)
        return await self._get(request, lambda: _encode(self.suite.proving.prove(package_id)))

    async def find_flips(self, request: Request) -> Response:
        """What would flip a kept answer."""
        package_id, find = _read_package_id(request), self.aside.suite.explaining.find_flips
        return await self._get(request, lambda: _encode(find(package_id)), self.aside.worker)

    async def find_blast_radius(self, request: Request) -> Response:
        """The kept answers that used a record."""
        find = self.aside.suite.explaining.find_blast_radius
        return await self._post(
            request, FindBlastRadius, lambda asked: _encode(find(asked)), self.aside.worker
        )

    async def compare(self, request: Request) -> Response:
        """The kept questions, answered twice."""
        compare = self.aside.suite.comparing.compare
        return await self._post(request, Compare, lambda asked: _encode(compare(asked)), self.aside.worker)

    async def _add_record(self, request: Request, type_: type[AddRecord]) -> Response:
        key = _read_key(request)
        return await self._write(request, type_, lambda asked: self.suite.guarding.add_record(asked, key=key))

    async def _write(
        self, request: Request, type_: type[Taken], write: Callable[[Taken], Written]
    ) -> Response:
        body = await _read(request)

        def job() -> Written | Ticket[Written]:
            asked = read_request(parse_body(body), type_, strict=self.base.strict)
            writes = self.base.writes
            return write(asked) if writes is None else writes.begin_write(lambda: write(asked))

        written = await self._work(job)
        response = self._succeed(bytes(written.data))
        response.headers[TOKEN_HEADER] = write_token(written.head)
        if written.conflicts:
            response.headers[WARNING_HEADER] = _warn(written)
        return response

    async def _post(
        self,
        request: Request,
        type_: type[Taken],
        answer: Callable[[Taken], bytes | Ticket[bytes]],
        worker: Worker | None = None,
    ) -> Response:
        body = await _read(request)
        return await self._get(
            request, lambda: answer(read_request(parse_body(body), type_, strict=self.base.strict)), worker
        )

    async def _get(
        self, request: Request, answer: Callable[[], bytes | Ticket[bytes]], worker: Worker | None = None
    ) -> Response:
        await self._wait_for_token(request)
        return self._succeed(await (worker or self.base.worker).run(answer, CURRENT.get()))

    async def _wait_for_token(self, request: Request) -> None:
        """Wait until the store has seen the write that the request names, if it names one."""
        token = request.headers.get(TOKEN_HEADER)
        if token is None:
            return
        head = parse_token(token)
        loop = asyncio.get_running_loop()
        over_s = loop.time() + _WAIT_S
        while not await self._work(lambda: self.suite.freshness.has_seen(head)):
            if loop.time() > over_s:
                raise QueryFailed(
                    f"this server has not seen the write that {TOKEN_HEADER} names;"
                    " repeat the request, or ask the server that made it",
                    {"reason": "token"},
                    retry_after_s=1,
                )
            await asyncio.sleep(_POLL_S)

    async def _work(self, job: Callable[[], Result | Ticket[Result]]) -> Result:
        return await self.base.worker.run(job, CURRENT.get())

    def _succeed(self, data: bytes) -> Response:
        return Response(self.envelopes.wrap_success(data), media_type=JSON)


async def _read(request: Request) -> bytes:
    require_json(request)
    return await read_body(request)


def _read_key(request: Request) -> str | None:
    key = request.headers.get(KEY_HEADER)
    return None if key is None else check_key(key)


def _read_package_id(request: Request) -> str:
    package_id: str = request.path_params["context_package_id"]
    return package_id


def _warn(written: Written) -> str:
    more = "; truncated" if written.more_conflicts else ""
    return f"conflict; versions={','.join(written.conflicts)}{more}"


def _encode(record: msgspec.Struct) -> bytes:
    return msgspec.json.encode(record)
