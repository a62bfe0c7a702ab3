"""The console in a real Chromium: it fits, it is worked with the keyboard alone, and it runs nothing."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from memorykernel import Kernel
from memorykernel.surface import Provenance
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

pytestmark = pytest.mark.browser

SCREENSHOTS = Path("build/screenshots")
_ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
]
_REFUSED = re.compile("status of (401|403|404|422)")
_NAMELESS = """
[...document.querySelectorAll(
  "a[href], button, input:not([type=hidden]), select, svg[role=img]"
)].filter((e) => {
  const label = e.labels && e.labels[0] ? e.labels[0].textContent : "";
  const ids = (e.getAttribute("aria-labelledby") || "").split(" ");
  const by = ids.map((id) => document.getElementById(id));
  const named = by.map((n) => n ? n.textContent : "").join("");
  return !(e.getAttribute("aria-label") || named || label || e.textContent).trim();
}).map((e) => e.outerHTML.slice(0, 120))
"""
_OUTSIDE = """
[...document.querySelectorAll("main .card *")].filter((e) => {
  if (e.closest("svg, pre, .visually-hidden, thead") || !e.getClientRects().length) return false;
  return e.getBoundingClientRect().right > e.closest(".card").getBoundingClientRect().right;
}).map((e) => e.outerHTML.slice(0, 120))
"""
_CONTRAST = """
(() => {
  const parse = (c) => (c.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (e) => { for (; e; e = e.parentElement) {
    const c = parse(getComputedStyle(e).backgroundColor);
    if (c.length === 3 || c[3] > 0) return c; }
    return [255, 255, 255]; };
  const bad = [];
  const texts = "h1, h2, h3, p, a, dt, dd, td, th, label, button, .term, .verdict, .effect";
  for (const e of document.querySelectorAll(texts)) {
    if (!e.textContent.trim() || !e.getClientRects().length) continue;
    if (e.closest("svg, .skip, .visually-hidden")) continue;
    const colors = [parse(getComputedStyle(e).color), ground(e)];
    const [a, b] = colors.map(light).sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) bad.push(e.outerHTML.slice(0, 100));
  }
  return bad;
})()
"""
SAID: Provenance = {
    "writer": "operator",
    "justification": "log",
    "source_uri": "file:///backups.log",
    "authority": "authoritative",
}
OpenPage = Callable[..., Page]


def find_chromium() -> str | None:
    return os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = find_chromium()
    if path is None:
        message = "chromium is missing: install Debian's 'chromium', or name one in CHROMIUM"
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(message)
        pytest.skip(message)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def url(kit: Any) -> Iterator[str]:
    """A running `mk console --demo`, which ends calmly."""
    command = [*kit.mk, "console", "--demo", "--bind", "127.0.0.1:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        assert ready["event"] == "ready"
        yield f"{ready['url']}/console"
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(timeout=30) == 0


@pytest.fixture
def open_page(browser: Browser, url: str) -> Iterator[OpenPage]:
    """Open the page in a context of its own; a complaint, also of a breach of the CSP, is a failure."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []
    origin = url.removesuffix("/console")

    def hear(text: str) -> None:
        if not _REFUSED.search(text):
            complaints.append(text)

    def open_one(width: int = 1280, height: int = 900, **options: Any) -> Page:
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: hear(said.text))
        page.on("request", lambda sent: None if sent.url.startswith(origin) else complaints.append(sent.url))
        page.goto(url)
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert complaints == []


def ask_first(page: Page) -> None:
    page.locator(".example").first.click()
    page.wait_for_selector("#verdict")


def recall(page: Page, words: str) -> None:
    page.locator(".question input[name=text]").fill(words)
    page.get_by_role("button", name="Recall", exact=True).click()
    page.wait_for_selector("#recalled")


def walk(page: Page) -> Iterator[str]:
    """Visit every kind of page; the names are those of the screenshots."""
    yield "home"
    ask_first(page)
    yield "answer"
    page.get_by_role("link", name=re.compile("nearest first")).click()
    page.wait_for_selector("main h1")
    yield "exclusions"
    page.go_back()
    page.get_by_role("link", name="the rule").click()
    page.wait_for_selector("#record-title")
    yield "record"
    page.get_by_role("link", name="Versions of this memory").click()
    page.wait_for_selector("#memory-title")
    yield "memory"
    page.go_back()
    page.get_by_role("link", name="Draft a successor").click()
    page.locator("select[name=effect]").select_option("deny")
    page.locator("input[name=supersedes]").fill("")
    page.get_by_role("button", name="Check", exact=True).click()
    page.wait_for_selector("#found")
    yield "check"
    page.get_by_role("link", name="Recall").click()
    yield "recall"
    recall(page, "the drive was lost")
    yield "recalled"
    page.goto(page.url.partition("/answer")[0] + "/nowhere")
    yield "problem"


@pytest.mark.parametrize(
    ("name", "width", "scheme"),
    [("light", 1280, "light"), ("dark", 1280, "dark"), ("narrow", 320, "light"), ("tablet", 800, "dark")],
)
def test_every_page_fits_and_reads_in_both_themes(
    open_page: OpenPage, name: str, width: int, scheme: str
) -> None:
    page = open_page(width, color_scheme=scheme)
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    for kind in walk(page):
        assert page.evaluate("document.documentElement.scrollWidth") <= width, kind
        assert page.evaluate(_OUTSIDE) == [], kind
        assert page.evaluate(_NAMELESS) == [], kind
        assert page.evaluate(_CONTRAST) == [], kind
        assert page.locator("h1").count() == 1, kind
        assert page.locator("script, [style]").count() == 0, kind
        page.screenshot(path=SCREENSHOTS / f"console-{kind}-{name}.png", full_page=True, caret="initial")


def test_an_answer_is_drawn_and_told_in_words(open_page: OpenPage) -> None:
    page = open_page()
    ask_first(page)
    assert page.locator("#verdict").text_content() == "Allowed"
    assert page.locator(".timeline .row").count() == 4
    assert page.locator(".timeline .row.decides").count() == 1
    told = page.locator("#timeline-text").text_content() or ""
    assert told.startswith("4 rules match. The answer over time: from")
    shown = page.locator(".timeline > rect.piece").count()
    assert page.get_by_role("button", name=re.compile("^Ask for ")).count() == shown
    line = page.locator(".timeline line.as-of").first.bounding_box()
    piece = page.locator(".timeline > rect.piece.tone-allow").nth(1).bounding_box()
    assert line is not None
    assert piece is not None
    assert piece["x"] <= line["x"] <= piece["x"] + piece["width"]


def test_what_is_remembered_is_found_by_its_words(open_page: OpenPage) -> None:
    page = open_page()
    page.get_by_role("navigation").get_by_role("link", name="Recall").click()
    recall(page, "the drive was lost")
    assert page.title().startswith("Recalled: the drive was lost")
    assert page.locator(".recalled li a").all_text_contents() == [
        "A lost drive was found in the car park",
        "The drive was encrypted; nothing leaked",
    ]
    assert "has 4 of your 4 words" in (page.locator(".recalled li").first.text_content() or "")
    for kind in ("decision", "preference", "event"):
        page.locator(f"input[name=type_{kind}]").uncheck()
    recall(page, "drive")
    assert page.locator(".recalled li").count() == 1
    page.locator(".recalled li a").click()
    page.wait_for_selector("#record-title")
    assert page.locator("#record-title").text_content() == "The drive was encrypted; nothing leaked"


def test_pages_of_a_recall_follow_each_other(browser: Browser, kit: Any, tmp_path: Path) -> None:
    with Kernel.open(tmp_path / "m.db", create=True) as kernel:
        for number in range(53):
            kernel.add_event(f"backup {number}", **SAID)
    with kit.serve(tmp_path / "m.db", "--console") as server, browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{server.url}/console/recall")
        recall(page, "backup")
        first = page.locator(".recalled li a").all_text_contents()
        assert page.locator(".hero .why").text_content() == "1 to 50, best first."
        with Kernel.open(tmp_path / "m.db") as kernel:
            kernel.add_event("backup that comes between two pages", **SAID)
        page.get_by_role("button", name="Next page").click()
        page.wait_for_selector("text=51 to 53")
        second = page.locator(".recalled li a").all_text_contents()
        assert page.get_by_role("button", name="Next page").count() == 0
    assert len(first) == 50
    assert {*first, *second} == {f"backup {number}" for number in range(53)}


def test_who_asks_for_tokens_lets_in_by_a_token_and_out_again(
    browser: Browser, kit: Any, run_mk: Any, tmp_path: Path
) -> None:
    access = tmp_path / "access.toml"
    added = run_mk("tokens", "add", "--access", access, "--scope", "read,write")
    token = json.loads(added.stdout)["token"]
    with (
        kit.serve(tmp_path / "m.db", "--access", str(access), "--console") as server,
        browser.new_context(viewport={"width": 320, "height": 700}) as context,
    ):
        page = context.new_page()
        page.goto(f"{server.url}/console/recall?text=backup")
        page.wait_for_selector("#login-title")
        for check in (_OUTSIDE, _NAMELESS, _CONTRAST):
            assert page.evaluate(check) == []
        page.screenshot(path=SCREENSHOTS / "console-login-narrow.png", full_page=True, caret="initial")
        assert page.evaluate("document.activeElement.name") == "token"
        page.keyboard.type("mk_wrong")
        page.keyboard.press("Enter")
        page.wait_for_selector("[role=alert]")
        assert "token is not known" in (page.locator("[role=alert]").text_content() or "")
        assert page.locator("input[name=token]").input_value() == ""
        page.keyboard.type(token)
        page.keyboard.press("Enter")
        page.wait_for_selector("nav")
        assert page.url.endswith("/console/recall?text=backup")
        assert "tenant default, may read, write" in (page.locator(".visit").text_content() or "")
        (cookie,) = context.cookies()
        assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Strict", "/console")
        assert token not in cookie["value"]
        assert token.rpartition("_")[2] not in cookie["value"]
        assert page.evaluate("document.cookie") == ""
        page.goto(f"{server.url}/console")
        page.get_by_role("button", name="Sign out").click()
        page.wait_for_selector("#login-title")
        assert context.cookies() == []
        page.go_back()
        page.reload()
        page.wait_for_selector("#login-title")


def test_the_end_of_an_answer_is_one_click_away(open_page: OpenPage) -> None:
    page = open_page()
    ask_first(page)
    page.get_by_role("button", name="Ask at the end of this answer").click()
    page.wait_for_url(re.compile("answer"))
    assert page.locator("#verdict").text_content() == "Denied"
    assert page.locator(".question input[name=as_of]").input_value() != ""


def test_knowledge_is_walked_back(open_page: OpenPage) -> None:
    page = open_page()
    ask_first(page)
    first = page.get_by_role("button", name=re.compile("^Ask as known by")).first
    assert page.locator(".moments .verdict").first.text_content() == "Denied"
    first.click()
    page.wait_for_selector("text=As known")
    assert page.locator("#verdict").text_content() == "Denied"
    assert page.locator(".timeline .row").count() == 1


def test_a_question_is_asked_by_keyboard_alone(open_page: OpenPage) -> None:
    page = open_page()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    names = []
    for _ in range(11):
        page.keyboard.press("Tab")
        names.append(
            page.evaluate("document.activeElement.name || document.activeElement.textContent.trim()")
        )
    assert names == [
        "MemoryKernel",
        "Ask",
        "Recall",
        "Check a draft",
        "actor",
        "action",
        "resource",
        "text",
        "as_of",
        "as_known_at",
        "Ask",
    ]
    page.locator(".question input[name=actor]").focus()
    for word in ("ana", "connect", "network/vpn/prod"):
        page.keyboard.type(word)
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector("#verdict")
    assert page.locator("#verdict").text_content() == "Allowed"
    assert page.evaluate("document.title").startswith("Allowed: May ana connect")


def test_a_draft_is_checked_and_its_witness_asked(open_page: OpenPage) -> None:
    page = open_page()
    page.get_by_role("link", name="Check a draft").first.click()
    for name, value in (("actor", "ana"), ("action", "connect"), ("resource", "network/lab")):
        page.locator(f".question input[name={name}]").fill(value)
    page.get_by_role("button", name="Check", exact=True).click()
    page.wait_for_selector("#found")
    assert page.locator("#found").text_content() == "No conflict"
    page.locator(".question input[name=actor]").fill("staff")
    page.locator("select[name=actor_match]").select_option("group")
    page.locator("input[name=resource]").fill("network/")
    page.locator("select[name=resource_match]").select_option("prefix")
    page.get_by_role("button", name="Check", exact=True).click()
    page.wait_for_selector(".witness")
    assert page.locator("#found").text_content() == "1 conflict"
    page.get_by_role("button", name="ask it as things are").click()
    page.wait_for_selector("#verdict")
    assert page.locator("#verdict").text_content() == "Allowed"


def test_what_cannot_be_read_is_said_and_kept(open_page: OpenPage) -> None:
    page = open_page()
    for name, value in (("actor", "ana"), ("action", "use"), ("resource", "usb"), ("as_of", "yesterday")):
        page.locator(f".question input[name={name}]").fill(value)
    with page.expect_response(re.compile("/console/ask")) as replied:
        page.get_by_role("button", name="Ask", exact=True).click()
    assert replied.value.status == 422
    assert "'as_of' is not a time" in (page.locator("[role=alert]").text_content() or "")
    assert page.locator(".question input[name=as_of]").input_value() == "yesterday"
