"""What holds for every test: the machine it runs on does not decide what it finds."""

from __future__ import annotations

import os

from hypothesis import settings

# Both change what a build does by default; a test that wants them sets them.
for name in [name for name in os.environ if name == "CI" or name.startswith("GARDEN_")]:
    del os.environ[name]

# No deadlines: a slow machine is no failure. Failures print what reproduces them.
settings.register_profile("garden", deadline=None, print_blob=True)
settings.load_profile("garden")
