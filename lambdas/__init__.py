"""The automation's functions: each parses an event, calls the registry, and returns."""

from registry.telemetry import opt_out

opt_out()
