"""Reads the YAML front matter of a Markdown file, without losing where the body starts.

Only what can be shown on one line is kept (scalars, lists of scalars): front matter is untrusted, and
a nested structure has no place beside an article's title.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
import yaml
from frontmatter.default_handlers import YAMLHandler

from assistsupport.core.article import FrontMatter
from assistsupport.errors import ArticleRefused

MAX_FRONT_MATTER_CHARS = 16_384
MAX_VALUE_CHARS = 300
_NAMED = frozenset({"title", "product", "updated", "tags"})


class SplitText(msgspec.Struct, frozen=True, kw_only=True):
    """A file taken apart: the values of its front matter and where its body starts.

    Args:
        values: The front matter; empty when there is none.
        body_start: Offset of the body's first character in the file's text.
    """

    values: Mapping[str, Any]
    body_start: int


def parse_front_matter(text: str) -> SplitText:
    """Split a file's text into front matter and body. Pure.

    Raises:
        ArticleRefused: The front matter is no YAML mapping, or too long. A block that is never
            closed is not front matter but text.
    """
    handler = YAMLHandler()
    if not handler.detect(text):
        return SplitText(values={}, body_start=0)
    try:
        block, body = handler.split(text)
    except ValueError:
        return SplitText(values={}, body_start=0)
    if len(block) > MAX_FRONT_MATTER_CHARS:
        raise ArticleRefused(
            f"front matter is too long: expected at most {MAX_FRONT_MATTER_CHARS} characters, "
            f"got {len(block)}; shorten it"
        )
    return SplitText(values=_load_mapping(handler, block), body_start=len(text) - len(body))


def _load_mapping(handler: YAMLHandler, block: str) -> Mapping[str, Any]:
    try:
        values = handler.load(block)
    except (yaml.YAMLError, ValueError, RecursionError) as exc:
        mark = getattr(exc, "problem_mark", None)
        line = f" (line {mark.line + 1})" if mark is not None else ""
        raise ArticleRefused(f"front matter is no YAML{line}; correct it or remove it") from exc
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ArticleRefused(
            f"front matter is no mapping: expected 'key: value' lines, got {block.strip()[:40]!r}"
        )
    return {str(key): value for key, value in values.items()}


def describe_article(values: Mapping[str, Any], fallback_title: str) -> FrontMatter:
    """Return what the front matter says, each value on one bounded line. Pure.

    Args:
        values: The front matter as read.
        fallback_title: The title when it names none.
    """
    others = ((key, _one_line(value)) for key, value in values.items() if key not in _NAMED)
    return FrontMatter(
        title=_one_line(values.get("title")) or _one_line(fallback_title),
        product=_one_line(values.get("product")) or None,
        updated=_one_line(values.get("updated")) or None,
        tags=_many(values.get("tags")),
        other=tuple(sorted((_one_line(key), text) for key, text in others if text)),
    )


def _many(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        value = value.split(",")
    if not isinstance(value, list):
        return ()
    return tuple(text for item in value[:50] if (text := _one_line(item)))


def _one_line(value: Any) -> str:
    if value is None or isinstance(value, dict):
        return ""
    if isinstance(value, (list, tuple, set)):
        flat = [item for item in value if not isinstance(item, (list, tuple, set, dict))]
        return ", ".join(" ".join(str(item).split()) for item in flat[:50])[:MAX_VALUE_CHARS]
    return " ".join(str(value).split())[:MAX_VALUE_CHARS]
