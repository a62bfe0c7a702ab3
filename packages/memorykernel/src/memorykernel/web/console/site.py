"""What the pages need, in one record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from memorykernel.ports import Clock
from memorykernel.service.asking import Asking
from memorykernel.service.known_state import Remembered
from memorykernel.service.picturing import Picturing
from memorykernel.service.suite import Suite
from memorykernel.web.limits import CURRENT
from memorykernel.web.worker import Worker

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A question that is offered to who does not know what to ask."""

    text: str
    actor: str
    action: str
    resource: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """The use cases behind the pages, all by the rules of service.v4 on one database.

    Attributes:
        name: The database's name, as a person knows it.
        examples: Questions to begin with.
        worker: The thread that owns the database connection.
    """

    name: str
    asking: Asking
    suite: Suite
    remembered: Remembered
    picturing: Picturing
    clock: Clock
    worker: Worker
    examples: tuple[Example, ...] = ()

    async def work(self, job: Callable[[], Result]) -> Result:
        """Run a job on the thread of the database, within the limit of the request."""
        return await self.worker.run(job, CURRENT.get())
