"""Bringing a release to the device: asked for, verified, fetched, tested, and only then used."""
