"""Settings for every test."""

from hypothesis import settings

# The same examples everywhere and every time, and no verdict by the clock.
settings.register_profile("edgeloop", deadline=None, derandomize=True, database=None)
settings.load_profile("edgeloop")
