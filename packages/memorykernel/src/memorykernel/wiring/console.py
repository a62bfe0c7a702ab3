"""The console: pages over a kernel's use cases."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from memorykernel.core.release import default_release
from memorykernel.wiring.evidence import _remember, build_suite
from memorykernel.wiring.kernel import Kernel

if TYPE_CHECKING:
    from memorykernel.web.console.site import Example
    from memorykernel.web.server import Service


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleOptions:
    """How the console behaves.

    Attributes:
        name: The database's name, as a person knows it.
        timeout_ms: How long a page may take.
        hosts: Host names that are answered to, besides addresses and local names.
        examples: Questions to begin with.
    """

    name: str
    timeout_ms: int = 10_000
    hosts: tuple[str, ...] = ()
    examples: tuple[Example, ...] = ()


def build_console(kernel: Kernel, options: ConsoleOptions) -> Service:
    """The pages of a kernel, with a worker thread of their own; they answer by the rules of service.v4.

    Args:
        kernel: Used by nobody else.
        options: How it behaves.
    """
    from memorykernel.service.picturing import Picturing
    from memorykernel.web.access import HostCheck
    from memorykernel.web.console.app import build_pages
    from memorykernel.web.console.site import Site
    from memorykernel.web.server import Service
    from memorykernel.web.tenancy import Workers

    remembered, care = _remember(kernel), kernel.schema_care
    workers = Workers(max_queue=64)
    site = Site(
        name=options.name,
        asking=replace(kernel.asking, release=default_release()),
        suite=build_suite(kernel),
        remembered=remembered,
        picturing=Picturing(memory=remembered.memory, remembered=remembered, schema_care=care),
        clock=kernel.remembering.clock,
        worker=workers.start(kernel.file),
        hosts=HostCheck(options.hosts),
        timeout_ms=options.timeout_ms,
        examples=options.examples,
    )
    return Service(app=build_pages(site), close=workers.close)


def add_console(service: Service, console: Service) -> Service:
    """Let a service answer with the pages too, below /console."""
    from memorykernel.web.console.app import put_before

    def close() -> None:
        console.close()
        service.close()

    return replace(service, app=put_before(console.app, service.app), close=close)
