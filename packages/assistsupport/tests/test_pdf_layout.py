"""The layout of PDF pages: what the eye sees becomes blocks, and nothing of it depends on a library."""

from dataclasses import replace

import pytest
from assistsupport.adapters.readers.pdf_layout import PdfLine, lay_out
from assistsupport.core.document import CodeBlock, Heading, ItemList, ListItem, Paragraph, Table


def line(text: str, bottom: float, *, left: float = 72.0, size: float = 11.0) -> PdfLine:
    return PdfLine(text=text, left=left, bottom=bottom, right=left + 6 * len(text), size=size)


BODY = [line("A line of running text that sets the size of the body, so long it is.", 100.0)]


def test_lines_without_a_gap_are_one_paragraph_also_when_a_word_of_another_font_begins_one() -> None:
    lines = [line("one", 700), line("two", 686, size=11.5), line("three", 660)]
    assert lay_out([[*lines]]) == (Paragraph(text="one two"), Paragraph(text="three"))


def test_a_paragraph_goes_on_over_the_turn_of_a_page_until_its_sentence_ends() -> None:
    assert lay_out([[line("It goes on", 60)], [line("here.", 760)], [line("Not here.", 760)]]) == (
        Paragraph(text="It goes on here."),
        Paragraph(text="Not here."),
    )


def test_a_word_broken_at_the_end_of_a_line_is_whole_again() -> None:
    assert lay_out([[replace(line("certi", 700), is_broken=True), line("ficate", 686)]]) == (
        Paragraph(text="certificate"),
    )


def test_larger_lines_are_headings_by_size_and_short_bold_ones_below_them() -> None:
    bold = replace(line("Bold one", 640), is_bold=True)
    lines = [line("Big", 760, size=20), line("Smaller", 720, size=14), bold, *BODY]
    assert [(block.level, block.text) for block in lay_out([lines]) if isinstance(block, Heading)] == [
        (1, "Big"),
        (2, "Smaller"),
        (3, "Bold one"),
    ]


def test_marks_make_steps_and_indents_nest_them() -> None:
    lines = [
        line("1. First", 700),
        line("goes on", 686, left=86),
        line("• nested", 672, left=90),
        line("2) Second", 658),
        line("After.", 620),
    ]
    assert lay_out([lines]) == (
        ItemList(
            items=(
                ListItem(depth=0, marker="1.", text="First goes on"),
                ListItem(depth=1, marker="-", text="nested"),
                ListItem(depth=0, marker="2.", text="Second"),
            )
        ),
        Paragraph(text="After."),
    )


def test_code_keeps_its_indents_and_cells_make_a_table() -> None:
    code = [replace(line(text, at, left=left), is_code=True) for text, at, left in _CODE]
    cells = [line("a\tb", 600), line("c\td", 586)]
    assert lay_out([[*code, *cells, *BODY]])[:2] == (
        CodeBlock(text="if x:\n    y"),
        Table(rows=(("a", "b"), ("c", "d"))),
    )


_CODE = (("if x:", 700, 72.0), ("y", 686, 96.0))


@pytest.mark.parametrize(("pages", "is_left_out"), [(2, False), (3, True)])
def test_what_stands_numbered_at_the_edge_of_three_pages_is_left_out(pages: int, is_left_out: bool) -> None:
    made = [[line(f"Page {n}", 30), line(f"Words {n}.", 400), line(f"End {n}", 20)] for n in range(pages)]
    text = " ".join(block.text for block in lay_out(made) if isinstance(block, Paragraph))
    assert ("Page" not in text) is is_left_out
    assert "Words 1." in text


def test_no_pages_have_no_blocks() -> None:
    assert lay_out([]) == ()
    assert lay_out([[]]) == ()
