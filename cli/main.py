"""Entry point of the ``cards`` command.

It imports next to nothing itself: from here on Ctrl-C is quiet, also while the rest is imported.
"""

from __future__ import annotations

from cli.program.interrupts import exit_at_once


def main(arguments: list[str] | None = None) -> None:
    """Runs the command and exits; see :func:`cli.program.entry_point.run`.

    Args:
        arguments: The command line without its first word; ``sys.argv`` by default.
    """
    exit_at_once("cards")
    from cli.program import application
    from cli.program.entry_point import run

    run(application.app, "cards", arguments)


if __name__ == "__main__":
    main()
