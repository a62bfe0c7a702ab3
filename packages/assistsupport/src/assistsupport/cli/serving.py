"""`assistsupport serve` and `status`."""

import json as json_text
import urllib.request
from pathlib import Path
from typing import Annotated, Any

import typer

from assistsupport.cli.drafting import ALLOW_REMOTE, CATALOGUE, GOVERNANCE, PRODUCER_URL
from assistsupport.cli.knowledge import (
    DATA,
    DEFAULT_DATA,
    JSON,
    NEW_DATA,
    describe_folder,
    require_knowledge,
)
from assistsupport.cli.output import narrate, print_json, refusing
from assistsupport.errors import ServerUnreachable
from assistsupport.wiring import (
    LaneSettings,
    has_knowledge,
    open_desk,
    open_knowledge,
    read_control_token,
    read_tickets,
    read_version,
)

DEFAULT_BIND = "127.0.0.1:4020"
STATUS_TIMEOUT_S = 5.0
MAX_STATUS_BYTES = 1_048_576


def serve(
    data: NEW_DATA = DEFAULT_DATA,
    bind: Annotated[str, typer.Option(help="HOST:PORT; port 0 takes a free one.")] = DEFAULT_BIND,
    governance: GOVERNANCE = None,
    producer_url: PRODUCER_URL = None,
    allow_remote_producer: ALLOW_REMOTE = False,
    no_enrichment: Annotated[
        bool, typer.Option("--no-enrichment", help="Ask nobody: the feature is off.")
    ] = False,
    control_token_file: Annotated[
        Path | None, typer.Option(help="A file with the token that may reload governance.")
    ] = None,
    tickets: Annotated[Path | None, typer.Option(help="The inbox: a file of JSON lines.")] = None,
    catalogue: CATALOGUE = None,
    json: Annotated[
        bool, typer.Option("--json", help="Accepted for symmetry: stdout is JSON anyway.")
    ] = False,
) -> None:
    """Serve the page and the API until SIGTERM or Ctrl-C."""
    # Imported here: the other commands start in half the time without a web server.
    from assistsupport.web.server import describe_exposure, describe_url, open_socket, run_server
    from assistsupport.web.site import Site

    settings = LaneSettings(
        governance=governance,
        producer_url=producer_url,
        allow_remote=allow_remote_producer,
        is_enabled=not no_enrichment,
    )
    with refusing():
        token, inbox = read_control_token(control_token_file), read_tickets(tickets)
        is_new = not has_knowledge(data)
        with open_socket(bind) as listener, open_desk(data, settings, catalogue) as parts:
            site = Site(
                version=read_version(),
                desk=parts.desk,
                knowledge=parts.knowledge,
                lane=parts.lane,
                tickets=inbox,
                control_token=token,
                allowed_hosts=_allowed_hosts(bind),
            )
            if is_new:
                narrate(f"created an empty knowledge base in {describe_folder(data)}; fill it with 'kb add'")
            if exposure := describe_exposure(listener.getsockname()[0]):
                narrate(f"warning: {exposure}")
            narrate(f"serving on {describe_url(listener)}; Ctrl-C ends it")
            run_server(site, listener)
            site.close()


def _allowed_hosts(bind: str) -> frozenset[str]:
    """A server on loopback answers to loopback names; elsewhere a proxy in front decides the names."""
    from assistsupport.web.guard import LOOPBACK_HOSTS

    host = bind.rpartition(":")[0]
    return LOOPBACK_HOSTS if host in LOOPBACK_HOSTS else frozenset()


def status(
    url: Annotated[
        str | None, typer.Option(help="Ask a running server; without it the data folder is read.")
    ] = None,
    data: DATA = DEFAULT_DATA,
    json: JSON = False,
) -> None:
    """Say how the desk stands: knowledge base, integration, counts."""
    with refusing():
        found = _ask_server(url) if url else _read_folder(data)
    print_json(found) if json else _print_status(found)


def _read_folder(data: Path) -> dict[str, Any]:
    with open_knowledge(require_knowledge(data)) as knowledge:
        documents, snapshot = knowledge.describe()
    return {"version": read_version(), "knowledge": {"documents": documents, "snapshot": snapshot}}


def _ask_server(url: str) -> dict[str, Any]:
    if not url.startswith(("http://", "https://")):
        raise ServerUnreachable(f"'{url}' is no URL: expected http://HOST:PORT, as 'serve' printed it")
    # no proxies: the server is on this machine, and its name must not leave it
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{url.rstrip('/')}/api/v1/status", timeout=STATUS_TIMEOUT_S) as reply:
            found = json_text.loads(reply.read(MAX_STATUS_BYTES))
    except (OSError, ValueError) as exc:
        raise ServerUnreachable(
            f"no AssistSupport answers at {url}: {exc}; is 'assistsupport serve' running?"
        ) from exc
    if not isinstance(found, dict):
        raise ServerUnreachable(f"what answers at {url} is no AssistSupport; check --url")
    return found


def _print_status(found: dict[str, Any]) -> None:
    knowledge = found["knowledge"]
    typer.echo(f"knowledge    {knowledge['documents']} articles, snapshot {knowledge['snapshot'][:12]}")
    if "integration" not in found:
        return
    integration, pin, counts = found["integration"], found["pin"], found["counts"]
    why = f" ({integration['reason']}: {integration['detail']})" if integration["reason"] else ""
    typer.echo(f"integration  {integration['state']}{why}")
    if pin:
        typer.echo(f"pin          {pin['release_tag']}, {pin['expected_service_contract_version']}")
    fallback = ", ".join(f"{reason} {n}" for reason, n in counts["fallback"].items()) or "none"
    typer.echo(
        f"drafts       {counts['drafts']}: {counts['applied']} applied, {counts['not_asked']} not asked, "
        f"{counts['pending']} pending, fallback {fallback}"
    )
