"""Articles, catalogue and tickets of this commit are complete and fit together."""

import json
import re
import tomllib
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FRONT_MATTER = re.compile(r"\A---\n(.*?)\n---\n\n(.+)\Z", re.DOTALL)
SCOPE = ("actor", "action", "resource")


def articles() -> list[Path]:
    return sorted((ROOT / "knowledge").rglob("*.md"))


def tickets() -> list[dict[str, object]]:
    lines = (line for file in sorted((ROOT / "tickets").glob("*.jsonl")) for line in file.read_text("utf-8").splitlines())
    return [json.loads(line) for line in lines]


class Articles(unittest.TestCase):
    def test_there_are_at_least_forty(self) -> None:
        self.assertGreaterEqual(len(articles()), 40)

    def test_front_matter_is_complete(self) -> None:
        for path in articles():
            with self.subTest(article=path.name):
                match = FRONT_MATTER.match(path.read_text("utf-8"))
                self.assertIsNotNone(match)
                keys = [line.split(":", 1)[0] for line in match[1].splitlines()]
                self.assertEqual(keys, ["title", "product", "tags", "owner", "updated"])
                self.assertRegex(match[1], r"(?m)^updated: \d{4}-\d{2}-\d{2}$")

    def test_titles_are_unique(self) -> None:
        titles = [re.search(r"(?m)^title: (.+)$", path.read_text("utf-8"))[1] for path in articles()]
        self.assertEqual(len(titles), len(set(titles)))

    def test_length_is_that_of_one_question(self) -> None:
        for path in articles():
            with self.subTest(article=path.name):
                words = len(FRONT_MATTER.match(path.read_text("utf-8"))[2].split())
                self.assertTrue(150 <= words <= 450, words)


class Tickets(unittest.TestCase):
    def test_there_are_at_least_eighty_and_ids_are_unique(self) -> None:
        ids = [ticket["ticket_id"] for ticket in tickets()]
        self.assertGreaterEqual(len(ids), 80)
        self.assertEqual(len(ids), len(set(ids)))

    def test_each_has_a_text_and_a_disposition(self) -> None:
        for ticket in tickets():
            with self.subTest(ticket=ticket["ticket_id"]):
                self.assertTrue(ticket["text"].strip())
                self.assertIn(ticket["labels"]["disposition"], {"answer", "clarify", "abstain"})

    def test_questions_have_three_parts(self) -> None:
        for ticket in tickets():
            with self.subTest(ticket=ticket["ticket_id"]):
                question = ticket["labels"]["question"]
                self.assertTrue(question is None or sorted(question) == sorted(SCOPE))


class Catalogue(unittest.TestCase):
    def test_parses_and_is_not_empty(self) -> None:
        catalogue = tomllib.loads((ROOT / "config" / "policy-catalogue.toml").read_text("utf-8"))
        self.assertTrue(catalogue)

    def test_knows_every_action_and_resource_of_the_labels(self) -> None:
        text = (ROOT / "config" / "policy-catalogue.toml").read_text("utf-8")
        labels = [ticket["labels"]["question"] for ticket in tickets() if ticket["labels"]["question"]]
        missing = sorted({label[part] for label in labels for part in SCOPE if label[part] not in text})
        self.assertEqual(missing, [])
