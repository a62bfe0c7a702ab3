"""The pages: read what is sent, ask the use cases, render.

An answer has an address of its own: asking keeps it and leads there, so a page can be reloaded, kept and
sent, and always shows the state of the memory that the answer was given on.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from memorykernel.core.context_package import ContextPackage
from memorykernel.core.explain_request import FindBlastRadius
from memorykernel.core.proof import encode_proof
from memorykernel.core.vocabulary import Authority, Effect, Match, RecordType, TruthStatus
from memorykernel.errors import InvalidRequest, MemoryKernelError
from memorykernel.service.lineage import RecordStory
from memorykernel.web.body import read_body
from memorykernel.web.console import wording
from memorykernel.web.console.answer_view import view_answer
from memorykernel.web.console.form import (
    Draft,
    Form,
    complete_draft,
    draft_successor,
    read_draft,
    read_form,
    read_question,
)
from memorykernel.web.console.memory_view import view_memory
from memorykernel.web.console.site import Site
from memorykernel.web.routes import JSON

_PAGE_SIZE: Final = 50

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
    "MATCHES": tuple(Match),
    "EFFECTS": tuple(Effect),
    "AUTHORITIES": tuple(Authority),
    "TRUTH_STATUSES": tuple(each for each in TruthStatus if each is not TruthStatus.RETRACTED),
    "CONSTRAINT": RecordType.CONSTRAINT,
}


class Pages:
    """The handlers of the pages.

    Args:
        site: What they work on.
    """

    def __init__(self, site: Site) -> None:
        self._site = site

    async def home(self, request: Request) -> Response:
        """GET /console: the form, and where to begin."""
        site = self._site
        site_is_empty = await site.work(self._is_empty)
        return self._render("home.html", form=dict(request.query_params), is_empty=site_is_empty)

    async def ask(self, request: Request) -> Response:
        """POST /console/ask: keep the answer, and lead to it."""
        form = read_form(await read_body(request))
        try:
            package = await self._site.work(lambda: self._site.asking.ask(read_question(form)))
        except MemoryKernelError as error:
            return self._render("home.html", status=_choose_status(error), form=form, problem=error.message)
        answer = msgspec.json.decode(package, type=ContextPackage)
        now = "" if "as_of" in form else "?as_of=now"
        return _lead_to(f"/console/answer/{answer.context_package_id}{now}")

    async def answer(self, request: Request) -> Response:
        """GET /console/answer/{context_package_id}: an answer with everything that explains it."""
        package_id = request.path_params["context_package_id"]
        view = await self._site.work(lambda: view_answer(self._site, package_id))
        form = {
            "actor": view.package.query.actor,
            "action": view.package.query.action,
            "resource": view.package.query.resource,
            "text": view.package.query.text,
            "as_known_at": view.package.query.as_known_at or "",
        }
        if request.query_params.get("as_of") != "now":
            form["as_of"] = view.package.query.as_of
        return self._render("answer.html", view=view, form=form)

    async def proof(self, request: Request) -> Response:
        """GET /console/answer/{context_package_id}/proof: the proof, as a file."""
        package_id = request.path_params["context_package_id"]
        proof = await self._site.work(lambda: self._site.suite.proving.prove(package_id))
        name = f"proof-{proof.snapshot.head[:12]}.json"
        headers = {"content-disposition": f'attachment; filename="{name}"'}
        return Response(encode_proof(proof), media_type=JSON, headers=headers)

    async def exclusions(self, request: Request) -> Response:
        """GET /console/answer/{context_package_id}/exclusions: what does not count, page by page."""
        package_id = request.path_params["context_package_id"]
        cursor = request.query_params.get("cursor")
        page = await self._site.work(lambda: self._site.suite.exclusions.list_page(package_id, cursor))
        return self._render("exclusions.html", page=page)

    async def memory(self, request: Request) -> Response:
        """GET /console/memory/{memory_id}: the versions of a memory, over both times."""
        memory_id = request.path_params["memory_id"]
        now_us = self._site.clock.now_us()
        view = await self._site.work(
            lambda: view_memory(self._site.suite.lineage.show_memory(memory_id), now_us)
        )
        return self._render("memory.html", view=view)

    async def record(self, request: Request) -> Response:
        """GET /console/record/{memory_version_id}: one version, and the stored answers that it reached."""
        version_id = request.path_params["memory_version_id"]
        asked = FindBlastRadius(
            memory_version_id=version_id, cursor=request.query_params.get("cursor"), limit=_PAGE_SIZE
        )

        def look() -> tuple[RecordStory, Any]:
            return self._site.suite.lineage.show_record(
                version_id
            ), self._site.suite.explaining.find_blast_radius(asked)

        story, radius = await self._site.work(look)
        return self._render("record.html", story=story, radius=radius)

    async def draft(self, request: Request) -> Response:
        """GET /console/check: an empty draft, or one that would replace a rule."""
        version_id = request.query_params.get("supersedes")
        draft = Draft()
        if version_id is not None:
            stored = await self._site.work(lambda: self._site.remembered.memory.load_record(version_id))
            draft = Draft() if stored is None else draft_successor(stored)
        return self._render("check.html", draft=draft, found=None)

    async def check(self, request: Request) -> Response:
        """POST /console/check: what a draft would make inconclusive; writes nothing."""
        draft = read_draft(read_form(await read_body(request)))
        try:
            found = await self._site.work(
                lambda: self._site.suite.guarding.check_constraint(complete_draft(draft))
            )
        except MemoryKernelError as error:
            return self._render(
                "check.html", status=_choose_status(error), draft=draft, found=None, problem=error.message
            )
        return self._render("check.html", draft=draft, found=found)

    def fail(self, error: MemoryKernelError, status: int) -> Response:
        """The page of what went wrong."""
        return self._render("problem.html", status=status, message=error.message)

    def _is_empty(self) -> bool:
        self._site.suite.guarding.schema_care.require_usable()
        state = self._site.remembered.memory.find_snapshot(self._site.clock.now_us())
        return state is None or state.entry_seq == 0

    def _render(
        self, template: str, *, status: int = 200, problem: str | None = None, **values: Any
    ) -> Response:
        shared: dict[str, Any] = {"form": _NO_FORM, "is_empty": False, "site": self._site, "problem": problem}
        page = _TEMPLATES.get_template(template).render(shared | values)
        return HTMLResponse(page, status_code=status)


_NO_FORM: Final[Form] = {}


def _choose_status(error: MemoryKernelError) -> int:
    return 422 if isinstance(error, InvalidRequest) or error.code == "invalid_json" else 503


def _lead_to(path: str) -> Response:
    """See other: reloading the page that follows asks nothing again."""
    return RedirectResponse(quote(path, safe="/?=_"), status_code=303)
