"""Whether a release answers here as it did when it was measured."""
