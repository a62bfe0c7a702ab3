"""Templates to pages; everything that is not markup of ours is escaped."""

from __future__ import annotations

from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from memorykernel.core.vocabulary import Authority, Effect, Match, RecordType, TruthStatus
from memorykernel.web.console import wording
from memorykernel.web.console.entrance import Visit

_TEMPLATES: Final = Environment(
    loader=PackageLoader("memorykernel.web.console"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.globals |= {
    "describe_result": wording.describe_result,
    "describe_instant": wording.describe_instant,
    "describe_time": wording.describe_text_instant,
    "describe_terms": wording.describe_terms,
    "describe_scope": wording.describe_scope,
    "describe_content": wording.describe_content,
    "describe_reasons": wording.describe_reasons,
    "describe_field": wording.describe_field,
    "MATCHES": tuple(Match),
    "EFFECTS": tuple(Effect),
    "AUTHORITIES": tuple(Authority),
    "TRUTH_STATUSES": tuple(each for each in TruthStatus if each is not TruthStatus.RETRACTED),
    "CONSTRAINT": RecordType.CONSTRAINT,
    "RECORD_TYPES": tuple(RecordType),
}


def render(
    template: str,
    *,
    visit: Visit | None = None,
    status: int = 200,
    problem: str | None = None,
    **values: Any,
) -> Response:
    """A page.

    Args:
        template: Its file.
        visit: Who looks at what; None for a page outside.
        status: Of HTTP.
        problem: What was wrong with what was sent.
        values: What the template needs.
    """
    shared: dict[str, Any] = {
        "form": {},
        "is_empty": False,
        "site": None if visit is None else visit.site,
        "visitor": None if visit is None else visit.visitor,
        "problem": problem,
    }
    page = _TEMPLATES.get_template(template).render(shared | values)
    return HTMLResponse(page, status_code=status)
