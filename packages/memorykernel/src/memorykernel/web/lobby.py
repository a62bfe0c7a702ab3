"""What is answered without a token when tokens are asked for: liveness, readiness, and the OpenAPI document.

Readiness is that of the process here; a request with a token learns about its own tenant's database.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from memorykernel.service.schema_care import ReadyChecks
from memorykernel.web.envelope import Envelopes
from memorykernel.web.routes import JSON, YAML, Handler, Health, Ready


@dataclass(frozen=True, slots=True, kw_only=True)
class Lobby:
    """The public endpoints of one contract.

    Attributes:
        schema_version: What every tenant's database is brought to.
        require_writable: Raises when the tenants' folder cannot be written.
    """

    envelopes: Envelopes
    openapi: bytes
    schema_version: int
    require_writable: Callable[[], None]

    def table(self) -> dict[str, dict[str, Handler]]:
        """Path -> method -> handler."""
        return {
            "/v1/health": {"GET": self.health},
            "/v1/ready": {"GET": self.ready},
            "/v1/openapi": {"GET": self.show_openapi},
        }

    async def health(self, _: Request) -> Response:
        """Liveness."""
        return self._succeed(Health())

    async def ready(self, _: Request) -> Response:
        """Readiness of the process: databases could be created and written."""
        self.require_writable()
        checks = ReadyChecks(
            current_schema_version=self.schema_version,
            target_schema_version=self.schema_version,
            pending_migrations=0,
            inferred_from_legacy=False,
        )
        return self._succeed(Ready(checks=checks))

    async def show_openapi(self, _: Request) -> Response:
        """The OpenAPI document."""
        return Response(self.openapi, media_type=YAML)

    def _succeed(self, data: msgspec.Struct) -> Response:
        return Response(self.envelopes.wrap_success(msgspec.json.encode(data)), media_type=JSON)
