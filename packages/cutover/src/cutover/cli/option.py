"""Options that many commands share, and the sets that they choose from."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class PartyName(StrEnum):
    """A side of the program."""

    PRODUCER = "producer"
    CONSUMER = "consumer"


class WhoName(StrEnum):
    """Who collects evidence: a party, or the executor."""

    PRODUCER = "producer"
    CONSUMER = "consumer"
    EXECUTOR = "executor"


class KindName(StrEnum):
    """For whom a key is generated."""

    PRODUCER = "producer"
    CONSUMER = "consumer"
    EXECUTOR = "executor"
    HOLDER = "holder"


class ScopeName(StrEnum):
    """Which of the two decisions."""

    REHEARSAL = "rehearsal"
    EXECUTION = "execution"


Folder = Annotated[Path, typer.Option("--program", help="Folder of cutover.toml.", envvar="CUTOVER_PROGRAM")]
Keys = Annotated[Path, typer.Option("--keys", help="Your own key folder.", envvar="CUTOVER_KEYS")]
AsParty = Annotated[PartyName, typer.Option("--as", help="For which party you act.")]
AsWho = Annotated[WhoName, typer.Option("--as", help="For whom you act.")]
AsAnyone = Annotated[str, typer.Option("--as", help="producer, consumer, executor or a holder's name.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would happen; change nothing.")]
WhichScope = Annotated[ScopeName, typer.Option("--scope", help="Which of the two decisions.")]

HERE = Path()
OWN_KEYS = Path("keys")
