"""The ``cards`` command: thin over the packages that it shows, imported where they are used."""
