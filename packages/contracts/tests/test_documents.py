"""The package carries its documents, gives them out by name, and by name only."""

import doctest
from pathlib import Path

import contracts
import pytest
from contracts.core.service import KNOWN_SERVICE_CONTRACTS
from contracts.documents import fixture_names, load_fixture, load_openapi, load_schema, schema_names
from contracts.errors import ContractsError, UnknownDocument


def test_everything_that_is_named_is_there() -> None:
    assert all(load_openapi(version) for version in KNOWN_SERVICE_CONTRACTS)
    assert all(load_schema(name) for name in schema_names())
    assert all(load_fixture(name) for name in fixture_names())
    assert "README.md" not in fixture_names()


@pytest.mark.parametrize(
    "name", ["service.v9", "", "../openapi/service.v3", "service.v3.yaml", "/etc/passwd"]
)
def test_an_unknown_name_is_refused_with_the_known_ones(name: str) -> None:
    with pytest.raises(UnknownDocument, match=r"expected one of service\.v2, service\.v3, service\.v4"):
        load_openapi(name)
    with pytest.raises(UnknownDocument):
        load_schema(name)
    with pytest.raises(UnknownDocument):
        load_fixture(name)


def test_public_names_are_sorted_and_exist() -> None:
    assert (
        contracts.__all__
        == sorted(contracts.__all__, key=lambda name: (not name.isupper(), name))[: len(contracts.__all__)]
    )
    assert all(hasattr(contracts, name) for name in contracts.__all__)


def test_every_error_has_a_code_of_its_own_and_one_base() -> None:
    kinds = (contracts.MalformedDocument, contracts.UnknownDocument, ContractsError)
    assert len({kind.code for kind in kinds}) == len(kinds)
    assert all(issubclass(kind, ContractsError) for kind in kinds)


def test_the_examples_of_the_reference_page_are_true() -> None:
    page = Path(__file__).parents[3] / "docs" / "reference" / "contracts.md"
    results = doctest.testfile(str(page), module_relative=False)
    assert results.attempted >= 5
    assert results.failed == 0
