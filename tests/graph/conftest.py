import pytest

from headgate.graph import gradient, linearise, trace


@pytest.fixture
def fresh_caches():
    """Nothing computed with the right rules is used with the wrong ones, nor the other way round."""
    caches = (trace, gradient, linearise)
    for cached in caches:
        cached.cache_clear()
    yield
    for cached in caches:
        cached.cache_clear()
