"""The gateway's process: two sockets, the keeper, and what it leaves in `run/`.

`run/gateway.json` tells the others where it is while it runs; `run/control.token` (0600) lets them in. Only
one gateway runs on a folder (`run/gateway.lock`, `flock`). One that was killed leaves its `gateway.json`
behind, last touched when it still lived: the next one writes into the log for how long nobody answered.
When connections are accepted, one JSON line says so on stdout. SIGTERM and SIGINT end it gracefully.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
import structlog
import uvloop

from cutover.core.entry import Observed
from cutover.errors import Refused
from cutover.web.gateway.control import Control
from cutover.web.gateway.keeper import GatewayStation, Keeper
from cutover.web.http1.server import Server

GATEWAY_FILE: Final = "run/gateway.json"
TOKEN_FILE: Final = "run/control.token"  # noqa: S105 - where the token is, not the token
LOCK_FILE: Final = "run/gateway.lock"
BEAT_S: Final = 0.25
SWITCH_INTERVAL_S: Final = 0.0005
"""The stopper's thread must not hold the loop for Python's default of 5 ms."""

_logger = structlog.get_logger("cutover.gateway")


class GatewayProcess(msgspec.Struct, frozen=True, kw_only=True):
    """What `run/gateway.json` says.

    Args:
        url: Where traffic goes.
        control_url: Where refresh and stats are.
    """

    url: str
    control_url: str
    pid: int


def serve_gateway(station: GatewayStation, *, bind: str) -> None:
    """Carry traffic until SIGTERM or SIGINT.

    Args:
        station: Ports.
        bind: HOST:PORT for traffic; port 0 takes a free one.

    Raises:
        OSError: When the address is taken.
        Refused: When a gateway already runs on this folder.
    """
    _configure_logs()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    uvloop.run(_serve(station, bind))


def _configure_logs() -> None:
    """Write one JSON object per line to stderr; stdout belongs to the ready line."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def load_token(folder: Path) -> str:
    """Return the control token of a program folder; make one (0600) when there is none."""
    path = folder / TOKEN_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return path.read_text(encoding="ascii").strip()
    token = secrets.token_urlsafe(32)
    with open(fd, "w", encoding="ascii") as file:  # noqa: PTH123 - a descriptor, not a path
        file.write(token)
    return token


async def _serve(station: GatewayStation, bind: str) -> None:
    stopping = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stopping.set)
    async with running_gateway(station, bind=bind) as here:
        ready = msgspec.json.encode({"event": "ready", "url": here.url, "pid": here.pid})
        print(ready.decode(), flush=True)
        await stopping.wait()


@asynccontextmanager
async def running_gateway(station: GatewayStation, *, bind: str) -> AsyncIterator[GatewayProcess]:
    """Carry traffic on the running loop until the block ends; then finish what is in flight."""
    place = station.folder / GATEWAY_FILE
    with _be_the_only_one(station.folder):
        keeper = Keeper(station)
        await keeper.refresh()
        host, _, port = bind.rpartition(":")
        traffic = Server(keeper.traffic.handle)
        control = Server(Control(keeper, load_token(station.folder)).handle)
        url = await traffic.listen(host or "127.0.0.1", int(port))
        _report_downtime(station, place)
        here = GatewayProcess(url=url, control_url=await control.listen("127.0.0.1", 0), pid=os.getpid())
        _write_place(place, here)
        tasks = [asyncio.create_task(keeper.run()), asyncio.create_task(_beat(place))]
        try:
            yield here
        finally:
            _logger.info("closing: requests in flight are finished")
            await traffic.close()
            for task in tasks:
                task.cancel()
            await control.close(grace_s=0.5)
            await keeper.close()
            place.unlink(missing_ok=True)


@contextmanager
def _be_the_only_one(folder: Path) -> Iterator[None]:
    path = folder / LOCK_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refused("a gateway already runs on this folder; stop it first") from None
        yield
    finally:
        os.close(fd)


def _report_downtime(station: GatewayStation, place: Path) -> None:
    """Write down for how long nobody answered, when the gateway before this one was killed."""
    try:
        dead = msgspec.json.decode(place.read_bytes(), type=GatewayProcess)
        last_seen = datetime.fromtimestamp(place.stat().st_mtime, UTC)
    except (OSError, msgspec.MsgspecError):
        return
    down_s = max(0.0, (station.clock.now() - last_seen).total_seconds())
    facts = {"pid": str(dead.pid), "last_seen": last_seen.isoformat(), "down_s": f"{down_s:.1f}"}
    _logger.warning("the gateway before this one was killed", **facts)
    station.log.append(Observed(subject="gateway/downtime", facts=facts), station.signer)


async def _beat(place: Path) -> None:
    """Touch the file again and again, so that it tells when this process was last alive."""
    while True:
        await asyncio.sleep(BEAT_S)
        with suppress(OSError):
            os.utime(place)


def _write_place(path: Path, here: GatewayProcess) -> None:
    temporary = path.with_suffix(".tmp")
    temporary.write_bytes(msgspec.json.encode(here))
    temporary.replace(path)
