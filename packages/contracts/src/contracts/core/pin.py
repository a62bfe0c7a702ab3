"""The consumer's pin: which release of which producer, under which contract, and where it answers.

Source: wire contract, sections 3 and 4.
"""

import re
from ipaddress import ip_address
from typing import Annotated, Final, Literal
from urllib.parse import SplitResult, urlsplit

from msgspec import Meta, Struct

from contracts.core.text_format import ApiContract, CommitSha, Line, ReleaseTag, ServiceContract, Sha256Hex
from contracts.core.typed_reader import encode_record, read_record
from contracts.errors import MalformedDocument

MIN_TIMEOUT_MS: Final = 100
MAX_TIMEOUT_MS: Final = 30_000
_URL_FIELD: Final = "default_base_url"
_PLAIN_URL: Final = re.compile(r"[!-~]{1,2000}\Z")


class Pin(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An integration pin; field names and order are those of the file."""

    memorykernel_repo: Line
    release_tag: ReleaseTag
    commit_sha: CommitSha
    expected_service_contract_version: ServiceContract
    expected_api_contract_version: ApiContract
    expected_integration_baseline: Literal["integration/v1"]
    expected_producer_manifest_sha256: Sha256Hex
    default_base_url: str
    default_timeout_ms: Annotated[int, Meta(ge=MIN_TIMEOUT_MS, le=MAX_TIMEOUT_MS)]


def parse_pin(data: bytes, *, allow_remote: bool = False) -> Pin:
    """Read a pin strictly.

    Args:
        data: The file's bytes.
        allow_remote: Accept a base URL that is not loopback.

    Returns:
        The pin.

    Raises:
        MalformedDocument: With the field and the reason.
    """
    pin = read_record(data, Pin)
    verify_base_url(pin.default_base_url, allow_remote=allow_remote)
    return pin


def encode_pin(pin: Pin) -> bytes:
    """Write a pin; `parse_pin(encode_pin(p)) == p`, and equal pins give equal bytes.

    Args:
        pin: The pin; a remote base URL is written, and read again only where that is allowed.

    Returns:
        Two-space JSON with a final line break.

    Raises:
        MalformedDocument: When the reader would refuse the result.
    """
    data = encode_record(pin)
    parse_pin(data, allow_remote=True)
    return data


def verify_base_url(url: str, *, allow_remote: bool = False, field: str = _URL_FIELD) -> None:
    """Refuse a base URL that is not a plain http(s) origin, or not loopback unless that is allowed.

    Policy questions quote tickets: they leave the machine only when somebody said that they may.
    Host names other than `localhost` count as remote, whatever they resolve to.

    Args:
        url: Such as `http://127.0.0.1:4010`.
        allow_remote: Accept hosts that are not loopback.
        field: Name to report.

    Raises:
        MalformedDocument: With the reason.
    """
    if not _PLAIN_URL.match(url):
        raise MalformedDocument(field, "expected a URL of printable ASCII like http://127.0.0.1:4010")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise MalformedDocument(
            field, "expected a URL like http://127.0.0.1:4010, got one with a bad port or host"
        ) from error
    if reason := _reason_against(url, parts, port):
        raise MalformedDocument(field, reason)
    if not allow_remote and not _is_loopback(parts.hostname or ""):
        raise MalformedDocument(
            field, f"expected a loopback address, got {parts.hostname}; allow remote hosts explicitly"
        )


def _reason_against(url: str, parts: SplitResult, port: int | None) -> str | None:
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return "expected http or https and a host, like http://127.0.0.1:4010"
    if "@" in parts.netloc:
        return "expected no user or password in the URL; remove them"
    if port == 0 or parts.netloc.endswith(":"):
        return "expected a port from 1 to 65535"
    if parts.path not in ("", "/") or any(mark in url for mark in "?#\\"):
        return "expected no path, query or fragment behind the host; remove them"
    return None


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
