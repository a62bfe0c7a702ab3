"""Reading records back from JSON: the content's type is told by the record's type, beside it."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from memorykernel.core.record import (
    ConstraintContent,
    MembershipContent,
    MemoryRecord,
    Payload,
    SummaryContent,
)
from memorykernel.core.vocabulary import RecordType

_CONTENT: Final = {
    RecordType.CONSTRAINT: ConstraintContent,
    RecordType.MEMBERSHIP: MembershipContent,
}


class _Payload(msgspec.Struct):
    record_type: RecordType
    payload: dict[str, Any]


_FIELDS: Final = tuple(field for field in msgspec.structs.fields(MemoryRecord) if field.name != "payload")
_Record: Final = msgspec.defstruct(
    "_Record",
    [
        *((each.name, each.type, msgspec.field(default=each.default)) for each in _FIELDS),
        ("payload", _Payload),
    ],
    kw_only=True,
)


def read_record(document: object) -> MemoryRecord:
    """Read a record as `msgspec.json.encode` writes one.

    Args:
        document: The decoded JSON object.

    Raises:
        msgspec.ValidationError: It is no record.
    """
    raw: Any = msgspec.convert(document, _Record)
    told: _Payload = raw.payload
    content = msgspec.convert(told.payload, _CONTENT.get(told.record_type, SummaryContent))
    return MemoryRecord(
        **{each.name: getattr(raw, each.name) for each in _FIELDS},
        payload=Payload(record_type=told.record_type, payload=content),
    )
