"""An example memory for the console: a small company's rules, as they grew over some fourteen months.

Everything is placed relative to now, so that the demo always has a past and a future.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from memorykernel.adapters.system import SystemClock
from memorykernel.core.record import MemoryRecord
from memorykernel.library import Kernel
from memorykernel.surface import Provenance
from memorykernel.web.console.site import Example

_DAY_US: Final = 86_400_000_000
_HOUR_US: Final = 3_600_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

EXAMPLES: Final = (
    Example(
        text="May Cleo, a contractor, connect to the production VPN?",
        actor="cleo",
        action="connect",
        resource="network/vpn/prod",
    ),
    Example(
        text="May Ana of the staff connect to the production VPN?",
        actor="ana",
        action="connect",
        resource="network/vpn/prod",
    ),
    Example(
        text="May Dora, an auditor, export the finance report?",
        actor="dora",
        action="export",
        resource="report/finance",
    ),
    Example(
        text="May Ben use a USB drive?",
        actor="ben",
        action="use",
        resource="device/usb-drive",
    ),
)
"""Questions that show what the rules do."""


@dataclass
class _StoryClock:
    """A clock that stands where the story is."""

    us: int

    def now_us(self) -> int:
        return self.us


class _Story:
    """Writes the example; each chapter is recorded at its own time."""

    def __init__(self, path: Path) -> None:
        now_us = SystemClock().now_us()
        self._now_us = now_us - now_us % _HOUR_US
        self._clock = _StoryClock(self._now_us)
        self.kernel = Kernel.open(path, create=True, conflicts="ignore", clock=self._clock)

    def go_to(self, days: int) -> None:
        """Let what follows be recorded so many days from now; never back."""
        self._clock.us = self._now_us + days * _DAY_US

    def at(self, days: int) -> datetime:
        """The time so many days from now."""
        return _EPOCH + timedelta(microseconds=self._now_us + days * _DAY_US)

    def say(self, justification: str, **more: object) -> Provenance:
        """Who writes a rule of the story, and why."""
        said: Provenance = {
            "writer": "policy-team",
            "justification": justification,
            "source_uri": "https://intranet.example/policies",
            "authority": "authoritative",
        }
        said.update(more)  # type: ignore[typeddict-item]  # the keys are those of the surface
        return said


def write_demo(path: Path) -> None:
    """Write the example to a new database."""
    story = _Story(path)
    with story.kernel:
        _found_company(story)
        contractors = _keep_contractors_out(story)
        _write_everyday_rules(story)
        _let_contractors_in(story, contractors)
        _learn_of_incident(story)
        _plan_maintenance(story)
        story.go_to(0)
        for example in EXAMPLES:
            story.kernel.ask(
                actor=example.actor, action=example.action, resource=example.resource, text=example.text
            )


def _found_company(story: _Story) -> None:
    story.go_to(-420)
    kernel = story.kernel
    for member, group in (("ana", "staff"), ("ben", "staff"), ("dora", "auditors")):
        kernel.add_membership(field="actor", group=group, member=member, **story.say("list of employees"))
    kernel.add_constraint(
        actor="staff",
        actor_match="group",
        action="connect",
        resource="network/",
        resource_match="prefix",
        effect="allow",
        note="Staff may use the company's networks.",
        **story.say("network policy, section 1"),
    )
    kernel.add_decision(
        "Networks are opened by group, never by person, so that a change of staff changes one record",
        **story.say("architecture meeting"),
    )


def _keep_contractors_out(story: _Story) -> MemoryRecord:
    story.go_to(-300)
    kernel = story.kernel
    kernel.add_membership(
        field="actor",
        group="contractors",
        member="cleo",
        **story.say("contract of Cleo", effective_at=story.at(-300), expires_at=story.at(60)),
    )
    return kernel.add_constraint(
        actor="contractors",
        actor_match="group",
        action="connect",
        resource="network/vpn/",
        resource_match="prefix",
        effect="deny",
        note="Contractors work on site.",
        **story.say("network policy, section 4"),
    )


def _write_everyday_rules(story: _Story) -> None:
    story.go_to(-240)
    kernel = story.kernel
    drive = kernel.add_constraint(
        actor="*",
        action="use",
        resource="device/usb-drive",
        effect="deny",
        **story.say("device policy, section 2"),
    )
    story.go_to(-210)
    kernel.add_constraint(
        actor="*",
        action="use",
        resource="device/usb-drive",
        effect="allow",
        note="Somebody remembered it otherwise.",
        **story.say("from a chat", authority="note", truth_status="inferred", confidence=0.6),
    )
    kernel.add_constraint(
        actor="auditors",
        actor_match="group",
        action="export",
        resource="report/finance",
        effect="allow",
        **story.say("audit charter"),
    )
    story.go_to(-180)
    kernel.add_constraint(
        actor="auditors",
        actor_match="group",
        action="export",
        resource="report/finance",
        effect="deny",
        **story.say("data protection policy, section 7"),
    )
    kernel.add_event("A lost drive was found in the car park", **story.say("incident 7"))
    kernel.link(
        kernel.add_outcome(
            "The drive was encrypted; nothing leaked", **story.say("incident 7")
        ).memory_version_id,
        "contradicts",
        drive.memory_version_id,
        writer="policy-team",
        justification="the reason that section 2 gives did not hold",
    )


def _let_contractors_in(story: _Story, earlier: MemoryRecord) -> None:
    story.go_to(-120)
    story.kernel.add_constraint(
        actor="contractors",
        actor_match="group",
        action="connect",
        resource="network/vpn/",
        resource_match="prefix",
        effect="allow",
        note="For as long as project Atlas runs.",
        **story.say(
            "project Atlas, exception 12",
            memory_id=earlier.memory_id,
            version=2,
            effective_at=story.at(-115),
            expires_at=story.at(45),
            supersedes=[earlier.memory_version_id],
        ),
    )


def _learn_of_incident(story: _Story) -> None:
    # Recorded a month after it began to hold: here the two times differ.
    story.go_to(-50)
    story.kernel.add_constraint(
        actor="cleo",
        action="connect",
        resource="network/vpn/prod",
        effect="deny",
        note="Her key was lost; the report came late.",
        **story.say("incident 31", effective_at=story.at(-80), expires_at=story.at(-25)),
    )


def _plan_maintenance(story: _Story) -> None:
    story.go_to(-10)
    story.kernel.add_constraint(
        actor="contractors",
        actor_match="group",
        action="connect",
        resource="network/vpn/prod",
        effect="deny",
        note="The gateway is replaced; only staff may use the old one meanwhile.",
        **story.say("maintenance plan", effective_at=story.at(20), expires_at=story.at(27)),
    )
