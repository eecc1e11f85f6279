"""What was found: run folders and the recorded plan in, a page with intervals, verdicts and provenance out."""

import core  # noqa: F401 - before all others, see there.
