"""`assistsupport kb`: add articles, search them."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from assistsupport.cli.output import EXIT_NO, narrate, print_json, refusing, show_progress
from assistsupport.core.article import Article, SpanKind
from assistsupport.core.draft import view_source
from assistsupport.core.knowledge import AddReport
from assistsupport.core.spans import MAX_SPANS
from assistsupport.errors import KnowledgeMissing
from assistsupport.wiring import has_knowledge, open_knowledge

DATA = Annotated[Path, typer.Option("--data", help="The data folder.")]
NEW_DATA = Annotated[Path, typer.Option("--data", help="The data folder; created when it is missing.")]
JSON = Annotated[bool, typer.Option("--json", help="Print JSON.")]
DEFAULT_DATA = Path("assistsupport-data")

app = typer.Typer(help="The knowledge base.", no_args_is_help=True)


def require_knowledge(data: Path) -> Path:
    """Return a data folder that can be read; a command started elsewhere must not leave an empty one.

    Raises:
        KnowledgeMissing: No knowledge base is in it.
    """
    if not has_knowledge(data):
        raise KnowledgeMissing(
            f"no knowledge base in {describe_folder(data)}; run 'assistsupport kb add' or pass --data"
        )
    return data


def describe_folder(data: Path) -> str:
    """Return a path as a shell would write it, so that a relative one is seen to be relative."""
    return str(data) if data.is_absolute() or data.parts[:1] in ((), ("..",)) else f"./{data}"


@app.command()
def add(
    paths: Annotated[
        list[Path], typer.Argument(help="Folders of documents (.md .txt .html .pdf .docx), or single files.")
    ],
    data: NEW_DATA = DEFAULT_DATA,
    name: Annotated[
        str | None, typer.Option(help="Name of the source; the folder's name by default.")
    ] = None,
    json: JSON = False,
) -> None:
    """Bring folders up to date: new, changed and removed articles. Exit 1 when a file was refused."""
    with refusing(), open_knowledge(data) as knowledge, show_progress() as progress:
        report = knowledge.add(paths, name, progress)
    for article_id, reason in report.refused:
        narrate(f"refused {article_id}: {reason}")
    print_json(report) if json else _print_report(report)
    if report.refused:
        raise typer.Exit(EXIT_NO)


def _print_report(report: AddReport) -> None:
    typer.echo(
        f"{report.added} added, {report.changed} changed, {report.removed} removed, "
        f"{report.unchanged} unchanged, {len(report.refused)} refused: "
        f"{report.documents} articles, snapshot {report.snapshot[:12]}, {report.elapsed_ms:.0f} ms"
    )


@app.command()
def show(
    article: Annotated[str, typer.Argument(help="Its id, as 'kb search' prints it.")],
    data: DATA = DEFAULT_DATA,
    json: JSON = False,
) -> None:
    """Print the text that drafts quote, as it was read. Exit 1 when there is no such article."""
    with refusing(), open_knowledge(require_knowledge(data)) as knowledge:
        found = knowledge.load_article(article)
    if found is None:
        narrate(f"no article '{article}'; 'assistsupport kb search' prints ids")
        raise typer.Exit(EXIT_NO)
    if json:
        print_json(found)
        return
    _narrate_article(found)
    typer.echo(found.text, nl=not found.text.endswith("\n"))


def _narrate_article(article: Article) -> None:
    front, reader = article.front_matter, article.reader
    narrate(f"{front.title} ({article.format}, read by {reader.name} {reader.version})")
    narrate(f"file sha256 {article.sha256}, text sha256 {article.text_sha256}")
    kinds = Counter(span.kind for span in article.spans)
    counts = ", ".join(f"{kinds[kind]} {kind}" for kind in SpanKind if kinds[kind]) or "nothing"
    narrate(f"{len(article.sections)} sections; quotable: {counts}")
    if len(article.spans) >= MAX_SPANS:
        narrate(f"only the first {article.spans[-1].end} bytes can be quoted; split the file")


@app.command()
def search(
    query: Annotated[list[str], typer.Argument(help="Words to look for.")],
    data: DATA = DEFAULT_DATA,
    limit: Annotated[int, typer.Option(min=1, max=50, help="How many articles.")] = 10,
    json: JSON = False,
) -> None:
    """Find articles, best first. Exit 1 when there is none."""
    with refusing(), open_knowledge(require_knowledge(data)) as knowledge:
        found = knowledge.find(" ".join(query))
    results = [view_source(each) for each in found.ranked[:limit]]
    if json:
        print_json({"snapshot": found.snapshot, "results": results})
    else:
        for source in results:
            typer.echo(f"{source.score:8.3f}  {source.article_id}  {source.front_matter.title}")
    if not results:
        narrate("nothing found; try other words, or add articles with 'assistsupport kb add'")
        raise typer.Exit(EXIT_NO)
