"""The policy catalogue: which words of a ticket stand for which actor, action and resource.

A TOML file that the team edits; see the one that ships with this package for its form. It is
validated as a whole, so that every mistake is named at once, each with its line.
"""

import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from assistsupport.core.lexicon import Lexicon, fold_phrase, inflect_noun, inflect_verb
from assistsupport.errors import CatalogueRefused

MAX_CATALOGUE_CHARS = 1_048_576
MAX_PHRASE_WORDS = 6
MAX_PROBLEMS = 20
_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_TABLES = ("actors", "actions", "resources")
_Inflection = Callable[[tuple[str, ...]], Iterable[tuple[str, ...]]]
_INFLECTIONS: Mapping[str, _Inflection] = {
    "actors": inflect_noun,
    "actions": inflect_verb,
    "resources": inflect_noun,
}


class PolicyCatalogue(msgspec.Struct, frozen=True, kw_only=True):
    """A catalogue, ready to read tickets with.

    Args:
        default_actor: Who asks when the ticket does not say.
        actors: Canonical actor by phrase.
        actions: Canonical action by phrase.
        resources: Canonical resource by phrase.
    """

    default_actor: str
    actors: Lexicon
    actions: Lexicon
    resources: Lexicon

    def has(self, *, actor: str, action: str, resource: str) -> bool:
        """Tell whether all three are canonical names of this catalogue."""
        return (
            actor in self.actors.values()
            and action in self.actions.values()
            and resource in self.resources.values()
        )


def parse_catalogue(text: str, origin: str) -> PolicyCatalogue:
    """Read a catalogue. Pure.

    Args:
        text: The file's text.
        origin: How messages call the file.

    Raises:
        CatalogueRefused: It is malformed; the message names every problem, `FILE:LINE: ...` each.
    """
    if len(text) > MAX_CATALOGUE_CHARS:
        raise CatalogueRefused(
            f"{origin}: catalogue is too long: expected at most {MAX_CATALOGUE_CHARS} characters"
        )
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise CatalogueRefused(
            f"{origin}: catalogue is no TOML: {str(exc).lower()}; correct that line"
        ) from exc
    reader = _Reader(text)
    lexicons = {table: reader.read_table(table, document.get(table)) for table in _TABLES}
    reader.check_top_level(document, set(lexicons["actors"].values()))
    if reader.problems:
        raise CatalogueRefused(
            "; ".join(f"{origin}:{line}: {what}" for line, what in reader.problems[:MAX_PROBLEMS])
        )
    return PolicyCatalogue(default_actor=document["default_actor"], **lexicons)


class _Reader:
    """Reads the tables of one document and collects what is wrong with them."""

    def __init__(self, text: str) -> None:
        self._lines = text.splitlines()
        self.problems: list[tuple[int, str]] = []

    def check_top_level(self, document: Mapping[str, Any], actors: set[str]) -> None:
        for key in document:
            if key not in {"default_actor", *_TABLES}:
                self._refuse(
                    "", key, f"unknown key '{key}': expected default_actor, {', '.join(_TABLES)}; remove it"
                )
        default = document.get("default_actor")
        if default not in actors:
            self._refuse(
                "", "default_actor", f"default_actor is no actor: expected one of [actors], got {default!r}"
            )

    def read_table(self, table: str, content: Any) -> Lexicon:
        if not isinstance(content, dict) or not content:
            self._refuse(
                "", f"[{table}]", f"[{table}] is missing or empty: expected 'name = [\"phrase\", ...]' lines"
            )
            return {}
        lexicon: dict[tuple[str, ...], str] = {}
        written: dict[tuple[str, ...], str] = {}
        for name, phrases in content.items():
            for phrase in self._phrases(table, name, phrases):
                if written.setdefault(phrase, name) != name:
                    other = written[phrase]
                    self._refuse(
                        table,
                        name,
                        f"phrase '{' '.join(phrase)}' stands for both '{other}' and '{name}'; keep one",
                    )
        for phrase, name in written.items():  # what is written wins over what is made of it
            for form in _INFLECTIONS[table](phrase):
                if form not in written:
                    lexicon.setdefault(form, name)
        return lexicon | written

    def _phrases(self, table: str, name: str, phrases: Any) -> Iterator[tuple[str, ...]]:
        if not _NAME.fullmatch(name):
            self._refuse(
                table, name, f"name '{name}' is not canonical: expected lower-case words joined by '-'"
            )
        if not isinstance(phrases, list) or not all(isinstance(phrase, str) for phrase in phrases):
            self._refuse(table, name, f"'{name}' is no list of phrases: expected [\"phrase\", ...]")
            return
        yield fold_phrase(name) or (name,)
        for phrase in phrases:
            words = fold_phrase(phrase)
            if 1 <= len(words) <= MAX_PHRASE_WORDS:
                yield words
            else:
                self._refuse(
                    table,
                    name,
                    f"phrase {phrase!r} is not usable: expected 1 to {MAX_PHRASE_WORDS} words",
                )

    def _refuse(self, table: str, key: str, what: str) -> None:
        self.problems.append((self._line(table, key), what))

    def _line(self, table: str, key: str) -> int:
        """Return the line on which a key of a table stands; that of the table, or 1, when it is missing."""
        current, found = "", 1
        for number, line in enumerate(self._lines, start=1):
            stripped = line.strip()
            if stripped.startswith("["):
                current = stripped.split("]")[0].strip("[ ")
                found = number if current == table else found
            name = stripped.split("=")[0].strip().strip("\"'")
            if (current == table and name == key) or stripped == key:
                return number
        return found
