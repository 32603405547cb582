from collections.abc import Iterator

import pytest
from hypothesis import settings
from threadpoolctl import threadpool_limits

settings.register_profile("steady", deadline=None, derandomize=True, max_examples=60)  # a busy machine is no bug
settings.load_profile("steady")


@pytest.fixture(scope="session", autouse=True)
def _one_core() -> Iterator[None]:
    """Matrices this small are slower on two cores than on one, and three times slower on a busy machine."""
    with threadpool_limits(1):
        yield
