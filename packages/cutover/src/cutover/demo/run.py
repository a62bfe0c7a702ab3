"""Run a demo from start to end, and say how it ended."""

from __future__ import annotations

import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from rich.console import Console

from cutover.adapters.http import LoopbackHttp
from cutover.adapters.process import ProcessLauncher
from cutover.core.entry import Restored
from cutover.demo.director import Director, StepRefused
from cutover.demo.example import find_example, load_example
from cutover.demo.result import DemoResult, Share
from cutover.demo.scenario import Scenario, find_scenario
from cutover.demo.screen import Screen
from cutover.demo.traffic import Snapshot
from cutover.demo.world import Twist, World
from cutover.errors import CutoverError, Refused


@contextmanager
def _ends_orderly() -> Iterator[None]:
    """Let SIGTERM end a demo as Ctrl-C does, so that it takes its processes along."""

    def interrupt(_signum: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def run_demo(
    *,
    keep: Path | None = None,
    scenario: str | None = None,
    prepared: Path | None = None,
    example: Path | None = None,
    console: Console | None = None,
) -> DemoResult:
    """Play a whole cutover, or one scenario of it.

    Args:
        keep: Where the program folder stays; a temporary folder under the system's otherwise, also kept.
        scenario: Name of a scenario; None for a whole cutover.
        prepared: A folder made by `prepare_folder`, copied to start from.
        example: The example's folder; the checkout's by default.
        console: Where progress goes; stderr by default.

    Raises:
        Refused: When the folder to keep is not empty, or there is no such scenario or example.
    """
    chosen = find_scenario(scenario) if scenario else None
    folder = _make_folder(keep)
    world = World(folder, load_example(example or find_example()), free_port=_free_port())
    started = time.monotonic()
    with _ends_orderly(), Screen(console or Console(stderr=True)) as screen:
        _introduce(screen, world, scenario, chosen)
        director = Director(world, screen, chosen)
        try:
            outcome, reason = _play(director, world, chosen, prepared)
            director.stop_traffic()
            record = _render(director, screen)
        except KeyboardInterrupt:
            screen.say(f"interrupted: ending everything; what was written stays in {folder}", style="yellow")
            raise
        finally:
            director.close()
    result = _describe(director, folder, scenario, outcome, reason, record, time.monotonic() - started)
    screen.finish(result)
    return result


def prepare_folder(
    folder: Path | None, *, example: Path | None = None, console: Console | None = None
) -> Path:
    """Play up to and including `verify`, end every process, and leave a folder to start scenarios from."""
    world = World(_make_folder(folder), load_example(example or find_example()), free_port=_free_port())
    with _ends_orderly(), Screen(console or Console(stderr=True)) as screen:
        director = Director(world, screen, None)
        try:
            world.build(Twist())
            director.open()
            director.start()
            director.hand_off()
            director.verify()
            director.stop_traffic()
        finally:
            director.close()
    return world.folder


def _play(
    director: Director, world: World, scenario: Scenario | None, prepared: Path | None
) -> tuple[str, str]:
    """Play all acts; returns outcome and reason."""
    try:
        if prepared is not None and (scenario is None or scenario.from_verified):
            world.adopt(prepared)
            director.start()
        else:
            world.build(scenario.twist if scenario else Twist())
            director.open()
            director.start()
            director.hand_off()
            director.verify()
        director.rehearse()
        director.decide()
        director.execute()
        director.complete()
    except StepRefused as refused:
        stopped = director.find_stop()
        if stopped is not None:
            return "rolled-back", f"{stopped.condition}: {stopped.reason}"
        return "refused", str(refused)
    return "completed", "GO with two keys; the target is the new baseline"


def _render(director: Director, screen: Screen) -> Path | None:
    try:
        return director.record()
    except CutoverError as exc:
        screen.say(f"        no record: {exc}", style="yellow")
        return None


def _introduce(screen: Screen, world: World, name: str | None, scenario: Scenario | None) -> None:
    moved = world.example.moved
    title = f"{moved.consumer.name} moves from {moved.producer.name} {moved.baseline} to {moved.target}"
    screen.say(title, style="bold")
    if scenario is not None:
        screen.say(f"scenario {name}: {scenario.story}", style="yellow")
    screen.say(f"everything is real and below {world.folder}", style="dim")
    screen.say("this demo declares zero days of notice and overlap; a real program would not", style="dim")


def _make_folder(keep: Path | None) -> Path:
    if keep is None:
        return Path(tempfile.mkdtemp(prefix="cutover-demo-"))
    if keep.exists() and any(keep.iterdir()):
        raise Refused(f"{keep} is not empty; name a new folder for --keep")
    keep.mkdir(parents=True, exist_ok=True)
    return keep.resolve()


def _free_port() -> Callable[[], int]:
    return ProcessLauncher(LoopbackHttp()).free_port


def _describe(
    director: Director,
    folder: Path,
    scenario: str | None,
    outcome: str,
    reason: str,
    record: Path | None,
    elapsed_s: float,
) -> DemoResult:
    return DemoResult(
        scenario=scenario,
        outcome=outcome,
        reason=reason,
        decisions=director.decisions,
        traffic=director.snapshot,
        shares=_calculate_shares(director.marks, director.snapshot),
        way_back_ms={name: _calculate_spans(body) for name, body in director.find_restored().items()},
        gateway_made=director.gateway_made,
        elapsed_s=round(elapsed_s, 1),
        record=str(record) if record else "none",
        folder=str(folder),
        exit_code=0 if outcome == "completed" else 1,
    )


def _calculate_shares(marks: Mapping[str, Snapshot], last: Snapshot | None) -> tuple[Share, ...]:
    """Return applied shares between the marks, from the differences of running counts."""
    shares, asked, applied = [], 0, 0
    for part, snapshot in (*marks.items(), *((("to the end", last),) if last else ())):
        shares.append(Share(part=part, asked=snapshot.asked - asked, applied=snapshot.applied - applied))
        asked, applied = snapshot.asked, snapshot.applied
    return tuple(share for share in shares if share.asked)


def _calculate_spans(body: Restored) -> Mapping[str, float | None]:
    """Return milliseconds from the observation to each later instant."""
    later = {"decided": body.t_decided, "routed": body.t_routed, "first reply": body.t_first_baseline_reply}
    return {
        name: None if at is None else round(1e3 * (at - body.t_observed).total_seconds(), 2)
        for name, at in later.items()
    }
