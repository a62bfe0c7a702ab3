"""Words of a text, and the longest phrases of a catalogue among them.

Everything is compared case-folded; a hyphen separates words, so "USB-stick" and "usb stick" are one
phrase. Inflected forms are made when the lexicon is built, not guessed when a ticket is read: what
can match is a finite list that a test can print.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_VOWELS = frozenset("aeiou")


class Word(msgspec.Struct, frozen=True, kw_only=True):
    """One word of a text: its folded form and its offsets in characters."""

    folded: str
    start: int
    end: int


class Phrase(msgspec.Struct, frozen=True, kw_only=True):
    """A phrase of the lexicon found in a text.

    Args:
        name: The canonical name that it stands for.
        first: Index of its first word.
        last: One past the index of its last word.
    """

    name: str
    first: int
    last: int


Lexicon = Mapping[tuple[str, ...], str]


def split_words(text: str, start: int = 0, end: int | None = None) -> tuple[Word, ...]:
    """Return the words of `text[start:end]`, with offsets in `text`. Pure."""
    matches = _WORD.finditer(text, start, len(text) if end is None else end)
    return tuple(Word(folded=_fold(match.group()), start=match.start(), end=match.end()) for match in matches)


def _fold(word: str) -> str:
    return word.casefold().replace("’", "'").removesuffix("'s")


def fold_phrase(text: str) -> tuple[str, ...]:
    """Return the folded words of a phrase. Pure."""
    return tuple(word.folded for word in split_words(text))


def find_phrases(words: Sequence[Word], lexicon: Lexicon) -> Iterator[Phrase]:
    """Yield the phrases of the lexicon in the order of the text; the longest wins, none overlap. Pure."""
    longest = max((len(key) for key in lexicon), default=0)
    position = 0
    while position < len(words):
        for length in range(min(longest, len(words) - position), 0, -1):
            key = tuple(word.folded for word in words[position : position + length])
            if key in lexicon:
                yield Phrase(name=lexicon[key], first=position, last=position + length)
                position += length
                break
        else:
            position += 1


def inflect_noun(phrase: tuple[str, ...]) -> Iterable[tuple[str, ...]]:
    """Yield a phrase and its plural: "usb stick" gives "usb sticks". Pure."""
    *head, last = phrase
    yield phrase
    if last.endswith("y") and len(last) > 1 and last[-2] not in _VOWELS:
        yield (*head, last[:-1] + "ies")
    elif last.endswith(("s", "x", "z", "ch", "sh")):
        yield (*head, last + "es")
    else:
        yield (*head, last + "s")


def inflect_verb(phrase: tuple[str, ...]) -> Iterable[tuple[str, ...]]:
    """Yield a phrase with its verb, the first word, in its regular forms. Pure."""
    verb, *tail = phrase
    yield phrase
    for form in _verb_forms(verb):
        yield (form, *tail)


def _verb_forms(verb: str) -> Iterator[str]:
    if verb.endswith("e"):
        yield from (verb + "s", verb + "d", verb[:-1] + "ing")
    elif verb.endswith("y") and len(verb) > 1 and verb[-2] not in _VOWELS:
        yield from (verb[:-1] + "ies", verb[:-1] + "ied", verb + "ing")
    elif verb.endswith(("s", "x", "z", "ch", "sh")):
        yield from (verb + "es", verb + "ed", verb + "ing")
    else:
        yield from (verb + "s", verb + "ed", verb + "ing")
        if (
            len(verb) > 2
            and verb[-1] not in _VOWELS | {"w"}
            and verb[-2] in _VOWELS
            and verb[-3] not in _VOWELS
        ):
            yield from (verb + verb[-1] + "ed", verb + verb[-1] + "ing")
