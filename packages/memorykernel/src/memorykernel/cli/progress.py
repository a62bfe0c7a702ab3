"""Progress on stderr: a bar for a person, a line now and then for a log."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from memorykernel.cli.output import narrate

_PLAIN_STEPS = 10


@contextmanager
def show_progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show how far something is; what it yields is told what is done, of how much."""
    if not sys.stderr.isatty():
        yield _narrate_steps(what)
        return
    # Imported here: it takes longer to load than most commands to run.
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _narrate_steps(what: str) -> Callable[[int, int], None]:
    told = 0

    def tell(done: int, total: int) -> None:
        nonlocal told
        step = done * _PLAIN_STEPS // max(total, 1)
        if step > told:
            told = step
            narrate(f"{what}: {done:,} of {total:,}")

    return tell
