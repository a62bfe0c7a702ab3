"""Options that belong together, as one record that a command takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import Any, get_type_hints


def takes_records(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command take dataclasses: each of their fields is an option, where the record stands.

    Args:
        command: Its parameters are annotated as typer wants them, or with a dataclass whose fields are.
    """
    hints: dict[str, Any] = get_type_hints(command, include_extras=True)
    records: dict[str, Any] = {name: hint for name, hint in hints.items() if is_dataclass(hint)}
    parameters = [
        option
        for parameter in signature(command).parameters.values()
        for option in _list_options(parameter, hints[parameter.name])
    ]

    @wraps(command)
    def flat(**given: Any) -> None:
        for name, record in records.items():
            given[name] = record(**{each.name: given.pop(each.name) for each in fields(record)})
        command(**given)

    flat.__annotations__ = {each.name: each.annotation for each in parameters}
    flat.__signature__ = Signature(parameters)  # type: ignore[attr-defined]  # `inspect` reads it
    return flat


def _list_options(parameter: Parameter, hint: Any) -> list[Parameter]:
    if not is_dataclass(hint):
        return [parameter.replace(annotation=hint, kind=Parameter.KEYWORD_ONLY)]
    kinds = get_type_hints(hint, include_extras=True)
    return [
        Parameter(
            each.name,
            Parameter.KEYWORD_ONLY,
            annotation=kinds[each.name],
            default=Parameter.empty if each.default is MISSING else each.default,
        )
        for each in fields(hint)
    ]
