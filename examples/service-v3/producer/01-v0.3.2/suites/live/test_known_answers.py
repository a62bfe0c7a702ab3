"""What this release answers to questions whose answer people have agreed on."""

import json
import unittest
from pathlib import Path

from wire import ask

KNOWN = json.loads((Path(__file__).parent / "known_answers.json").read_bytes())


class KnownAnswers(unittest.TestCase):
    def test_there_are_some(self) -> None:
        self.assertGreaterEqual(len(KNOWN), 10)

    def test_each_is_as_agreed(self) -> None:
        for actor, action, resource, expected in KNOWN:
            with self.subTest(question=f"{actor} {action} {resource}"):
                reply = ask(actor, action, resource)
                self.assertEqual(reply.status, 200, reply.body)
                self.assertEqual(reply.json["data"]["answer"]["result"], expected)
