"""The sentences of a ticket that its sender says in their own words, to a person.

What the sender quotes (reply lines, a quoted policy, pasted code) and what is addressed to a machine
("ignore the previous instructions") is left out before anybody looks for a policy question: a question
must come from the sender, or it could be planted.
"""

import re
from collections.abc import Iterator

import msgspec

MAX_NAME_WORDS = 3  # a quotation this short is a name ("use my 'USB stick'"), a longer one is a citation

_REPLY = re.compile(
    r"^[ \t]*(?:-{2,}\s*(?:original|forwarded) message\s*-{2,}|on .{4,120}\bwrote:|begin forwarded message:)"
    r".*\Z",
    re.IGNORECASE | re.MULTILINE | re.DOTALL,
)
_QUOTED_LINE = re.compile(r"^[ \t]*(?:>|&gt;).*$", re.MULTILINE)
_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`", re.DOTALL)
_QUOTATION = re.compile(
    r"\"[^\"\n]{1,2000}\"|“[^”]{1,2000}”|„[^“”]{1,2000}[“”]|«[^»]{1,2000}»|(?<!\w)[‘'][^'’\n]{1,600}['’](?!\w)"
)
_SENTENCE_END = re.compile(r"[.!?]+(?=\s|$)|\n\s*\n|\n(?=\s*[-*•\d])|\n")
_TO_A_MACHINE = re.compile(
    r"\b(?:(?:ignore|disregard|forget|override|bypass)\b.{0,40}\b"
    r"(?:instruction|prompt|rule|polic|guideline|above|previous)|system prompt"
    r"|(?:you are|act as|pretend to be|behave as)\b.{0,30}\b(?:ai|bot|assistant|model|llm|unrestricted)"
    r"|as an ai\b|\bassistant\s*[:,]|\bsystem\s*:|note to (?:the )?(?:ai|bot|assistant)"
    r"|(?:ai|bot|assistant|model)s?\b.{0,30}\b(?:must|should|shall|please)\b"
    r"|(?:answer|reply|respond|say|tell them|tell him|tell her|output|write|mark|classify|treat)\b.{0,60}"
    r"\b(?:allow|allowed|approved|yes|permitted|granted)\b"
    r"|policy (?:question|check|lane)\s*[:=]|\b(?:actor|action|resource)\s*[:=])",
    re.IGNORECASE | re.DOTALL,
)


class OwnSentence(msgspec.Struct, frozen=True, kw_only=True):
    """One sentence of the sender: its offsets in the ticket's body, and whether it ends with "?"."""

    start: int
    end: int
    is_question: bool


class OwnWords(msgspec.Struct, frozen=True, kw_only=True):
    """A ticket's body with everything blanked that is not the sender's own, offsets unchanged.

    Args:
        text: As long as the body.
        sentences: In order.
    """

    text: str
    sentences: tuple[OwnSentence, ...]


def read_own_words(body: str) -> OwnWords:
    """Return the sender's own words. Pure; total.

    Args:
        body: The ticket's body.
    """
    text = body
    for pattern in (_REPLY, _QUOTED_LINE, _CODE):
        text = pattern.sub(_blank, text)
    text = _QUOTATION.sub(_blank_citation, text)
    sentences = tuple(s for s in _split(text) if not _TO_A_MACHINE.search(text, s.start, s.end))
    return OwnWords(text=text, sentences=sentences)


def _blank(match: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", match.group())


def _blank_citation(match: re.Match[str]) -> str:
    return _blank(match) if len(match.group().split()) > MAX_NAME_WORDS else match.group()


def _split(text: str) -> Iterator[OwnSentence]:
    start = 0
    for match in _SENTENCE_END.finditer(text):
        yield from _sentence(text, start, match.end())
        start = match.end()
    yield from _sentence(text, start, len(text))


def _sentence(text: str, start: int, end: int) -> Iterator[OwnSentence]:
    if text[start:end].strip():
        yield OwnSentence(start=start, end=end, is_question=text[start:end].rstrip().endswith("?"))
