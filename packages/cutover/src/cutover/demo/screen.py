"""What a person sees of a demo: steps that finish, a line of traffic that moves, a summary.

In a terminal the traffic line is redrawn in place; piped, every step is one plain line. Nothing here
decides anything.
"""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from cutover.demo.result import DemoResult
from cutover.demo.traffic import Snapshot

WHO_STYLE = {"producer": "magenta", "consumer": "cyan", "executor": "yellow", "world": "dim"}


class Screen:
    """Progress of a demo on a console; a context manager.

    Args:
        console: Where to write; stderr, so that stdout is the result's.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._started = time.monotonic()
        self._running: dict[str, tuple[str, str]] = {}
        self._traffic: Snapshot | None = None
        self._live = (
            Live(console=console, refresh_per_second=8, transient=True) if console.is_terminal else None
        )

    def __enter__(self) -> Screen:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def say(self, text: str, *, style: str = "") -> None:
        """Print a line that stays."""
        self._console.print(Text(text, style=style), soft_wrap=True)

    def begin(self, who: str, step: str) -> None:
        """A step starts."""
        self._running[step] = (who, "")
        self._draw()

    def detail(self, step: str, line: str) -> None:
        """A running step says something; the newest line is shown."""
        if step in self._running:
            self._running[step] = (self._running[step][0], line)
            self._draw()

    def end(self, who: str, step: str, *, good: bool, result: str) -> None:
        """A step ended."""
        self._running.pop(step, None)
        elapsed = time.monotonic() - self._started
        mark = Text("✓" if good else "✗", style="green" if good else "red")
        line = Text.assemble(
            (f"{elapsed:5.1f} s ", "dim"), mark, " ", (f"{who:<9}", WHO_STYLE.get(who, "")), step
        )
        if result:
            line.append(f"  {result}", style="dim" if good else "red")
        self._console.print(line, soft_wrap=True)
        self._draw()

    def traffic(self, snapshot: Snapshot) -> None:
        """New counts of the traffic."""
        self._traffic = snapshot
        self._draw()

    def finish(self, result: DemoResult) -> None:
        """Print the summary."""
        good = result.outcome == "completed"
        self._console.print()
        headline = f"{result.outcome.upper()}: {result.reason}"
        self._console.print(Text(headline, style="bold green" if good else "bold red"), soft_wrap=True)
        for name, value in result.rows():
            line = Text.assemble((f"{name:<34}", "dim"), value)
            self._console.print(line, soft_wrap=True)

    def _draw(self) -> None:
        if self._live is None:
            return
        lines = [
            Text.assemble("   …    ", (f"{who:<9}", WHO_STYLE.get(who, "")), step, (f"  {line[:80]}", "dim"))
            for step, (who, line) in self._running.items()
        ]
        if self._traffic is not None:
            lines.append(Text(describe_traffic(self._traffic), style="blue"))
        self._live.update(Group(*lines))


def describe_traffic(counts: Snapshot) -> str:
    """Return one line for people."""
    share = counts.applied / counts.asked if counts.asked else 1.0
    by = ", ".join(f"{tag} {n}" for tag, n in counts.applied_by.items())
    return (
        f"tickets {counts.drafts} at {counts.rate:.0f}/s (peak {counts.peak:.0f}/s), "
        f"p50 {counts.p50_ms:.1f} ms; "
        f"policy answers applied {share:.2%} ({by}); lost {counts.lost}, altered {counts.altered}"
    )
