"""Prints a page to a PDF, with Chromium where it is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from cli.errors import CliError

#: What distributions call the program.
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
_SECONDS = 120


def write_pdf(page: Path, pdf: Path) -> None:
    """Prints a page's file on A4, as its own style says.

    Args:
        page: The HTML file.
        pdf: The file to write.

    Raises:
        CliError: Chromium is not installed, or has not printed the page.
    """
    program = next((found for name in PROGRAMS if (found := shutil.which(name))), None)
    if program is None:
        raise CliError(
            "--pdf: Chromium is not installed; install it, or open the page and print it there"
        )
    with tempfile.TemporaryDirectory(prefix="cards-pdf-") as profile:
        command = [
            program, "--headless", "--disable-gpu", "--no-first-run", "--no-pdf-header-footer",
            f"--user-data-dir={profile}", f"--print-to-pdf={pdf.resolve()}",
        ]  # fmt: skip
        # Chromium refuses to run as root with its sandbox, as in a container.
        command += ["--no-sandbox"] if os.geteuid() == 0 else []
        try:
            done = subprocess.run(
                [*command, page.resolve().as_uri()], capture_output=True, timeout=_SECONDS
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise CliError(f"--pdf: {program} has not printed {page} ({error})") from None
    if done.returncode or not pdf.is_file():
        raise CliError(f"--pdf: {program} ended with {done.returncode} and printed no {pdf}")
