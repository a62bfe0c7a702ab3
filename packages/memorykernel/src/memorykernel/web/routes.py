"""The eleven endpoints: parse, one service call, render.

Everything that touches the store, and the parsing of what is sent to it, runs on the one thread of a
`Worker`, within the limit of the request. Its price, measured when it was chosen: an ask over loopback at
1,000 records took 0.87 ms through the thread and 0.77 ms on the loop (p50).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

import msgspec
from msgspec import UNSET, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from memorykernel.core.request import (
    AddConstraint,
    AddLink,
    AddSummary,
    Ask,
    Migrate,
    Recall,
    read_request,
)
from memorykernel.core.schema_status import SchemaStatus
from memorykernel.core.ticket import Ticket
from memorykernel.ports import WriteQueue
from memorykernel.service.asking import Asking
from memorykernel.service.remembering import Remembering
from memorykernel.service.schema_care import ReadyChecks, SchemaCare
from memorykernel.web.body import parse_body, read_body, require_json
from memorykernel.web.envelope import Envelopes
from memorykernel.web.limits import CURRENT
from memorykernel.web.worker import Worker

Taken = TypeVar("Taken", bound=msgspec.Struct)
Result = TypeVar("Result")
Handler = Callable[[Request], Awaitable[Response]]

JSON: Final = "application/json"
YAML: Final = "application/yaml; charset=utf-8"


class Health(msgspec.Struct, frozen=True):
    """The data of liveness."""

    status: str = "ok"


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """The data of readiness; published contracts know no warnings, and without one there is no key."""

    status: str = "ready"
    checks: ReadyChecks
    warnings: tuple[str, ...] | UnsetType = UNSET


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """The endpoints over their use cases.

    Attributes:
        strict: Refuse unknown keys in requests.
        openapi: The document that is served as it is.
        worker: Its thread owns the database connection.
        writes: Where writes share commits; None when each commits by itself, on the worker's thread.
    """

    asking: Asking
    remembering: Remembering
    schema_care: SchemaCare
    envelopes: Envelopes
    openapi: bytes
    strict: bool
    worker: Worker
    writes: WriteQueue | None = None

    def table(self) -> dict[str, dict[str, Handler]]:
        """Path -> method -> handler, as the contract lists them."""
        return {
            "/v1/health": {"GET": self.health},
            "/v1/ready": {"GET": self.ready},
            "/v1/openapi": {"GET": self.show_openapi},
            "/v1/db/schema-version": {"POST": self.schema_version},
            "/v1/db/migrate": {"POST": self.migrate},
            "/v1/memory/add/constraint": {"POST": self.add_constraint},
            "/v1/memory/add/summary": {"POST": self.add_summary},
            "/v1/memory/link": {"POST": self.add_link},
            "/v1/query/ask": {"POST": self.ask},
            "/v1/query/recall": {"POST": self.recall},
            "/v1/context/{context_package_id}": {"GET": self.show_context},
        }

    async def health(self, _: Request) -> Response:
        """Liveness: says ok whatever the database does."""
        return self._succeed(msgspec.json.encode(Health()))

    async def ready(self, _: Request) -> Response:
        """Readiness: looks at the database's schema anew, and whether its disk takes a write."""
        checks = await self._work(self.check_ready)
        return self._succeed(msgspec.json.encode(Ready(checks=checks)))

    async def show_openapi(self, _: Request) -> Response:
        """The OpenAPI document itself, without an envelope."""
        return Response(self.openapi, media_type=YAML)

    async def schema_version(self, request: Request) -> Response:
        """Where the schema stands; a body is read and ignored."""
        await read_body(request)
        status: SchemaStatus = await self._work(self.schema_care.load_status)
        return self._succeed(msgspec.json.encode(status))

    async def migrate(self, request: Request) -> Response:
        """Bring the schema to the release's, or say what that would do."""
        return await self._handle(
            request, Migrate, lambda asked: _encode(self.schema_care.migrate(dry_run=asked.dry_run))
        )

    async def add_constraint(self, request: Request) -> Response:
        """Remember a constraint."""
        return await self._handle_write(
            request, AddConstraint, lambda asked: _encode(self.remembering.add_record(asked))
        )

    async def add_summary(self, request: Request) -> Response:
        """Remember a decision, preference, event or outcome."""
        return await self._handle_write(
            request, AddSummary, lambda asked: _encode(self.remembering.add_record(asked))
        )

    async def add_link(self, request: Request) -> Response:
        """State how one version relates to another."""
        return await self._handle_write(
            request, AddLink, lambda asked: _encode(self.remembering.add_link(asked))
        )

    async def ask(self, request: Request) -> Response:
        """Answer a policy question."""
        return await self._handle(request, Ask, self.asking.begin_ask)

    async def recall(self, request: Request) -> Response:
        """Answer what is remembered."""
        return await self._handle(request, Recall, self.asking.begin_recall)

    async def show_context(self, request: Request) -> Response:
        """A kept answer, byte for byte."""
        package_id = request.path_params["context_package_id"]
        return self._succeed(await self._work(lambda: self.asking.find(package_id, published=True)))

    def check_ready(self) -> ReadyChecks:
        """Look at the schema anew, and whether the disk takes a write; on the worker's thread."""
        checks = self.schema_care.check_ready()
        self.worker.store.require_writable()
        return checks

    async def _handle_write(
        self, request: Request, type_: type[Taken], write: Callable[[Taken], bytes]
    ) -> Response:
        writes = self.writes
        if writes is None:
            return await self._handle(request, type_, write)
        return await self._handle(request, type_, lambda asked: writes.begin_write(lambda: write(asked)))

    async def _handle(
        self, request: Request, type_: type[Taken], answer: Callable[[Taken], bytes | Ticket[bytes]]
    ) -> Response:
        require_json(request)
        body = await read_body(request)
        data = await self._work(lambda: answer(read_request(parse_body(body), type_, strict=self.strict)))
        return self._succeed(data)

    async def _work(self, job: Callable[[], Result | Ticket[Result]]) -> Result:
        return await self.worker.run(job, CURRENT.get())

    def _succeed(self, data: bytes) -> Response:
        return Response(self.envelopes.wrap_success(data), media_type=JSON)


def _encode(record: msgspec.Struct) -> bytes:
    return msgspec.json.encode(record)
