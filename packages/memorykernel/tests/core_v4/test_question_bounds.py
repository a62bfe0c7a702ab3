"""The bound on a v4 question, and that a package stays small at that bound."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from memorykernel.core.admission import admit_ask, admit_recall
from memorykernel.core.context_package import encode_package
from memorykernel.core.ordering_v3 import resolve_policy_v3
from memorykernel.core.package_bounds import MAX_PACKAGE_BYTES, MAX_QUESTION_BYTES
from memorykernel.core.request import Ask, AskV4, RecallV4
from memorykernel.core.vocabulary import Effect
from memorykernel.errors import InvalidRequest

from packages.memorykernel.tests.core_v4.small_world import SECOND, Universe, make_rule

SCOPE: dict[str, Any] = {"actor": "ann", "action": "use", "resource": "usb"}
FRAME = len(msgspec.json.encode(("", *SCOPE.values())))


def test_a_question_at_the_bound_is_admitted_and_answered_in_a_small_package() -> None:
    request = AskV4(text="x" * (MAX_QUESTION_BYTES - FRAME), **SCOPE)
    question = admit_ask(request, 5 * SECOND)
    rules = [
        make_rule(
            n,
            memory_id="M" * 300,
            effect=list(Effect)[n % 2],
            expires_at_us=3 * SECOND if n % 4 == 0 else None,
        )
        for n in range(400)
    ]
    package = resolve_policy_v3(question, Universe(tuple(rules)).evidence())
    assert len(encode_package(package)) <= MAX_PACKAGE_BYTES
    assert package.query.text == request.text


@pytest.mark.parametrize("text", ["x" * (MAX_QUESTION_BYTES - FRAME + 1), "\x01" * (MAX_QUESTION_BYTES // 6)])
def test_a_longer_question_is_refused_by_service_v4_only(text: str) -> None:
    with pytest.raises(
        InvalidRequest, match="'text' is too long: expected a question of at most 12288 bytes"
    ):
        admit_ask(AskV4(text=text, **SCOPE), 0)
    assert admit_ask(Ask(text=text, **SCOPE), 0).text == text


def test_a_longer_recall_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="is too long"):
        admit_recall(RecallV4(text="x" * MAX_QUESTION_BYTES, record_types=()), 0)
