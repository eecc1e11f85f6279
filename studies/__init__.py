"""What is run: one short declarative file per question of the deck; the runner is in `studies.runner`."""

import core  # noqa: F401 - before all others, see there.
