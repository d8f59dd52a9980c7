"""The measurement of a job's page makes a page that compares, and prints what it took."""

from __future__ import annotations

import re

import pytest

from bench.reports.job_page import main


def test_seconds_and_bytes_of_a_small_page_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--cards", "300", "--dimensions", "16"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("300 known cards, 900 views, 16 dimensions\n")
    rows = {line.split(" | ")[0].strip("| ") for line in out.splitlines()[3:8]}
    assert rows == {"product", "collecting", "writing", "page", "beyond the evaluation"}
    assert re.search(r"evidence\.json 0\.\d\d MB, page 0\.\d\d MB of 2; memory \d+ MiB after", out)
