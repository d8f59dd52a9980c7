"""Whether this device can run a release, before anything of it is fetched."""
