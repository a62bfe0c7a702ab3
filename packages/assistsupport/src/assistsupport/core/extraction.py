"""Finds the policy question in a ticket: who wants to do what to which resource.

The rules, in the order in which they apply:

1. Only the sender's own words count (see `own_words`).
2. A sentence must ask: end with a question mark, or ask in words ("I would like to", "please", "let me
   know whether"). A statement ("employees may use USB drives") asks nothing.
3. A clause must name an action and a resource of the catalogue. Each resource goes with the nearest
   action before it in the clause, else with a passive after it ("may the stick be used").
4. A negated pair ("I do not want to use", "without admin rights") asks nothing.
5. The actor is the one who stands between asking word and action ("may our intern install"), else the
   one the sender says to be ("as a contractor", "contractor here"), else the catalogue's default. A
   sender who says to be two different actors leaves it open who asks: nothing is asked.
6. Several different questions: the first one is asked, the others are listed for the person who reads.

A question that is not asked costs a look-up by hand; a wrong one may show "allow" to somebody who is
not allowed. When in doubt these rules ask nothing.
"""

import re
from collections.abc import Iterator, Sequence
from enum import StrEnum

import msgspec

from assistsupport.core.catalogue import PolicyCatalogue
from assistsupport.core.lexicon import Phrase, Word, find_phrases, split_words
from assistsupport.core.own_words import OwnSentence, OwnWords, read_own_words
from assistsupport.core.policy_question import PolicyQuestion

MAX_QUESTION_CHARS = 400
MAX_OTHERS = 5
_SUBJECT_GAP = re.compile(
    r"allowed|permitted|to|also|still|now|just|may|can|could|should|be|is|are|who|already|please|temporarily"
)
NEGATION_REACH = 8  # words before the action, or directly before the resource, within the clause

_ASKS = re.compile(
    r"\b(?:can|may|could|might|shall|should|am|are|is|would it|do|does)\s+"
    r"(?:i|we|my|our|the|a|an|it|this|that|one|someone|anyone|somebody|anybody|there)\b.{0,160}?\b"
    r"|\b(?:i|we)(?:'d| would| want| need| am| are|'m|'re)\b.{0,30}?\b"
    r"(?:like|want|need|planning|going|allowed|permitted|hoping|wondering|asking|trying|to)\b"
    r"|\b(?:i|we) (?:want|need|wish|hope|plan|intend)\b|\bplease\b|\blet me know\b"
    r"|\b(?:whether|permission|approval|wondering|clarify|ok if|okay if|fine if|allowed to)\b"
    r"|\brequest(?:ing)? (?:access|permission|approval)\b"
    r"|\bif (?:i|we) (?:can|may|could|am|are)\b|\bhow (?:do|can|may|should) (?:i|we)\b",
    re.IGNORECASE,
)
_CLAUSE_END = re.compile(
    r";|\s[-–—]\s|\bbut\b|\bhowever\b"
    r"|,\s*(?=(?:and\s+|so\s+|or\s+)?(?:can|may|could|am|are|is|should|do|does|would|please|i|we)\b)",
    re.IGNORECASE,
)
_NEGATIONS = frozenset(
    {"not", "never", "no", "without", "cannot", "instead", "neither", "nor", "except", "rather"}
)
_DETERMINERS = frozenset(
    {"a", "an", "the", "my", "our", "your", "his", "her", "their", "its", "this", "that", "any"}
)
_IN_DOUBT = frozenset(
    {"sure", "certain", "know", "clear", "only"}
)  # "I am not sure whether I may" asks all the same
_ACTOR_LEADS = re.compile(
    r"\b(?:i am|i'm|we are|we're|as|im)\s+(?:(?:an?|the|one of the|your|new|external|only)\s+){0,3}$",
    re.IGNORECASE,
)


# "Hi, contractor here", "Support engineer on duty."
_GREETING = re.compile(r"\s*(?:(?:hi|hello|hey|dear)\b[^,.!]{0,30}[,!]\s*)?", re.IGNORECASE)
_INTRODUCES = re.compile(r"\s*(?:here\b|on\b|from\b|at\b|of\b|speaking\b|[,(:])", re.IGNORECASE)


class Part(StrEnum):
    """A part of a policy question."""

    ACTOR = "actor"
    ACTION = "action"
    RESOURCE = "resource"


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """The words of the ticket that one part of the question was read from.

    Args:
        part: actor, action or resource.
        name: The canonical name.
        start: First character in the ticket's body.
        end: One past the last one.
        text: The characters between them.
    """

    part: Part
    name: str
    start: int
    end: int
    text: str


class FoundQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """A question with its evidence; an actor taken from the default has none."""

    question: PolicyQuestion
    evidence: tuple[Evidence, ...]


class ExtractionReason(StrEnum):
    """Why a question is asked, or why not."""

    ASKED = "asked"
    NOTHING_MATCHED = "nothing-matched"
    ACTOR_UNCLEAR = "actor-unclear"


class Extraction(msgspec.Struct, frozen=True, kw_only=True):
    """What a ticket asks of the policy.

    Args:
        reason: Why `found` is there, or is not.
        found: The question to ask.
        others: Further questions in the ticket, in order; shown, not asked; at most five.
    """

    reason: ExtractionReason
    found: FoundQuestion | None = None
    others: tuple[FoundQuestion, ...] = ()


def extract_question(body: str, catalogue: PolicyCatalogue) -> Extraction:
    """Return the policy question of a ticket. Pure; total; linear in the ticket's length.

    Args:
        body: The ticket's body.
        catalogue: The words to look for.
    """
    own = read_own_words(body)
    senders = tuple(_find_senders(own, catalogue))
    found: dict[tuple[str, str, str], FoundQuestion] = {}
    for sentence in own.sentences:
        if sentence.is_question or _ASKS.search(own.text, sentence.start, sentence.end):
            for question in _read_sentence(own.text, sentence, catalogue, senders):
                asked = question.question
                found.setdefault((asked.actor, asked.action, asked.resource), question)
    if not found:
        return Extraction(reason=ExtractionReason.NOTHING_MATCHED)
    first, *others = found.values()
    if _is_unclear(first, senders):
        return Extraction(reason=ExtractionReason.ACTOR_UNCLEAR, others=(first, *others)[:MAX_OTHERS])
    return Extraction(reason=ExtractionReason.ASKED, found=first, others=tuple(others[:MAX_OTHERS]))


def _is_unclear(first: FoundQuestion, senders: Sequence[Evidence]) -> bool:
    named = any(part.part is Part.ACTOR and part not in senders for part in first.evidence)
    return not named and len({sender.name for sender in senders}) > 1


def _find_senders(own: OwnWords, catalogue: PolicyCatalogue) -> Iterator[Evidence]:
    """Yield whom the sender says to be: an actor right after "I am a", "as a"."""
    for sentence in own.sentences:
        words = split_words(own.text, sentence.start, sentence.end)
        for phrase in find_phrases(words, catalogue.actors):
            before = own.text[sentence.start : words[phrase.first].start]
            after = own.text[words[phrase.last - 1].end : sentence.end]
            if _ACTOR_LEADS.search(before) or (_GREETING.fullmatch(before) and _INTRODUCES.match(after)):
                yield _evidence(Part.ACTOR, phrase, words, own.text)


def _read_sentence(
    text: str, sentence: OwnSentence, catalogue: PolicyCatalogue, senders: Sequence[Evidence]
) -> Iterator[FoundQuestion]:
    wording = " ".join(text[sentence.start : sentence.end].split())[:MAX_QUESTION_CHARS]
    for start, end in _clauses(text, sentence):
        words = split_words(text, start, end)
        resources = list(find_phrases(words, catalogue.resources))
        taken = {index for phrase in resources for index in range(phrase.first, phrase.last)}
        actions = [
            phrase
            for phrase in find_phrases(words, catalogue.actions)
            if taken.isdisjoint(range(phrase.first, phrase.last)) and not _is_noun(words, phrase)
        ]
        for action, resource in _pairs(words, actions, resources):
            actor = _actor_between(words, catalogue, action) or (senders[0] if senders else None)
            found = [
                _evidence(Part.ACTION, action, words, text),
                _evidence(Part.RESOURCE, resource, words, text),
            ]
            if isinstance(actor, Phrase):
                actor = _evidence(Part.ACTOR, actor, words, text)
            yield FoundQuestion(
                question=PolicyQuestion(
                    text=wording,
                    actor=actor.name if actor else catalogue.default_actor,
                    action=action.name,
                    resource=resource.name,
                ),
                evidence=tuple([actor, *found] if actor else found),
            )


def _clauses(text: str, sentence: OwnSentence) -> Iterator[tuple[int, int]]:
    start = sentence.start
    for match in _CLAUSE_END.finditer(text, sentence.start, sentence.end):
        yield start, match.start()
        start = match.end()
    yield start, sentence.end


def _pairs(
    words: Sequence[Word], actions: Sequence[Phrase], resources: Sequence[Phrase]
) -> Iterator[tuple[Phrase, Phrase]]:
    for resource in resources:
        before = [action for action in actions if action.last <= resource.first]
        after = [action for action in actions if _is_passive(words, resource, action)]
        action = before[-1] if before else after[0] if after else None
        if action is not None and not _is_negated(words, action, resource):
            yield action, resource


def _is_noun(words: Sequence[Word], action: Phrase) -> bool:
    """Tell whether a word of the actions is used as a noun: "my mail", "the download"."""
    return action.first > 0 and words[action.first - 1].folded in _DETERMINERS


def _is_passive(words: Sequence[Word], resource: Phrase, action: Phrase) -> bool:
    """Tell whether the action is done to the resource named before it ("may the disk be copied")."""
    between = [word.folded for word in words[resource.last : action.first]]
    return action.first >= resource.last and bool(between) and between[-1] in {"be", "being", "been"}


def _is_negated(words: Sequence[Word], action: Phrase, resource: Phrase) -> bool:
    reach = words[max(0, action.first - NEGATION_REACH) : action.first]
    between = words[action.last : resource.first] if action.last <= resource.first else ()
    return _has_negation(reach) or _has_negation(between)


def _has_negation(words: Sequence[Word]) -> bool:
    for place, word in enumerate(words):
        after = words[place + 1].folded if place + 1 < len(words) else ""
        if (word.folded in _NEGATIONS or word.folded.endswith("n't")) and after not in _IN_DOUBT:
            return True
    return False


def _actor_between(words: Sequence[Word], catalogue: PolicyCatalogue, action: Phrase) -> Phrase | None:
    """Return the actor that stands before the action as its subject, if any."""
    before = list(find_phrases(words[: action.first], catalogue.actors))
    if not before:
        return None
    subject = before[-1]
    gap = words[subject.last : action.first]
    return subject if all(_SUBJECT_GAP.fullmatch(word.folded) for word in gap) else None


def _evidence(part: Part, phrase: Phrase, words: Sequence[Word], text: str) -> Evidence:
    start, end = words[phrase.first].start, words[phrase.last - 1].end
    return Evidence(part=part, name=phrase.name, start=start, end=end, text=text[start:end])
