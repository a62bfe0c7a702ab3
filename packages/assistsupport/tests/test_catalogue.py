"""The catalogue: what it reads, and every mistake with its line."""

import re
from pathlib import Path

import pytest
from assistsupport.adapters.desk_file import load_catalogue
from assistsupport.core.catalogue import parse_catalogue
from assistsupport.core.lexicon import find_phrases, split_words
from assistsupport.errors import CatalogueRefused

GOOD = """default_actor = "employee"
[actors]
employee = []
[actions]
copy = ["back up"]
[resources]
usb-drive = ["USB stick"]
"""


def test_the_shipped_catalogue_is_good() -> None:
    catalogue = load_catalogue(None)
    assert catalogue.default_actor == "employee"
    assert catalogue.has(actor="contractor", action="use", resource="usb-drive")
    assert not catalogue.has(actor="contractor", action="use", resource="spaceship")


@pytest.mark.parametrize("word", ["USB-Stick", "usb sticks", "usb drive", "Usb Drives", "usb stick's"])
def test_resources_are_found_in_any_spelling(word: str) -> None:
    lexicon = parse_catalogue(GOOD, "c").resources
    assert [found.name for found in find_phrases(split_words(f"my {word} here"), lexicon)] == ["usb-drive"]


@pytest.mark.parametrize("word", ["copy", "copies", "copied", "copying", "back up", "backing up", "backs up"])
def test_actions_are_found_in_their_regular_forms(word: str) -> None:
    lexicon = parse_catalogue(GOOD, "c").actions
    assert [found.name for found in find_phrases(split_words(word), lexicon)] == ["copy"]


def test_the_longest_phrase_wins() -> None:
    text = GOOD + 'usb-cable = ["USB stick cable"]\n'
    lexicon = parse_catalogue(text, "c").resources
    assert [each.name for each in find_phrases(split_words("a USB stick cable, a USB stick"), lexicon)] == [
        "usb-cable",
        "usb-drive",
    ]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("default_actor = [", "no TOML"),
        (GOOD.replace('"employee"', '"boss"'), "c:1: default_actor is no actor"),
        (GOOD.replace("[actions]", "[verbs]"), "[actions] is missing or empty"),
        (GOOD.replace("usb-drive =", '"USB Drive" ='), "c:7: name 'USB Drive' is not canonical"),
        (GOOD.replace('["USB stick"]', '"USB stick"'), "c:7: 'usb-drive' is no list"),
        (GOOD.replace('["USB stick"]', '["..."]'), "c:7: phrase '...' is not usable"),
        (GOOD + 'key = ["usb STICK"]\n', "c:8: phrase 'usb stick' stands for both 'usb-drive' and 'key'"),
        ("surprise = 1\n" + GOOD, "c:1: unknown key 'surprise'"),
        ("#" + "x" * 1_048_576, "too long"),
    ],
)
def test_mistakes_are_named_with_their_line(text: str, complaint: str) -> None:
    with pytest.raises(CatalogueRefused, match=re.escape(complaint)):
        parse_catalogue(text, "c")


def test_every_mistake_is_named_at_once() -> None:
    text = GOOD.replace('"employee"', '"boss"').replace('["USB stick"]', '"USB stick"')
    with pytest.raises(CatalogueRefused, match=r"no list.*default_actor"):
        parse_catalogue(text, "c")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CatalogueRefused, match="cannot read"):
        load_catalogue(tmp_path / "none.toml")
