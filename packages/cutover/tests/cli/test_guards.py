"""What a careless or hostile holder of one key could try, and a race; each is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cutover.adapters.clock import SystemClock
from cutover.adapters.file_log import FileLog
from cutover.adapters.git import BareRepository
from cutover.adapters.key_folder import KeyFolder
from cutover.core.entry import Approved, Completed, Decided, EntryBody, Scope
from cutover.errors import Refused
from cutover.service.prepare import prepare
from cutover.wiring.identity import load_identity
from cutover.wiring.workspace import Workspace

from packages.cutover.tests.cli.world import MAIN, World

DIGEST = "d" * 64


def _append(world: World, body: EntryBody, who: str, stem: str) -> None:
    """Append as somebody who holds a key and does not use this tool."""
    log = FileLog(world.folder / "log" / "entries.jsonl", SystemClock())
    log.append(body, KeyFolder(world.keys(who)).load_signer(stem))


def _forge_go(world: World, *, valid: timedelta = timedelta(hours=1)) -> None:
    now = datetime.now(UTC)
    body = Decided(
        scope=Scope.REHEARSAL, outcome="GO", decision_digest=DIGEST, decided_at=now, expires_at=now + valid
    )
    _append(world, body, "executor", "executor")


def _approve(world: World) -> tuple[int, str]:
    ran = world.run("approve", "--as", "producer", "--scope", "rehearsal", keys="producer")
    return ran.code, ran.err


def test_a_go_that_the_entries_do_not_give_is_not_signed(prepared: World) -> None:
    _forge_go(prepared)
    code, error = _approve(prepared)
    assert (code, "the decision is not signed" in error) == (1, True)
    assert "decide again" in error


def test_an_expired_decision_is_not_signed(prepared: World) -> None:
    _forge_go(prepared, valid=timedelta(0))
    code, error = _approve(prepared)
    assert (code, "the decision expired" in error) == (1, True)


def test_a_decision_is_signed_once_per_party(prepared: World) -> None:
    _forge_go(prepared)
    _append(prepared, Approved(scope=Scope.REHEARSAL, decision_digest=DIGEST), "producer", "party")
    code, error = _approve(prepared)
    assert (code, "has approved this decision already" in error) == (1, True)


def test_a_forged_go_authorizes_nothing_even_with_both_keys(prepared: World) -> None:
    _forge_go(prepared)
    for party in ("producer", "consumer"):
        _append(prepared, Approved(scope=Scope.REHEARSAL, decision_digest=DIGEST), party, "party")
    ran = prepared.run("rehearse", keys="executor")
    assert (ran.code, "no rehearsal without an authorized decision" in ran.err) == (1, True)


class _Racing(BareRepository):
    """An origin whose live ref somebody moves while the repin is being written."""

    def compare_and_swap(self, ref: str, new: str, old: str | None) -> bool:
        done = super().compare_and_swap(ref, new, old)
        super().compare_and_swap(MAIN, new, self.resolve(MAIN))
        return done


def test_a_live_ref_that_moves_meanwhile_is_refused(handed_off: World) -> None:
    workspace = Workspace(handed_off.folder)
    workspace.consumer_origin = _Racing(handed_off.folder / "consumer.git")
    signer = load_identity(handed_off.keys("consumer"), "consumer").signer
    size = workspace.log.read().head.size
    with pytest.raises(Refused, match="moved while the repin was being prepared"):
        prepare(workspace.station(signer, lambda _line: None))
    assert workspace.log.read().head.size == size


@pytest.mark.parametrize("dry_run", [(), ("--dry-run",)])
def test_a_complete_program_is_not_executed_and_says_so_without_a_gateway(
    prepared: World, dry_run: tuple[str, ...]
) -> None:
    done = Completed(release_tag="v0.4.0", commit_sha="c" * 40, governance_commit="d" * 40, posture="done")
    _append(prepared, done, "executor", "executor")
    ran = prepared.run("execute", *dry_run, keys="executor")
    assert (ran.code, "the program is complete" in ran.err) == (1, True)


def test_an_unfinished_program_still_needs_its_gateway(prepared: World) -> None:
    ran = prepared.run("execute", keys="executor")
    assert (ran.code, "no gateway is known here" in ran.err) == (3, True)
