"""The way forward: the steps that bring consumer and routes to the target.

Drill and execution take the same steps with different pairs of commits. Every step may be repeated:
it looks first and acts only where the world is not yet as it should be.
Source: cutover-program, "Switch".
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from cutover.core.entry import Operation, Repin, RouteOpened
from cutover.core.route import calculate_routes
from cutover.errors import ReleaseUnreachable, RepositoryError
from cutover.service.station import Executor

FORWARD_STEPS = ("start-target", "open-target", "move-ref", "reload-consumer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Forward:
    """One attempt of the way forward.

    Args:
        operation: DRILL or FORWARD; names the log entries.
        attempt: Counts from 1 per operation.
        repin: The pair of commits to move over.
        live_ref: The ref that the running consumer reads.
    """

    executor: Executor
    operation: Operation
    attempt: int
    repin: Repin
    live_ref: str

    def start_target(self) -> Mapping[str, str]:
        """See that the tag is still the one handed off and that the process serves its contract."""
        handed = self.executor.handed_off()
        tag = self.executor.producer_origin.read_tag(handed.release_tag)
        if tag is None or tag.tag_object != handed.tag_object:
            raise RepositoryError(f"tag {handed.release_tag} was moved since the hand-off; hand off again")
        release = self.executor.running_release(self.executor.program.target.release_tag)
        reply = self.executor.http.request("GET", f"{release.url}/v1/openapi")
        served = hashlib.sha256(reply.body).hexdigest()
        blob = self.executor.producer_origin.read_blob(
            handed.commit_sha, self.executor.program.producer.openapi_path
        )
        if blob is None or hashlib.sha256(blob).hexdigest() != served:
            raise ReleaseUnreachable(
                f"the process at {release.url} does not serve the OpenAPI document of {release.release_tag}; "
                "restart 'cutover release run' for that tag"
            )
        return {"pid": str(release.pid), "tree": release.tree_id[:12], "openapi": served[:12]}

    def open_target(self) -> Mapping[str, str]:
        """Open the target's route, durably, and see the gateway apply it."""
        ex, target = self.executor, self.executor.program.target
        release = ex.running_release(target.release_tag)
        route = calculate_routes(ex.log.read().entries).contracts.get(target.service_contract_version)
        if route is None or route.address != release.address:
            ex.log.append(
                RouteOpened(
                    service_contract=target.service_contract_version,
                    release_tag=release.release_tag,
                    address=release.address,
                    pid=release.pid,
                    command=release.command,
                    tree_id=release.tree_id,
                ),
                ex.signer,
            )
        applied = ex.gateway.refresh().routes.get(target.service_contract_version)
        if applied != target.release_tag:
            raise ReleaseUnreachable(
                f"the gateway did not open the route, expected {target.release_tag}, got {applied}"
            )
        return {"route": f"{target.service_contract_version} -> {applied}"}

    def move_ref(self) -> Mapping[str, str]:
        """Move the live ref from base to forward by compare-and-swap."""
        origin, repin = self.executor.consumer_origin, self.repin
        if origin.resolve(self.live_ref) != repin.forward_commit and not origin.compare_and_swap(
            self.live_ref, repin.forward_commit, repin.base_commit
        ):
            raise RepositoryError(
                f"{self.live_ref} is at {origin.resolve(self.live_ref)}, expected {repin.base_commit}; "
                "somebody moved it: run 'cutover prepare' again"
            )
        return {"commit": repin.forward_commit}

    def reload_consumer(self) -> Mapping[str, str]:
        """Make the consumer read its governance and see which commit it runs on."""
        commit = self.executor.consumer.reload()
        if commit != self.repin.forward_commit:
            raise ReleaseUnreachable(f"the consumer runs on {commit}, expected {self.repin.forward_commit}")
        return {"commit": commit}

    def run(self) -> None:
        """Take all steps in order."""
        acts = (self.start_target, self.open_target, self.move_ref, self.reload_consumer)
        for name, act in zip(FORWARD_STEPS, acts, strict=True):
            self.executor.step(self.operation, self.attempt, name, act)
