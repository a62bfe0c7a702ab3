"""The circuit breaker as a state machine over values, with the time as an argument."""

from assistsupport.core.breaker import (
    Admitted,
    Breaker,
    BreakerSettings,
    Refused,
    Vital,
    admit,
    calculate_vital,
    describe_breaker,
    record,
)
from assistsupport.core.fallback_reason import FallbackReason
from hypothesis import given
from hypothesis import strategies as st

SETTINGS = BreakerSettings(threshold=3, open_s=1.0, open_max_s=3.0)
OFFLINE, TIMEOUT = FallbackReason.OFFLINE, FallbackReason.TIMEOUT


def ask(breaker: Breaker, reason: FallbackReason | None, now: float) -> Breaker:
    """Admit one question and record its end."""
    admission = admit(breaker, now)
    assert isinstance(admission, Admitted)
    return record(admission.breaker, epoch=admission.epoch, reason=reason, now=now, settings=SETTINGS)


def opened(reason: FallbackReason = OFFLINE) -> Breaker:
    breaker = Breaker()
    for _ in range(SETTINGS.threshold):
        breaker = ask(breaker, reason, 0.0)
    return breaker


def test_it_opens_after_the_threshold_and_names_the_failure_that_opened_it() -> None:
    breaker = ask(ask(Breaker(), TIMEOUT, 0.0), TIMEOUT, 0.0)
    assert isinstance(admit(breaker, 0.0), Admitted)
    breaker = ask(breaker, OFFLINE, 0.0)
    assert admit(breaker, 0.5) == Refused(cause=OFFLINE)
    assert describe_breaker(breaker).state == "open"
    assert describe_breaker(breaker).reason is OFFLINE


def test_an_answer_between_failures_starts_the_count_anew() -> None:
    breaker = ask(ask(Breaker(), OFFLINE, 0.0), OFFLINE, 0.0)
    breaker = ask(breaker, None, 0.0)
    breaker = ask(ask(breaker, OFFLINE, 0.0), OFFLINE, 0.0)
    assert describe_breaker(breaker).state == "closed"


def test_a_refused_question_shows_a_producer_at_work() -> None:
    breaker = Breaker()
    for _ in range(10):
        breaker = ask(breaker, FallbackReason.VALIDATION_ERROR, 0.0)
    assert breaker == Breaker()


def test_our_own_defect_says_nothing_about_the_producer() -> None:
    breaker = Breaker()
    for _ in range(10):
        breaker = ask(breaker, FallbackReason.ADAPTER_ERROR, 0.0)
    assert describe_breaker(breaker).state == "closed"


def test_half_open_lets_exactly_one_question_through() -> None:
    admission = admit(opened(), 1.0)
    assert isinstance(admission, Admitted)
    assert describe_breaker(admission.breaker).state == "half-open"
    assert admit(admission.breaker, 99.0) == Refused(cause=OFFLINE)


def test_an_answer_in_half_open_closes_it() -> None:
    assert describe_breaker(ask(opened(), None, 1.0)) == describe_breaker(Breaker())


def test_a_failure_in_half_open_opens_it_for_twice_as_long_up_to_the_ceiling() -> None:
    breaker = ask(opened(), TIMEOUT, 1.0)
    assert admit(breaker, 2.9) == Refused(cause=TIMEOUT)
    breaker = ask(breaker, TIMEOUT, 3.0)
    assert isinstance(admit(breaker, 5.9), Refused)
    assert isinstance(admit(breaker, 6.0), Admitted)


def test_a_defect_in_half_open_leaves_the_next_question_to_find_out() -> None:
    breaker = ask(opened(), FallbackReason.ADAPTER_ERROR, 1.0)
    assert isinstance(admit(breaker, 1.0), Admitted)


def test_a_late_verdict_of_an_older_epoch_changes_nothing() -> None:
    late = admit(Breaker(), 0.0)
    assert isinstance(late, Admitted)
    breaker = opened()
    for reason in (None, TIMEOUT):
        assert record(breaker, epoch=late.epoch, reason=reason, now=0.5, settings=SETTINGS) == breaker


def test_every_reason_says_something_definite() -> None:
    silent = {reason for reason in FallbackReason if calculate_vital(reason) is Vital.SILENT}
    assert silent == {FallbackReason.ADAPTER_ERROR, FallbackReason.FEATURE_DISABLED}
    assert calculate_vital(None) is Vital.WELL


@given(
    st.lists(
        st.tuples(st.sampled_from([None, *FallbackReason]), st.floats(0, 2, allow_nan=False)), max_size=60
    )
)
def test_whatever_happens_it_is_never_shut_for_longer_than_the_ceiling(
    history: list[tuple[FallbackReason | None, float]],
) -> None:
    breaker, now = Breaker(), 0.0
    for reason, pause in history:
        now += pause
        if isinstance(admit(breaker, now), Admitted):
            breaker = ask(breaker, reason, now)
        assert (breaker.cause is None) == (describe_breaker(breaker).state == "closed")
        assert isinstance(admit(breaker, now + SETTINGS.open_max_s), Admitted)
