"""The scenarios: one fault each, put into the world through the injector, a repository or a key.

A scenario is data: what it changes before the first command, and what happens to the world at a named
moment. Executor, gateway and gates never see any of this.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

import msgspec

from cutover.demo.world import Twist
from cutover.errors import Refused


class Moment(StrEnum):
    """When the world may be touched."""

    KEYS_MADE = "keys made"
    HANDED_OFF = "handed off"
    REHEARSED = "rehearsed"
    TARGET_OPEN = "target open in the execution"
    WATCHING = "watching after the switch"
    APPROVING = "approving the execution"


class Touch(StrEnum):
    """What may happen to the world."""

    FAULT_AT_TARGET = "a fault at the injector before the target"
    FAULT_AT_CONSUMER = "a fault at the injector before the consumer"
    MOVE_TAG = "the producer moves the tag"
    SECOND_OWNER = "a second rollback owner acknowledges"
    HOLDER_STOPS = "a holder says stop"
    SHARE_KEY = "the consumer brings the producer's key"
    NO_CONSUMER_APPROVAL = "the consumer does not approve"


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """One way in which a cutover must be refused or come back.

    Args:
        story: One line for people.
        touch, moment: What happens and when; None when the program itself is what is wrong.
        fault: Name of the injected fault, for the two fault touches.
        twist: What is different from the start.
        expects: `refused` before the switch, or `rolled-back` under traffic.
        reason: What the reported reason must contain.
        from_verified: Whether it may start from a folder that is prepared up to `verify`.
    """

    story: str
    expects: str
    reason: str
    touch: Touch | None = None
    moment: Moment | None = None
    fault: str | None = None
    twist: Twist = Twist()
    from_verified: bool = True


SCENARIOS: Mapping[str, Scenario] = MappingProxyType(
    {
        "contract-mismatch": Scenario(
            story="after the switch the target adds a field that its contract does not have",
            touch=Touch.FAULT_AT_TARGET,
            moment=Moment.WATCHING,
            fault="extra-field",
            expects="rolled-back",
            reason="contract-mismatch",
        ),
        "fallback-regression": Scenario(
            story="after the switch drafts no longer are what they are with enrichment off",
            touch=Touch.FAULT_AT_CONSUMER,
            moment=Moment.WATCHING,
            fault="altered",
            expects="rolled-back",
            reason="fallback-regression",
        ),
        "rollback-owner-ambiguity": Scenario(
            story="during the watch a second person acknowledges the consumer's rollback role",
            touch=Touch.SECOND_OWNER,
            moment=Moment.WATCHING,
            expects="rolled-back",
            reason="rollback-owner-ambiguity",
        ),
        "suite-failure": Scenario(
            story="the target answers no question any more when the consumer's suite runs against it",
            touch=Touch.FAULT_AT_TARGET,
            moment=Moment.TARGET_OPEN,
            fault="refuse-questions",
            expects="rolled-back",
            reason="suite-failure",
        ),
        "target-dies": Scenario(
            story="the target's process is killed after the switch",
            touch=Touch.FAULT_AT_TARGET,
            moment=Moment.WATCHING,
            fault="kill",
            expects="rolled-back",
            reason="contract-mismatch",
        ),
        "manual-stop": Scenario(
            story="a rollback owner says stop with one key",
            touch=Touch.HOLDER_STOPS,
            moment=Moment.WATCHING,
            expects="rolled-back",
            reason="manual-stop",
        ),
        "moved-tag": Scenario(
            story="after the hand-off the producer moves the tag",
            touch=Touch.MOVE_TAG,
            moment=Moment.HANDED_OFF,
            expects="refused",
            reason="runtime-target",
            from_verified=False,
        ),
        "stale-drill": Scenario(
            story="the drill is older than the program allows when the decision is made",
            twist=Twist(drill_max_age_s=1.0),
            expects="refused",
            reason="drill",
            from_verified=False,
        ),
        "missing-approval": Scenario(
            story="the consumer does not put its key on the decision",
            touch=Touch.NO_CONSUMER_APPROVAL,
            moment=Moment.APPROVING,
            expects="refused",
            reason="approv",
        ),
        "one-key-two-parties": Scenario(
            story="both parties bring the same key",
            touch=Touch.SHARE_KEY,
            moment=Moment.KEYS_MADE,
            expects="refused",
            reason="one key",
            from_verified=False,
        ),
        "silent-fallback": Scenario(
            story="in the drill the target refuses every question with a valid error",
            touch=Touch.FAULT_AT_TARGET,
            moment=Moment.REHEARSED,
            fault="refuse-questions",
            expects="refused",
            reason="answers",
        ),
        "unexplained-answers": Scenario(
            story="one answer changes and no signed rule says why",
            twist=Twist(drop_difference_rules=1),
            expects="refused",
            reason="rehearsal",
            from_verified=False,
        ),
    }
)


def find_scenario(name: str) -> Scenario:
    """Return a scenario by name.

    Raises:
        Refused: When there is none of that name, listing all.
    """
    if name not in SCENARIOS:
        raise Refused(f"there is no scenario {name!r}; expected one of {', '.join(SCENARIOS)}")
    return SCENARIOS[name]
