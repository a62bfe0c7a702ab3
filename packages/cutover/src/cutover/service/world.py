"""Look at the world after a crash: the live ref, the consumer, the routes, the target's process.

Source: cutover-program, "The decision log": look, append what was seen, then derive from the entries.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from cutover.core.switch import World
from cutover.errors import CutoverError
from cutover.service.station import Executor

ANSWERS = "answers"
ABSENT = "absent"
_LOOK_TIMEOUT_S = 2.0


def observe_world(executor: Executor, live_ref: str) -> Mapping[str, str]:
    """Return what is there; what does not answer is said to be unreachable, never an error.

    Raises:
        RepositoryError: When the consumer's origin cannot be read at all.
    """
    return {
        "live_ref": executor.consumer_origin.resolve(live_ref) or ABSENT,
        "consumer": _look(executor.consumer.governance_commit),
        "routes": _look(lambda: _describe_routes(executor.gateway.refresh().routes)),
        "target": _look(lambda: _ask_target(executor)),
    }


def read_world(facts: Mapping[str, str]) -> World:
    """Return the part of what was seen that decides how to go on. Pure."""
    live = facts["live_ref"]
    return World(live_commit=None if live == ABSENT else live, target_answers=facts["target"] == ANSWERS)


def _look(see: Callable[[], str]) -> str:
    try:
        return see()
    except CutoverError as exc:
        return f"unreachable ({exc})"


def _describe_routes(routes: Mapping[str, str]) -> str:
    return " ".join(f"{contract}={tag}" for contract, tag in sorted(routes.items())) or "none"


def _ask_target(executor: Executor) -> str:
    release = executor.running_release(executor.program.target.release_tag)
    reply = executor.http.request("GET", f"{release.url}/v1/health", timeout_s=_LOOK_TIMEOUT_S)
    return ANSWERS if reply.status == 200 else f"answered {reply.status}"
