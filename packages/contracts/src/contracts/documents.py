"""The documents that the package carries, byte for byte: OpenAPI, JSON schemas, published fixtures."""

from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from contracts.errors import UnknownDocument

_DATA: Final = files("contracts") / "data"
_OPENAPI: Final = _DATA / "openapi"
_SCHEMAS: Final = _DATA / "schemas" / "integration" / "v1"
_FIXTURES: Final = _DATA / "fixtures"
_YAML: Final = ".yaml"
_SCHEMA: Final = ".schema.json"


def load_openapi(service_contract_version: str) -> bytes:
    """Load the OpenAPI document of a service contract.

    Args:
        service_contract_version: One of `KNOWN_SERVICE_CONTRACTS`, such as `service.v3`.

    Returns:
        The YAML's bytes.

    Raises:
        UnknownDocument: For any other version.
    """
    return _load("OpenAPI document", _OPENAPI, _YAML, service_contract_version)


def load_schema(name: str) -> bytes:
    """Load an integration/v1 JSON schema.

    Args:
        name: One of `schema_names()`, such as `trust-gate-attachment`.

    Returns:
        The schema's bytes.

    Raises:
        UnknownDocument: For any other name.
    """
    return _load("schema", _SCHEMAS, _SCHEMA, name)


def load_fixture(name: str) -> bytes:
    """Load a published example.

    Args:
        name: One of `fixture_names()`, a file name.

    Returns:
        The file's bytes.

    Raises:
        UnknownDocument: For any other name.
    """
    return _load("fixture", _FIXTURES, "", name)


def schema_names() -> tuple[str, ...]:
    """Name the integration/v1 schemas, sorted."""
    return tuple(sorted(_names(_SCHEMAS, _SCHEMA)))


def fixture_names() -> tuple[str, ...]:
    """Name the published examples, sorted; the folder's README is not one."""
    return tuple(sorted(name for name in _names(_FIXTURES, "") if name != "README.md"))


def _names(folder: Traversable, suffix: str) -> set[str]:
    return {found.name.removesuffix(suffix) for found in folder.iterdir() if found.name.endswith(suffix)}


def _load(kind: str, folder: Traversable, suffix: str, name: str) -> bytes:
    # A name is looked up, never joined into a path: `../` is just a name that nothing has.
    if name not in (known := _names(folder, suffix)):
        raise UnknownDocument(kind, name, known)
    return (folder / f"{name}{suffix}").read_bytes()
