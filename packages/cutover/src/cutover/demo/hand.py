"""The hand that touches the world in a scenario: an injector, a repository or a key, nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import msgspec

from cutover.adapters.http import LoopbackHttp
from cutover.demo.cast import Cast
from cutover.demo.scenario import Scenario, Touch
from cutover.demo.world import World
from cutover.errors import CommandFailed
from cutover.service.station import RunningRelease

ROLLBACK_OWNER = "consumer-rollback-owner"
SECOND_OWNER = "second-owner"


class Hand:
    """Carries out what a scenario says.

    Args:
        world: The demo's folder.
        cast: Runs commands with the keys of whoever acts.
        http: Reaches the injectors.
    """

    def __init__(self, world: World, cast: Cast, http: LoopbackHttp) -> None:
        self._world = world
        self._cast = cast
        self._http = http
        self.injectors: dict[str, str] = {}

    def touch(self, scenario: Scenario) -> None:
        """Do the scenario's touch now."""
        if scenario.touch is not None:
            _TOUCHES[scenario.touch](self, scenario)

    def inject(self, name: str, fault: str) -> None:
        """Switch a fault on at the injector before `name`; `kill` needs the pid of what stands behind it."""
        document: dict[str, object] = {"kind": fault}
        if fault == "kill":
            record = self._world.folder / "run" / "releases" / f"{name}.json"
            document["pid"] = msgspec.json.decode(record.read_bytes(), type=RunningRelease).pid
        headers = {"Content-Type": "application/json"}
        body = msgspec.json.encode(document)
        reply = self._http.request("POST", f"{self.injectors[name]}/fault", headers=headers, body=body)
        if reply.status not in {200, 204}:
            raise CommandFailed(f"the injector before {name} answered {reply.status}: {reply.body[:200]!r}")

    def fault_at_target(self, scenario: Scenario) -> None:
        """A fault between gateway and target."""
        self.inject(self._world.example.moved.target.release_tag, scenario.fault or "")

    def fault_at_consumer(self, scenario: Scenario) -> None:
        """A fault between the tickets and the consumer."""
        self.inject("consumer", scenario.fault or "")

    def move_tag(self, _scenario: Scenario) -> None:
        """The producer forces its tag onto another commit and pushes it."""
        self._world.move_tag(self._world.example.moved.target.release_tag)

    def share_key(self, _scenario: Scenario) -> None:
        """The consumer's party key becomes a copy of the producer's."""
        self._world.share_key()

    def second_owner(self, _scenario: Scenario) -> None:
        """The consumer binds a second rollback owner, who acknowledges."""
        public = self._world.folder / "keys" / "consumer" / f"holder-{SECOND_OWNER}.pub.json"
        self._run("keys", "holder", "--name", SECOND_OWNER, "--party", "consumer")
        self._run(
            "bind", "--role", ROLLBACK_OWNER, "--as", "consumer", "--key", str(public),
            "--contact", "second@norrwick.example",
        )  # fmt: skip
        self._run("acknowledge", "--role", ROLLBACK_OWNER, "--as", SECOND_OWNER)

    def holder_stops(self, _scenario: Scenario) -> None:
        """The consumer's rollback owner says stop."""
        holders = self._world.example.roles
        owner = next(role.holder for role in holders if role.role_id == ROLLBACK_OWNER)
        self._run("stop", "--as", owner, "--reason", "the desk sees answers it cannot explain")

    def nothing(self, _scenario: Scenario) -> None:
        """Something is left out later on."""

    def _run(self, *command: str) -> None:
        outcome = self._cast.run("cutover", *command, "--keys", "keys/consumer")
        if outcome.exit_code != 0:
            raise CommandFailed(f"cutover {command[0]} failed in a scenario: {outcome.error}")


_TOUCHES: Mapping[Touch, Callable[[Hand, Scenario], None]] = MappingProxyType(
    {
        Touch.FAULT_AT_TARGET: Hand.fault_at_target,
        Touch.FAULT_AT_CONSUMER: Hand.fault_at_consumer,
        Touch.MOVE_TAG: Hand.move_tag,
        Touch.SECOND_OWNER: Hand.second_owner,
        Touch.HOLDER_STOPS: Hand.holder_stops,
        Touch.SHARE_KEY: Hand.share_key,
        Touch.NO_CONSUMER_APPROVAL: Hand.nothing,
    }
)
