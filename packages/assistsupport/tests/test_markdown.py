"""Articles: every span is the file's own bytes, and what is no article is refused."""

import re

import pytest
from assistsupport.core.article import SpanKind, cite, is_resolved
from assistsupport.core.front_matter import MAX_FRONT_MATTER_CHARS
from assistsupport.core.markdown import MAX_FILE_BYTES, parse_article
from assistsupport.core.sentence import split_sentences
from assistsupport.core.spans import MAX_BLOCK_CHARS
from assistsupport.errors import ArticleRefused
from hypothesis import given, settings
from hypothesis import strategies as st

_BLOCKS = st.sampled_from(
    [
        "# Überschrift",
        "## Two words",
        "A sentence. Another one, e.g. this! Ünd 日本語.",
        "1. one\n2. two\n   - nested",
        "- a\n- b",
        "```sh\nmk serve\n```",
        "    indented code",
        "| a | b |\n|---|---|\n| 1 | 2 |",
        "> quoted\n> twice",
        "<div>html</div>",
        "***",
        "\t tab `code. Not` end.",
    ]
)


@settings(max_examples=60, deadline=None)
@given(st.lists(_BLOCKS, max_size=8), st.sampled_from(["\n", "\r\n", "\r"]), st.booleans())
def test_spans_are_the_bytes_between_their_offsets(blocks: list[str], line_end: str, has_front: bool) -> None:
    front = "---\ntitle: Ä\n---\n" if has_front else ""
    data = (front + "\n\n".join(blocks) + "\n").replace("\n", line_end).encode()
    article = parse_article("kb/a.md", data)
    position = 0
    for span in article.spans:
        assert position <= span.start < span.end <= len(data)
        assert data[span.start : span.end].decode() == span.text
        assert is_resolved(cite(article, span), data)
        position = span.end


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=300))
def test_any_text_is_an_article_or_refused(text: str) -> None:
    try:
        article = parse_article("kb/a.md", text.encode())
    except ArticleRefused:
        return
    assert all(text.encode()[span.start : span.end].decode() == span.text for span in article.spans)


def test_blocks_have_their_kinds_and_sections() -> None:
    text = "Intro.\n\n# Head `code`\n\nOne. Two.\n\n1. a\n2. b\n\n```\nx\n```\n\n> q\n"
    article = parse_article("kb/a.md", text.encode())
    assert [(span.kind, span.section) for span in article.spans] == [
        (SpanKind.SENTENCE, 0),
        (SpanKind.SENTENCE, 1),
        (SpanKind.SENTENCE, 1),
        (SpanKind.LIST, 1),
        (SpanKind.CODE, 1),
        (SpanKind.QUOTE, 1),
    ]
    assert article.sections[1].heading == "Head code"


def test_a_long_list_is_quoted_by_item_and_other_long_blocks_not_at_all() -> None:
    items = "\n".join(f"- item {number} " + "x" * 200 for number in range(10))
    code = "```\n" + "y" * MAX_BLOCK_CHARS + "\n```"
    article = parse_article("kb/a.md", f"{items}\n\n{code}\n".encode())
    assert [span.kind for span in article.spans] == [SpanKind.LIST] * 10


def test_front_matter_is_kept() -> None:
    text = "---\ntitle: T\nproduct: P\nupdated: 2026-01-02\ntags: [a, b]\nowner: Desk\nnested: {a: b}\n---\n"
    front = parse_article("kb/a.md", text.encode()).front_matter
    assert (front.title, front.product, front.updated, front.tags) == ("T", "P", "2026-01-02", ("a", "b"))
    assert front.other == (("owner", "Desk"),)


def test_the_title_falls_back_to_heading_and_file_name() -> None:
    assert parse_article("kb/a.md", b"# Head\n").front_matter.title == "Head"
    assert parse_article("kb/reset-token.md", b"text").front_matter.title == "Reset token"


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"\xff\xfe", "not UTF-8 at byte 0"),
        (b"x" * (MAX_FILE_BYTES + 1), "too large"),
        (b"---\na: [\n---\n", "no YAML (line"),
        (b"---\njust words\n---\n", "no mapping"),
        (b"---\na: " + b"x" * MAX_FRONT_MATTER_CHARS + b"\n---\n", "too long"),
        (b"---\na: !!python/object/apply:os.system [ls]\n---\n", "no YAML"),
    ],
)
def test_what_is_no_article_is_refused(data: bytes, complaint: str) -> None:
    with pytest.raises(ArticleRefused, match=re.escape(complaint)):
        parse_article("kb/a.md", data)


def test_front_matter_that_is_never_closed_is_text() -> None:
    assert parse_article("kb/a.md", b"---\ntitle: x\n").front_matter.title == "A"


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("See e.g. Outlook. Then go.", ["See e.g. Outlook.", "Then go."]),
        ("Use `a. B` now. Done.", ["Use `a. B` now.", "Done."]),
        ("Version 1.2 is out. Ask J. Smith.", ["Version 1.2 is out.", "Ask J. Smith."]),
        ('He said "go." Then left.', ['He said "go."', "Then left."]),
        ("no end", ["no end"]),
        ("  ", []),
    ],
)
def test_sentences(text: str, sentences: list[str]) -> None:
    assert [text[start:end] for start, end in split_sentences(text)] == sentences


@pytest.mark.parametrize(
    ("text", "count"), [("." * 1_000_000, 1), ("e.g. A " * 150_000, 1), ("A. b" * 250_000, 1)]
)
def test_a_million_marks_are_cut_in_one_pass(text: str, count: int) -> None:
    assert sum(1 for _ in split_sentences(text)) == count
