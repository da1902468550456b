"""What holds for every room's tests."""

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")  # a busy machine is no failure


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where several processes test, a file's tests stay together: they share what takes long to make. Proofs share nothing."""
    for item in items:
        if "formal" not in item.path.parts:
            item.add_marker(pytest.mark.xdist_group(item.path.as_posix()))
