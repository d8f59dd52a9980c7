"""The ``cards`` command: thin over the packages that it shows, imported where they are used."""

from registry.telemetry import opt_out

opt_out()
