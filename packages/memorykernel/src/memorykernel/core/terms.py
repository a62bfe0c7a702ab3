"""The words of a text, as the two generations of recall see them.

`ascii_terms` is recall-ordering.v1's and stays as published. `unicode_terms` is
recall-ordering.v2's: text is compatibility-normalized (NFKC) and case-folded, a word is a run of letters,
marks and numbers, and every Han, Hiragana and Katakana character is a word of its own, because these
scripts are written without spaces (UAX #29 breaks the first two likewise). A single letter of any other
script is no word; a single number is. Underscore and hyphen separate, so that "usb drive" finds `usb_drive`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

from memorykernel.core.record import ConstraintContent, Content, MembershipContent, SummaryContent

# Unicode's White_Space property; str.split() also splits at U+001C to U+001F.
_WHITE_SPACE: Final = re.compile("[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")
_NOT_A_V1_LETTER: Final = re.compile(r"[^A-Za-z0-9_-]+")
_ASCII_WORD: Final = re.compile("[0-9a-z]{2,}|[0-9]")
_MIN_TERM_CHARACTERS: Final = 2
_IDEOGRAPHIC: Final = ("CJK", "HIRAGANA", "KATAKANA")


def ascii_terms(text: str) -> tuple[str, ...]:
    """The terms of recall-ordering.v1: ASCII, lower case, at least two characters, unique, sorted."""
    pieces = (_NOT_A_V1_LETTER.sub("", piece).lower() for piece in _WHITE_SPACE.split(text))
    return tuple(sorted({piece for piece in pieces if len(piece) >= _MIN_TERM_CHARACTERS}))


def unicode_terms(text: str) -> tuple[str, ...]:
    """The terms of recall-ordering.v2: words of any script, case-folded, unique, sorted."""
    return tuple(sorted(set(_split(text))))


def list_words(text: str) -> tuple[str, ...]:
    """The same terms in the order of the text, which recall-ordering.v3 looks up from its beginning."""
    return tuple(dict.fromkeys(_split(text)))


def describe_content(content: Content) -> str:
    """The text that a record is found by: its summary, its scope and note, or its membership."""
    if isinstance(content, ConstraintContent):
        scope = content.scope
        return " ".join((scope.actor, scope.action, scope.resource, content.note or ""))
    return content.summary if isinstance(content, SummaryContent) else describe_membership(content)


def describe_membership(content: MembershipContent) -> str:
    """A membership as a sentence, by which people find it."""
    return f"{content.field} {content.member} is a member of {content.group}"


def _split(text: str) -> Iterable[str]:
    if text.isascii():
        # The same, without looking at every character: most texts of most stores.
        return _ASCII_WORD.findall(text.lower())
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return filter(_counts, "".join(map(_separate, folded)).split("\0"))


def _separate(character: str) -> str:
    if character.isascii():
        return character if character.isalnum() else "\0"
    kind = unicodedata.category(character)[0]
    if kind == "L" and unicodedata.name(character, "").startswith(_IDEOGRAPHIC):
        return f"\0{character}\0"
    return character if kind in "LMN" else "\0"


def _counts(word: str) -> bool:
    if len(word) >= _MIN_TERM_CHARACTERS:
        return True
    return bool(word) and (word.isnumeric() or unicodedata.name(word, "").startswith(_IDEOGRAPHIC))
