"""The suite as a package of its own: an installed distribution that ships a `tests` too must not hide it."""
