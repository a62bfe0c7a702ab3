"""Which release runs, and what it serves as its document."""

from __future__ import annotations

from pathlib import Path

from memorykernel.adapters.release_folder import load_release_folder
from memorykernel.core.release import DEFAULT_CONTRACT, Release, default_release
from memorykernel.errors import ReleaseInvalid


def read_version() -> str:
    """The version of this program."""
    # Imported here: it brings in a mail parser, and few want to know.
    from importlib.metadata import version

    return version("memorykernel-service")


def choose_release(folder: Path | None, service_contract: str | None = None) -> Release:
    """The release to run: that of the folder, else the newest rules under the contract, service.v4 if None.

    Raises:
        ReleaseInvalid: The folder is incomplete, the contract is unknown, or they contradict.
    """
    if folder is None:
        return default_release(service_contract or DEFAULT_CONTRACT)
    release = load_release_folder(folder).release
    if service_contract not in (None, release.service_contract):
        raise ReleaseInvalid(
            f"the release speaks {release.service_contract}, expected {service_contract};"
            " leave --service-contract out or choose another release"
        )
    return release


def load_release_openapi(folder: Path | None, release: Release) -> bytes:
    """The OpenAPI document to serve: the folder's, byte for byte, else that of the contract."""
    if folder is not None:
        return load_release_folder(folder).openapi
    from contracts.documents import load_openapi

    return load_openapi(release.service_contract)
