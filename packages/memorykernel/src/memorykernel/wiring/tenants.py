"""Where each tenant's database is: a file in a folder, or a database of a PostgreSQL server."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from memorykernel.adapters import tenant_folder
from memorykernel.service.schema_care import SchemaCare
from memorykernel.wiring.kernel import is_dsn, require_driver


def locate_tenant(place: Path | str, tenant: str) -> Path | str:
    """A tenant's database; that of a server is made when it is missing.

    Args:
        place: The folder, or the DSN that the databases' names begin with.
        tenant: Whose.

    Raises:
        AccessInvalid: There can be no database of this name.
        SchemaUnavailable: The server does not answer, or does not let it be made.
    """
    if not is_dsn(place):
        return tenant_folder.locate_database(Path(place), tenant)
    require_driver()
    from memorykernel.adapters import postgres_tenants

    location = postgres_tenants.locate_database(str(place), tenant)
    postgres_tenants.make_database(str(place), location)
    return location


def fill_tenant(location: Path | str, care: SchemaCare) -> None:
    """Give a tenant's database its schema when it has nothing yet; an older one stays as it is."""
    is_new = not location.exists() if isinstance(location, Path) else not care.load_status().current_version
    if is_new:
        care.migrate(dry_run=False)


def name_tenant(location: Path | str) -> str:
    """What a tenant's database is called where a person sees it."""
    return location.name if isinstance(location, Path) else "PostgreSQL"


def require_room(place: Path | str) -> Callable[[], None]:
    """What passes when a tenant's write would find room."""
    if not is_dsn(place):
        return partial(tenant_folder.require_writable, Path(place))
    require_driver()
    from memorykernel.adapters import postgres_tenants

    return partial(postgres_tenants.require_writable, str(place))
