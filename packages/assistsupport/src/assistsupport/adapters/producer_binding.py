"""One pin, bound: what is said to the producer under it, and how its replies are judged.

Immutable. A question keeps the binding that it began with, so a swap never changes the contract of a
question in flight. This and `producer_transport` are the only places that know the producer's routes.
"""

from dataclasses import dataclass
from typing import Final, Self

import msgspec
from contracts.core.envelope import POLICIES, EnvelopePolicy
from contracts.core.service import SERVICE_CONTRACT_HEADER

from assistsupport.adapters.producer_transport import ProducerRequest, ProducerTransport
from assistsupport.core.context_package import (
    AnsweredQuestion,
    read_answer,
    read_health,
    read_schema_version,
)
from assistsupport.core.governance import GovernanceCommit
from assistsupport.core.policy_question import PolicyQuestion
from assistsupport.core.producer_reply import Envelope, Refusal, read_envelope

_HEALTH: Final = "/v1/health"
_SCHEMA_VERSION: Final = "/v1/db/schema-version"
_ASK: Final = "/v1/query/ask"


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """A pin with the policy of its contract.

    Args:
        governance: The commit that the pin comes from.
        policy: What every reply must obey.
        base_url: Where the producer answers, without a final slash.
    """

    governance: GovernanceCommit
    policy: EnvelopePolicy
    base_url: str

    @classmethod
    def bind(cls, governance: GovernanceCommit, base_url: str | None) -> Self:
        """Bind a commit's pin; its contract has a policy, because `build_governance_commit` saw to it.

        Args:
            governance: The commit.
            base_url: Overrides the pin's `default_base_url`; None to use that.
        """
        pin = governance.pin
        return cls(
            governance=governance,
            policy=POLICIES[pin.expected_service_contract_version],
            base_url=(base_url or pin.default_base_url).rstrip("/"),
        )

    @property
    def timeout_s(self) -> float:
        """The pin's own time limit, in seconds."""
        return self.governance.pin.default_timeout_ms / 1000

    async def preflight(self, transport: ProducerTransport) -> Refusal | None:
        """Make sure that the producer is alive, speaks the pin's contract and has its schema.

        Returns:
            None when it does, else what is wrong.
        """
        health = await self._exchange(transport, "GET", _HEALTH)
        refusal = health if isinstance(health, Refusal) else read_health(health)
        if refusal is not None:
            return refusal
        schema = await self._exchange(transport, "POST", _SCHEMA_VERSION)
        return schema if isinstance(schema, Refusal) else read_schema_version(schema)

    async def ask(self, transport: ProducerTransport, question: PolicyQuestion) -> AnsweredQuestion | Refusal:
        """Ask one question; `as_of` goes along as null, because published producers insist on the key."""
        body = msgspec.json.encode({**msgspec.structs.asdict(question), "as_of": None})
        envelope = await self._exchange(transport, "POST", _ASK, body)
        return envelope if isinstance(envelope, Refusal) else read_answer(envelope, question)

    async def _exchange(
        self, transport: ProducerTransport, method: str, path: str, body: bytes | None = None
    ) -> Envelope | Refusal:
        headers = {SERVICE_CONTRACT_HEADER: self.policy.service_contract_version}
        if body is not None:
            headers["Content-Type"] = "application/json"
        reply = await transport.exchange(
            ProducerRequest(method=method, url=self.base_url + path, headers=headers, body=body)
        )
        return reply if isinstance(reply, Refusal) else read_envelope(self.policy, reply)
