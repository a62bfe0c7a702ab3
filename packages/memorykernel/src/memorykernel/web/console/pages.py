"""The pages: read what is sent, ask the use cases, render.

An answer has an address of its own: asking keeps it and leads there, so a page can be reloaded, kept and
sent, and always shows the state of the memory that the answer was given on.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from memorykernel.core.context_package import ContextPackage
from memorykernel.core.explain_request import FindBlastRadius
from memorykernel.core.proof import encode_proof
from memorykernel.core.record import MemoryRecord
from memorykernel.errors import InvalidRequest, MemoryKernelError
from memorykernel.service.exclusions import ExcludedItems
from memorykernel.service.lineage import RecordStory
from memorykernel.web.body import read_body
from memorykernel.web.console.answer_view import view_answer
from memorykernel.web.console.entrance import Visit
from memorykernel.web.console.form import (
    Draft,
    complete_draft,
    draft_successor,
    read_draft,
    read_form,
    read_question,
    read_recall,
)
from memorykernel.web.console.memory_view import view_memory
from memorykernel.web.console.recall_view import list_fields, show_records, view_recall
from memorykernel.web.console.render import render
from memorykernel.web.routes import JSON

_PAGE_SIZE: Final = 50


class Pages:
    """The handlers of the pages.

    Args:
        visit: What they show, and to whom.
    """

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._site = visit.site

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
        return _lead_to_answer(package, is_about_now="as_of" not in form)

    async def memories(self, request: Request) -> Response:
        """GET /console/recall: the form, and what a recall is."""
        is_empty = await self._site.work(self._is_empty)
        return self._render("recall.html", form=dict(request.query_params), is_empty=is_empty)

    async def recall(self, request: Request) -> Response:
        """POST /console/recall: keep a page of what is remembered, and lead to it."""
        form = read_form(await read_body(request))
        try:
            package = await self._site.work(lambda: self._site.asking.recall(read_recall(form)))
        except MemoryKernelError as error:
            return self._render("recall.html", status=_choose_status(error), form=form, problem=error.message)
        return _lead_to_answer(package, is_about_now="as_of" not in form)

    async def answer(self, request: Request) -> Response:
        """GET /console/answer/{context_package_id}: an answer with everything that explains it."""
        package_id = request.path_params["context_package_id"]
        found = await self._site.work(lambda: self._site.asking.find(package_id))
        package = msgspec.json.decode(found, type=ContextPackage)
        is_about_now = request.query_params.get("as_of") == "now"
        if package.query.record_types:
            recalled = await self._site.work(lambda: view_recall(self._site, package))
            return self._render(
                "recalled.html", view=recalled, form=list_fields(package, is_about_now=is_about_now)
            )
        view = await self._site.work(lambda: view_answer(self._site, package))
        form = {
            "actor": view.package.query.actor,
            "action": view.package.query.action,
            "resource": view.package.query.resource,
            "text": view.package.query.text,
            "as_known_at": view.package.query.as_known_at or "",
        }
        if not is_about_now:
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

        def look() -> tuple[ExcludedItems, list[MemoryRecord]]:
            page = self._site.suite.exclusions.list_page(package_id, cursor)
            return page, show_records(self._site, page.excluded_items)

        page, records = await self._site.work(look)
        return self._render("exclusions.html", page=page, records=records)

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

    def _is_empty(self) -> bool:
        self._site.suite.guarding.schema_care.require_usable()
        state = self._site.remembered.memory.find_snapshot(self._site.clock.now_us())
        return state is None or state.entry_seq == 0

    def _render(self, template: str, **values: Any) -> Response:
        return render(template, visit=self._visit, **values)


def _choose_status(error: MemoryKernelError) -> int:
    return 422 if isinstance(error, InvalidRequest) or error.code == "invalid_json" else 503


def _lead_to_answer(package: bytes, *, is_about_now: bool) -> Response:
    """See other: reloading the page that follows asks nothing again."""
    answer = msgspec.json.decode(package, type=ContextPackage)
    path = quote(f"/console/answer/{answer.context_package_id}")
    return RedirectResponse(path + ("?as_of=now" if is_about_now else ""), status_code=303)
