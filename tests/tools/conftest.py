import pytest
from hypothesis import settings

pytest.register_assert_rewrite("tests.contracts")
settings.register_profile("steady", deadline=None, derandomize=True, max_examples=60)  # a busy machine is no bug
settings.load_profile("steady")
