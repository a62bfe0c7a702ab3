"""The example's files are well formed, complete and fit together; nothing is started here."""

import re
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from assistsupport.core.catalogue import PolicyCatalogue, parse_catalogue
from assistsupport.core.front_matter import describe_article, parse_front_matter
from contracts.core.manifest import parse_manifest

Document = dict[str, Any]
PARTIES = ("producer", "consumer")
COMMIT_KEYS = {"folder", "subject", "body", "author_name", "author_email", "date"}
OPTIONAL_COMMIT_KEYS = {"tag", "tag_message", "openapi"}
GENERATED = (
    "openapi.yaml",
    "config/memorykernel-integration-pin.json",
    "config/memorykernel-producer-manifest.json",
    "docs/MEMORYKERNEL_COMPATIBILITY_MATRIX.md",
)
EMAIL = re.compile(r"[a-z.-]+@norrwick\.example")
TRAPS = {"negation", "quoted-policy", "instructions", "two-questions", "on-behalf", "past-tense", "fragment"}


def read_toml(path: Path) -> Document:
    return tomllib.loads(path.read_text("utf-8"))


def read_catalogue(program: Path) -> PolicyCatalogue:
    path = program / "consumer" / "01-desk" / "config" / "policy-catalogue.toml"
    return parse_catalogue(path.read_text("utf-8"), path.name)


@pytest.mark.parametrize("party", PARTIES)
def test_commits_and_folders_are_the_same_in_the_same_order(program: Path, party: str) -> None:
    commits = read_toml(program / party / "commits.toml")["commit"]
    folders = sorted(path.name for path in (program / party).iterdir() if path.is_dir())
    assert [commit["folder"] for commit in commits] == folders
    assert [commit["date"] for commit in commits] == sorted(commit["date"] for commit in commits)


@pytest.mark.parametrize("party", PARTIES)
def test_every_commit_has_its_keys_and_a_named_author(program: Path, party: str) -> None:
    for commit in read_toml(program / party / "commits.toml")["commit"]:
        assert set(commit) >= COMMIT_KEYS
        assert set(commit) <= COMMIT_KEYS | OPTIONAL_COMMIT_KEYS
        assert EMAIL.fullmatch(commit["author_email"])
        assert ("tag" in commit) == ("tag_message" in commit)


@pytest.mark.parametrize("party", PARTIES)
def test_what_the_materializer_writes_is_in_no_folder(program: Path, party: str) -> None:
    for folder in (path for path in (program / party).iterdir() if path.is_dir()):
        assert not [name for name in GENERATED if (folder / name).exists()]


def test_placeholders_name_a_commit_that_is_older(program: Path) -> None:
    for path in (program / "producer").rglob("*.*"):
        if path.is_file():
            own = int(
                path.relative_to(program / "producer").parts[0][:2] if path.parent.name != "producer" else 99
            )
            named = [int(sha) for sha in re.findall(r"\{\{sha:(\d\d)\}\}", path.read_text("utf-8"))]
            assert all(sha < own for sha in named), path


@pytest.mark.parametrize(
    ("tagged", "metadata"), [("01-v0.3.2", "02-v0.3.2-metadata"), ("05-v0.4.0", "06-v0.4.0-metadata")]
)
def test_the_commit_after_a_release_changes_metadata_only(program: Path, tagged: str, metadata: str) -> None:
    commits = read_toml(program / "producer" / "commits.toml")["commit"]
    folder = program / "producer" / metadata
    changed = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert next(commit["tag"] for commit in commits if commit["folder"] == tagged)
    assert "contracts/integration/v1/producer-contract-manifest.json" in changed
    assert all(
        name.startswith(("contracts/integration/", "docs/")) or name == "CHANGELOG.md" for name in changed
    )


@pytest.mark.parametrize(
    ("folder", "service"), [("02-v0.3.2-metadata", "service.v2"), ("06-v0.4.0-metadata", "service.v3")]
)
def test_manifests_name_the_tagged_commit(lay_tree: Any, folder: str, service: str) -> None:
    tree = lay_tree("producer", folder)
    release = read_toml(tree / "release.toml")
    manifest = parse_manifest((tree / release["manifest"]).read_bytes())
    assert manifest.release_tag == release["release_tag"]
    assert manifest.expected_service_contract_version == release["service_contract"] == service
    assert manifest.commit_sha == f"{int(folder[:2]) - 1:02}" * 20


def test_the_manifest_at_a_tag_is_that_of_the_release_before(lay_tree: Any) -> None:
    name = "contracts/integration/v1/producer-contract-manifest.json"
    assert not (lay_tree("producer", "00-v0.3.1") / name).exists()
    assert parse_manifest((lay_tree("producer", "01-v0.3.2") / name).read_bytes()).release_tag == "v0.3.1"
    assert parse_manifest((lay_tree("producer", "05-v0.4.0") / name).read_bytes()).release_tag == "v0.3.2"


def test_roles_are_held_by_named_people_of_the_right_party(program: Path) -> None:
    roles = read_toml(program / "roles.toml")
    people = {person["id"]: person for person in roles["person"]}
    assert len(people) == len(roles["person"])
    assert all(EMAIL.fullmatch(person["email"]) for person in people.values())
    assert {(role["role"], role["party"]) for role in roles["role"]} == {
        *((role, party) for role in ("incident_commander", "rollback_owner") for party in PARTIES),
        ("decision_log_owner", "joint"),
    }
    assert all(role["party"] in ("joint", people[role["holder"]]["party"]) for role in roles["role"])
    assert len({role["holder"] for role in roles["role"]}) == len(roles["role"])


def test_policies_are_many_and_named_once(policies: list[Document]) -> None:
    kinds = Counter(policy.get("record_type", "constraint") for policy in policies)
    assert kinds["constraint"] >= 30
    assert set(kinds) == {"constraint", "decision", "preference", "event", "outcome"}
    assert max(Counter(policy["name"] for policy in policies).values()) == 1
    assert max(Counter((policy["memory_id"], policy["version"]) for policy in policies).values()) == 1


def test_policies_supersede_only_what_stands_above_them(policies: list[Document]) -> None:
    known: set[str] = set()
    for policy in policies:
        assert set(policy.get("supersedes_names", ())) <= known
        known.add(policy["name"])


def test_articles_are_many_complete_and_of_one_question(program: Path) -> None:
    paths = sorted((program / "consumer").glob("*/knowledge/**/*.md"))
    titles: Counter[str] = Counter()
    for path in paths:
        text = path.read_text("utf-8")
        split = parse_front_matter(text)
        about = describe_article(split.values, path.stem)
        titles[about.title] += 1
        assert all((about.product, about.tags, about.updated)), path
        assert [key for key, _ in about.other] == ["owner"], path
        assert 150 <= len(text[split.body_start :].split()) <= 450, path
    assert len(paths) >= 40
    assert max(titles.values()) == 1


def test_tickets_are_many_and_labelled(tickets: list[Document]) -> None:
    labels = [ticket["labels"] for ticket in tickets]
    assert len(tickets) == len({ticket["ticket_id"] for ticket in tickets}) >= 80
    assert sorted(ticket["received_at"] for ticket in tickets) == [
        ticket["received_at"] for ticket in tickets
    ]
    assert {label["disposition"] for label in labels} == {"answer", "clarify", "abstain"}
    assert {label["trap"] for label in labels} - {None} == TRAPS
    assert all(("second_question" in label) == (label["trap"] == "two-questions") for label in labels)
    assert 0.55 <= sum(label["question"] is not None for label in labels) / len(labels) <= 0.7


def test_catalogue_knows_what_policies_tickets_and_questions_name(
    program: Path, policies: list[Document], tickets: list[Document], questions: list[Document]
) -> None:
    catalogue = read_catalogue(program)
    known = {
        "actor": {*catalogue.actors.values(), "*"},
        "action": {*catalogue.actions.values(), "*"},
        "resource": {*catalogue.resources.values(), "*"},
    }
    scopes = [policy for policy in policies if "effect" in policy]
    scopes += [ticket["labels"]["question"] for ticket in tickets if ticket["labels"]["question"]]
    scopes += [question["question_class"] for question in questions if question["name"] != "unknown-drone"]
    assert not {(part, scope[part]) for scope in scopes for part in known if scope[part] not in known[part]}


def test_every_catalogue_entry_has_a_policy(program: Path, policies: list[Document]) -> None:
    catalogue = read_catalogue(program)
    ruled = [policy for policy in policies if "effect" in policy]
    assert set(catalogue.resources.values()) == {policy["resource"] for policy in ruled} - {"*"}
    assert set(catalogue.actions.values()) == {policy["action"] for policy in ruled} - {"*"}
