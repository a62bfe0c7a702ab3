"""Tokens, scopes, tenants and host names: each says no."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from memorykernel.adapters.access_file import AccessFile, load_access
from memorykernel.adapters.tenant_folder import locate_database
from memorykernel.core.access import (
    AccessList,
    TokenEntry,
    TokenScope,
    digest_token,
    encode_access,
    parse_access,
    require_tenant,
)
from memorykernel.errors import AccessInvalid, Forbidden, RefusedHost, Unauthenticated
from memorykernel.web.access import HostCheck, require_token

TOKEN = "mk_0123456789abcdef_" + "s" * 43
ENTRY = TokenEntry(
    id="0123456789abcdef",
    tenant="acme",
    scopes=(TokenScope.READ,),
    sha256=digest_token(TOKEN),
    created_at="2026-02-08T13:00:00Z",
)


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer x",
        f"Basic {TOKEN}",
        f"Bearer {TOKEN[:-1]}t",
        f"Bearer mk_fedcba9876543210_{'s' * 43}",
        f"Bearer {TOKEN}x",
        "Bearer " + "x" * 100_000,
        "Bearer \udcff",
    ],
)
def test_no_token_and_wrong_ones_are_refused_without_repeating_them(authorization: str | None) -> None:
    with pytest.raises(Unauthenticated) as caught:
        require_token(AccessList((ENTRY,)), authorization, "/v1/query/ask")
    assert "s" * 43 not in caught.value.message


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_a_token_with_the_scope_passes(scheme: str) -> None:
    assert require_token(AccessList((ENTRY,)), f"{scheme} {TOKEN}", "/v1/query/ask") is ENTRY


@pytest.mark.parametrize(
    ("path", "needed"),
    [
        ("/v1/memory/add/constraint", "write"),
        ("/v1/memory/add/membership", "write"),
        ("/v1/memory/link", "write"),
        ("/v1/db/migrate", "admin"),
        ("/metrics", "admin"),
    ],
)
def test_reading_alone_neither_writes_nor_administers(path: str, needed: str) -> None:
    with pytest.raises(Forbidden) as caught:
        require_token(AccessList((ENTRY,)), f"Bearer {TOKEN}", path)
    assert caught.value.details == {"scope": needed}


@given(
    st.lists(
        st.builds(
            TokenEntry,
            id=st.from_regex(r"[0-9a-f]{16}", fullmatch=True),
            tenant=st.from_regex(r"[a-z0-9][a-z0-9_-]{0,62}", fullmatch=True),
            scopes=st.lists(st.sampled_from(TokenScope), min_size=1, unique=True).map(tuple),
            sha256=st.from_regex(r"[0-9a-f]{64}", fullmatch=True),
            created_at=st.just("2026-02-08T13:00:00Z"),
        ),
        unique_by=lambda entry: entry.id,
        max_size=4,
    )
)
def test_an_access_file_reads_back_as_it_was_written(entries: list[TokenEntry]) -> None:
    assert parse_access(encode_access(AccessList(entries))).tokens == tuple(entries)


@pytest.mark.parametrize(
    "damage",
    [
        b"\xff",
        b"tokens = 5",
        b"surprise = 1",
        encode_access(AccessList((ENTRY, ENTRY))),
        encode_access(AccessList((ENTRY,))).replace(b'"acme"', b'"../acme"'),
        encode_access(AccessList((ENTRY,))).replace(b'["read"]', b"[]"),
        encode_access(AccessList((ENTRY,))).replace(b'"read"', b'"root"'),
        encode_access(AccessList((ENTRY,))).replace(b'sha256 = "', b'sha256 = "z'),
    ],
)
def test_a_damaged_access_file_is_refused(damage: bytes) -> None:
    with pytest.raises(AccessInvalid):
        parse_access(damage)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "../a", "A", "a.b", "-a", "a" * 64, "a\0", "ä", "a\n"]
)
def test_a_name_that_could_leave_the_folder_is_no_tenant(name: str, tmp_path: Path) -> None:
    with pytest.raises(AccessInvalid):
        require_tenant(name)
    with pytest.raises(AccessInvalid):
        locate_database(tmp_path, name)


def test_a_link_in_the_place_of_a_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "acme.db").symlink_to("/dev/null")
    with pytest.raises(AccessInvalid, match="no regular file"):
        locate_database(tmp_path, "acme")


def test_an_access_file_that_others_can_read_or_that_is_a_link_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "access.toml"
    with pytest.raises(AccessInvalid, match="cannot be opened"):
        load_access(path)
    path.write_bytes(encode_access(AccessList((ENTRY,))))
    path.chmod(0o640)
    with pytest.raises(AccessInvalid, match="run: chmod 600"):
        load_access(path)
    path.chmod(0o600)
    assert load_access(path).tokens == (ENTRY,)
    (tmp_path / "link").symlink_to(path)
    with pytest.raises(AccessInvalid, match="cannot be opened"):
        load_access(tmp_path / "link")


def test_a_file_that_became_unusable_lets_nobody_in(tmp_path: Path) -> None:
    path = tmp_path / "access.toml"
    path.write_bytes(encode_access(AccessList((ENTRY,))))
    path.chmod(0o600)
    source = AccessFile(path, look_every_s=0)
    assert source.load().find(TOKEN) is not None
    path.chmod(0o644)
    assert source.load().find(TOKEN) is None
    assert "chmod 600" in str(source.fault)
    path.chmod(0o600)
    assert source.load().find(TOKEN) is not None
    path.unlink()
    assert source.load().find(TOKEN) is None


def test_mk_tokens_adds_lists_and_revokes(
    tmp_path: Path, run_mk: Callable[..., subprocess.CompletedProcess[str]], edge: Any
) -> None:
    path = tmp_path / "access.toml"
    token = edge.add_token(path, tenant="acme", scope="write,read")
    assert path.stat().st_mode & 0o777 == 0o600
    secret = token.rpartition("_")[2]
    assert secret not in path.read_text()
    listed = run_mk("tokens", "list", "--access", path)
    assert "acme" in listed.stdout
    assert secret not in listed.stdout
    entry = load_access(path).find(token)
    assert entry is not None
    assert entry.scopes == (TokenScope.READ, TokenScope.WRITE)
    assert run_mk("tokens", "revoke", "--access", path, entry.id).returncode == 0
    assert load_access(path).find(token) is None
    assert [each.name for each in tmp_path.iterdir()] == ["access.toml"]
    for arguments, says in (
        (("revoke", "--access", path, entry.id), "no token has the id"),
        (("add", "--access", path, "--scope", "root"), "expected read, write or admin"),
        (("add", "--access", path, "--scope", "read", "--tenant", "../x"), "is no tenant name"),
        (("list", "--access", tmp_path / "none"), "cannot be opened"),
    ):
        refused = run_mk("tokens", *arguments)
        assert refused.returncode == 2
        assert says in refused.stderr


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.0.0.1:4010", "[::1]:4010", "192.0.2.7", "localhost", "LOCALHOST:1", "a.localhost:5",
     "kernel", "kernel:4010", "kernel.example", "Kernel.Example.:80", "x", ""],
)  # fmt: skip
def test_addresses_local_names_and_configured_ones_pass(host: str) -> None:
    check = HostCheck(["kernel.example"])
    check.check(host)
    check.check(host)


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:4010", "127.0.0.1.evil.example", "localhost.evil.example",
     "a.kernel.example", "1.2.3", "127.0.0.1@evil.example", "[::1].evil.example", "evil.example:80:80"],
)  # fmt: skip
def test_a_name_of_the_internet_is_refused(host: str) -> None:
    with pytest.raises(RefusedHost):
        HostCheck(["kernel.example"]).check(host)
