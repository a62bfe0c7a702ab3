"""Which gates each decision asks, in the order of the gate table.

Source: cutover-program, "Gates" and "Decision".
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from cutover.core.entry import Scope
from cutover.core.gate.answers import AnswersGate
from cutover.core.gate.checkpoints import CheckpointsGate
from cutover.core.gate.consumer_suite import ConsumerSuiteGate
from cutover.core.gate.contract_change import ContractChangeGate
from cutover.core.gate.data import DataGate
from cutover.core.gate.drill import DrillGate
from cutover.core.gate.envelope import EnvelopeGate
from cutover.core.gate.fallback import FallbackGate
from cutover.core.gate.gate import Gate
from cutover.core.gate.handoff import HandoffGate
from cutover.core.gate.producer_suite import ProducerSuiteGate
from cutover.core.gate.rehearsal import RehearsalGate
from cutover.core.gate.roles import RolesGate
from cutover.core.gate.runtime_target import RuntimeTargetGate
from cutover.core.gate.trio import TrioGate
from cutover.core.gate.window import WindowGate

AnyGate = Gate[Any]  # each gate has its own record; a table of all of them cannot name one

REHEARSAL_GATES: tuple[AnyGate, ...] = (
    RuntimeTargetGate(),
    HandoffGate(),
    TrioGate(),
    ContractChangeGate(),
    EnvelopeGate(),
    DataGate(),
    ProducerSuiteGate(),
    ConsumerSuiteGate(),
    RolesGate(),
)
EXECUTION_GATES: tuple[AnyGate, ...] = (
    *REHEARSAL_GATES[:-1],
    FallbackGate(),
    RehearsalGate(),
    AnswersGate(),
    DrillGate(),
    RolesGate(),
    WindowGate(),
    CheckpointsGate(),
)
GATES: Mapping[Scope, tuple[AnyGate, ...]] = MappingProxyType(
    {Scope.REHEARSAL: REHEARSAL_GATES, Scope.EXECUTION: EXECUTION_GATES}
)
"""The gates of each decision, in the order of the table; source: cutover-program, "Decision"."""
