"""The automation's functions: each parses an event, calls the registry, and returns."""
