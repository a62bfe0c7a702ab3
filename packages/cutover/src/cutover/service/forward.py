"""The way forward: the steps that bring consumer and routes to the target.

Drill and execution take the same steps with different pairs of commits. Every step may be repeated:
it looks first and acts only where the world is not yet as it should be.
Source: cutover-program, "Switch".
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from cutover.core.entry import RouteOpened
from cutover.core.route import calculate_routes
from cutover.core.switch import ForwardStep
from cutover.errors import ReleaseUnreachable, RepositoryError
from cutover.service.attempt import Attempt
from cutover.service.station import RunningRelease


def begin(attempt: Attempt) -> None:
    """Take the first step, which moves nothing; from here on every stop leads to a way back.

    Look with `see_target` before: what is wrong then needs no way back.

    Raises:
        MoveStopped: When somebody said stop.
        CutoverError: As `see_target`; the attempt must be stopped then.
    """
    attempt.step(ForwardStep.START_TARGET, lambda: see_target(attempt))


def go_forward(attempt: Attempt) -> None:
    """Take the steps that move something, in order, after `begin`.

    Raises:
        MoveStopped: When somebody said stop.
        CutoverError: When a step cannot be taken; the attempt must be stopped then.
    """
    attempt.step(ForwardStep.OPEN_TARGET, lambda: open_target(attempt))
    attempt.step(ForwardStep.MOVE_REF, lambda: move_ref(attempt))
    attempt.step(ForwardStep.RELOAD_CONSUMER, lambda: reload_consumer(attempt))


def see_target(attempt: Attempt) -> Mapping[str, str]:
    """See that the tag is still the one handed off and that the process serves its contract.

    Raises:
        RepositoryError: When the tag is another one now.
        ReleaseUnreachable: When the process serves another document, or nothing.
    """
    ex = attempt.executor
    handed, path = ex.handed_off(), ex.program.producer.openapi_path
    tag = ex.producer_origin.read_tag(handed.release_tag)
    if tag is None or tag.tag_object != handed.tag_object:
        raise RepositoryError(f"tag {handed.release_tag} was moved since the hand-off; hand off again")
    release = ex.running_release(ex.program.target.release_tag)
    served = hashlib.sha256(ex.http.request("GET", f"{release.url}/v1/openapi").body).hexdigest()
    blob = ex.producer_origin.read_blob(tag.commit, path)
    if blob is None or hashlib.sha256(blob).hexdigest() != served:
        raise ReleaseUnreachable(
            f"the process at {release.url} does not serve the OpenAPI document of {release.release_tag}; "
            "restart 'cutover release run' for that tag"
        )
    return {"pid": str(release.pid), "tree": release.tree_id[:12], "openapi": served[:12]}


def open_target(attempt: Attempt) -> Mapping[str, str]:
    """Open the target's route, durably, and see the gateway apply it.

    Raises:
        ReleaseUnreachable: When the gateway does not.
    """
    ex, contract = attempt.executor, attempt.executor.program.target.service_contract_version
    release = ex.running_release(ex.program.target.release_tag)
    with attempt.turn():
        route = calculate_routes(ex.log.read().entries).contracts.get(contract)
        if route is None or (route.release_tag, route.address) != (release.release_tag, release.address):
            attempt.append(describe_route(contract, release))
    applied = ex.gateway.refresh().routes.get(contract)
    if applied != release.release_tag:
        raise ReleaseUnreachable(
            f"the gateway leads {contract} to {applied or 'nobody'}, expected {release.release_tag}; "
            "see its log"
        )
    return {"route": f"{contract} -> {applied}"}


def describe_route(contract: str, release: RunningRelease) -> RouteOpened:
    """Return the entry that leads a contract to a running release."""
    return RouteOpened(
        service_contract=contract,
        release_tag=release.release_tag,
        address=release.address,
        pid=release.pid,
        command=release.command,
        tree_id=release.tree_id,
    )


def move_ref(attempt: Attempt) -> Mapping[str, str]:
    """Move the live ref from base to forward by compare-and-swap.

    Raises:
        RepositoryError: When it is on neither.
    """
    origin, repin, ref = attempt.executor.consumer_origin, attempt.repin, attempt.live_ref
    with attempt.turn():
        moved = origin.resolve(ref) == repin.forward_commit
        if not moved and not origin.compare_and_swap(ref, repin.forward_commit, repin.base_commit):
            raise RepositoryError(
                f"{ref} is at {origin.resolve(ref)}, expected {repin.base_commit}; "
                "somebody moved it: run 'cutover prepare' again"
            )
    return {"commit": repin.forward_commit}


def reload_consumer(attempt: Attempt) -> Mapping[str, str]:
    """Make the consumer read its governance and see which commit it runs on.

    Raises:
        Refused: When it does not take the new pin.
        ReleaseUnreachable: When it does not answer, or stays elsewhere.
    """
    commit = attempt.executor.consumer.reload()
    if commit != attempt.repin.forward_commit:
        raise ReleaseUnreachable(
            f"the consumer runs on {commit}, expected {attempt.repin.forward_commit}; see its log"
        )
    return {"commit": commit}
