"""Ranking, disposition and composition: pure, and the same for any order of what goes in."""

import hashlib

import pytest
from assistsupport.core.article import is_resolved
from assistsupport.core.disposition import (
    ABSTAIN_CERTAINTY,
    ANSWER_CERTAINTY,
    Disposition,
    Match,
    calculate_coverage,
    calculate_margin,
    choose_disposition,
    choose_informative,
)
from assistsupport.core.draft import SentenceKind, compose_draft
from assistsupport.core.markdown import parse_article
from assistsupport.core.ranking import IndexedArticle, Statistics, calculate_weights, count_terms, rank
from hypothesis import given, settings
from hypothesis import strategies as st

_WORDS = st.lists(st.sampled_from(["vpn", "printer", "badge", "token", "wifi", "mail"]), max_size=6)


def make_indexed(name: str, title: list[str], body: list[str]) -> IndexedArticle:
    text = " ".join(body).capitalize() + "." if body else ""
    article = parse_article(f"kb/{name}.md", f"# {' '.join(title)}\n\n{text}\n".encode())
    terms = tuple(tuple(word.lower().strip(".") for word in span.text.split()) for span in article.spans)
    return count_terms(
        article,
        title_terms=tuple(title),
        section_terms=tuple(tuple(section.heading.split()) for section in article.sections),
        span_terms=terms,
    )


def make_statistics(articles: list[IndexedArticle], terms: list[str]) -> Statistics:
    known = [{*each.title_terms, *each.body_terms()} for each in articles]
    count = max(len(articles), 1)
    return Statistics(
        documents=len(articles),
        mean_title_terms=sum(len(each.title_terms) for each in articles) / count,
        mean_body_terms=sum(len(list(each.body_terms())) for each in articles) / count,
        frequencies={term: sum(term in words for words in known) for term in set(terms)},
    )


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(_WORDS, _WORDS), min_size=1, max_size=6), _WORDS, st.randoms(use_true_random=False))
def test_neither_order_nor_repetition_of_candidates_changes_a_draft(
    parts: list[tuple[list[str], list[str]]], terms: list[str], shuffle: object
) -> None:
    articles = [make_indexed(f"a{i}", title, body) for i, (title, body) in enumerate(parts)]
    statistics = make_statistics(articles, terms)
    ranked = rank(terms, articles, statistics)
    again = rank(list(reversed(terms)), list(reversed(articles)), statistics)
    assert ranked == again
    assert compose_draft(ranked, statistics, "s") == compose_draft(again, statistics, "s")


def test_equals_stand_in_the_order_of_their_ids() -> None:
    articles = [make_indexed(name, ["vpn"], ["vpn"]) for name in ("c", "a", "b")]
    ranked = rank(["vpn"], articles, make_statistics(articles, ["vpn"]))
    assert [each.article.article.article_id for each in ranked] == ["kb/a.md", "kb/b.md", "kb/c.md"]
    assert len({each.score for each in ranked}) == 1


def test_a_title_counts_more_than_the_body_and_a_rare_term_more_than_a_common_one() -> None:
    articles = [
        make_indexed("body", ["mail"], ["vpn", "mail"]),
        make_indexed("title", ["vpn"], ["mail", "mail"]),
        make_indexed("rare", ["mail"], ["mail", "token"]),
    ]
    by_title = rank(["vpn"], articles, make_statistics(articles, ["vpn"]))
    assert by_title[0].article.article.article_id == "kb/title.md"
    weights = calculate_weights(make_statistics(articles, ["mail", "token"]))
    assert weights["token"] > weights["mail"]


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        (None, Disposition.ABSTAIN),
        (Match(coverage=0.0, margin=1.0), Disposition.ABSTAIN),
        (Match(coverage=ABSTAIN_CERTAINTY - 0.01, margin=0.0), Disposition.ABSTAIN),
        (Match(coverage=ABSTAIN_CERTAINTY, margin=0.0), Disposition.CLARIFY),
        (Match(coverage=ANSWER_CERTAINTY - 0.01, margin=0.0), Disposition.CLARIFY),
        (Match(coverage=ANSWER_CERTAINTY - 0.1, margin=0.2), Disposition.ANSWER),
        (Match(coverage=1.0, margin=0.0), Disposition.ANSWER),
    ],
)
def test_disposition(match: Match | None, expected: Disposition) -> None:
    assert choose_disposition(match) is expected


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_more_coverage_never_makes_a_draft_less_certain(coverage: float, more: float, margin: float) -> None:
    order = [Disposition.ABSTAIN, Disposition.CLARIFY, Disposition.ANSWER]
    low, high = sorted([coverage, more])
    lower = choose_disposition(Match(coverage=low, margin=margin))
    higher = choose_disposition(Match(coverage=high, margin=margin))
    assert order.index(lower) <= order.index(higher)


def test_courtesy_and_numbers_do_not_count_as_informative() -> None:
    weights = {"hello": 3.0, "pleas": 3.0, "4711": 3.0, "x": 3.0, "vpn": 1.0}
    assert choose_informative(weights) == {"vpn": 1.0}
    assert calculate_coverage({"vpn": 1.0, "token": 3.0}, {"token"}) == 0.75
    assert calculate_coverage({}, {"token"}) == 0.0
    assert calculate_margin(0.0, 0.0) == 0.0
    assert calculate_margin(4.0, 1.0) == 0.75


def test_every_cited_sentence_resolves_and_stands_in_the_text() -> None:
    file = b"# vpn token\n\nThe vpn token is reset here. Words follow.\n\n1. Open it.\n2. Reset the token.\n"
    article = parse_article("kb/a.md", file)
    indexed = count_terms(
        article,
        title_terms=("vpn", "token"),
        section_terms=((), ("vpn", "token")),
        span_terms=(("vpn", "token", "reset"), ("word",), ("open", "reset", "token")),
    )
    statistics = make_statistics([indexed], ["vpn", "token", "reset"])
    draft = compose_draft(rank(["vpn", "token", "reset"], [indexed], statistics), statistics, "s")
    cited = [sentence for sentence in draft.sentences if sentence.kind is SentenceKind.CITED]
    assert draft.disposition is Disposition.ANSWER
    assert len(cited) >= 2
    for sentence in cited:
        assert sentence.citation is not None
        assert is_resolved(sentence.citation, file)
        quoted = file[sentence.citation.start : sentence.citation.end].decode()
        assert draft.text[sentence.start : sentence.end] == quoted
        assert not is_resolved(sentence.citation, file + b"changed")
    assert draft.sha256 == hashlib.sha256(draft.text.encode()).hexdigest()


def test_nothing_found_abstains_without_sources() -> None:
    statistics = Statistics(documents=0, mean_title_terms=0, mean_body_terms=0, frequencies={})
    draft = compose_draft((), statistics, "s")
    assert draft.disposition is Disposition.ABSTAIN
    assert draft.sources == ()
