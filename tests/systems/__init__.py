"""Systems that exist in tests alone: each is its own file and one arm of a `match` in `core.build`."""
