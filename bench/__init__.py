"""Measurements: ``make bench``."""

from registry.telemetry import opt_out

opt_out()
