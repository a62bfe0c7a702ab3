"""Instants as whole microseconds since 1970 UTC, and their RFC 3339 text.

An integer compares and hashes the same everywhere, which a float or a parsed text does not. Only
UTC is accepted (`Z`, `+00:00`, `-00:00`), leap seconds are not. Finer fractions than microseconds
are accepted, up to nanoseconds, and rounded down: published clients send them.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from memorykernel.errors import MistypedField

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_CALENDAR: Final = datetime(1970, 1, 1)  # noqa: DTZ001  # in UTC too, and written without saying so
_MICROSECOND: Final = timedelta(microseconds=1)
_RFC3339_UTC: Final = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt]([0-9]{2}):([0-9]{2}):([0-9]{2})"
    r"(?:\.([0-9]{1,9}))?(?:[Zz]|[+-]00:00)"
)


def parse_instant(text: str, *, field: str) -> int:
    """Read an RFC 3339 UTC time.

    Args:
        text: For example `2026-02-08T13:19:53.5Z`.
        field: The name of the field, for the message.

    Returns:
        Microseconds since 1970 UTC; negative before it.

    Raises:
        MistypedField: The text is not an RFC 3339 time in UTC or names no existing day or hour.
    """
    match = _RFC3339_UTC.fullmatch(text)
    if match is None:
        raise MistypedField(field, "is not a time: expected RFC 3339 in UTC such as 2026-02-08T13:19:53Z")
    *calendar, fraction = match.groups()
    try:
        whole = datetime(*map(int, calendar), tzinfo=UTC)  # type: ignore[misc,arg-type]  # six ints, by the pattern
    except ValueError as exc:
        raise MistypedField(field, f"is not a time: {exc}; expected an existing UTC time") from exc
    return (whole - _EPOCH) // _MICROSECOND + int(((fraction or "0") + "000000")[:6])


def format_instant(instant_us: int) -> str:
    """Write an instant as RFC 3339 UTC with no trailing zeros in the fraction.

    Args:
        instant_us: Microseconds since 1970 UTC, years 1 to 9999.

    Returns:
        For example `2026-02-08T13:19:53.5Z`; `parse_instant` gives the same instant back.
    """
    seconds, micros = divmod(instant_us, 1_000_000)
    text = (_CALENDAR + timedelta(seconds=seconds)).isoformat()
    fraction = f".{micros:06d}".rstrip("0") if micros else ""
    return f"{text}{fraction}Z"


def whole_seconds(instant_us: int) -> int:
    """The Unix second that the instant lies in (rounded down, before 1970 too)."""
    return instant_us // 1_000_000
