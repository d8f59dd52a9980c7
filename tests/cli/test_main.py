"""The command as a whole: it starts light, teaches, and fails in one line."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from cli.program import application
from cli.program.application import app
from tests.cli.command import cards, refused

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "sagemaker", "boto3", "botocore", "numpy", "cv2", "mlflow", "localcloud")


def commands() -> Iterator[tuple[str, ...]]:
    """Every command and group, by its words."""

    def walk(command: object, words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        yield words
        for name, child in (getattr(command, "commands", None) or {}).items():
            yield from walk(child, (*words, name))

    yield from walk(typer.main.get_command(app), ())


@pytest.mark.processes
def test_help_imports_nothing_heavy() -> None:
    """Import time is what decides how fast `cards --help` answers."""
    code = (
        "import sys, contextlib\n"
        "from cli.main import main\n"
        "with contextlib.suppress(SystemExit):\n"
        "    main(['--help'])\n"
        f"print('LOADED', *[name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "cards demo" in done.stdout
    assert done.stdout.splitlines()[-1] == "LOADED"


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_every_command_explains_itself(words: tuple[str, ...]) -> None:
    done = cards(*words, "--help")
    assert done.code == 0
    assert f"cards {' '.join(words)}".strip() in done.out
    # Once in its usage, and at least once in an example.
    assert done.out.count(f"cards {' '.join(words)}".strip()) >= 2, "no example of its use"


def test_wrong_usage_has_another_exit_code_than_failure() -> None:
    assert cards("train", "teacher").code == 2
    assert cards("no-such-command").code == 2


def test_without_arguments_help_is_shown() -> None:
    assert "cards demo" in cards().out


def failing(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the whole command end in an exception."""

    def fail(**_: object) -> None:
        raise error

    monkeypatch.setattr(application, "app", fail)


def test_unexpected_error_is_reported_as_a_defect_without_traceback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failing(KeyError("x"), monkeypatch)
    done = cards("local", "status")
    refused(done, "unexpected KeyError", "CARDS_DEBUG=1")


def test_debugging_shows_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    failing(KeyError("x"), monkeypatch)
    monkeypatch.setenv("CARDS_DEBUG", "1")
    done = cards("local", "status")
    assert done.code == 1
    assert "Traceback" in done.err and "in fail" in done.err


def test_ctrl_c_ends_with_130_and_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    from cli import recognise

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(recognise, "_look", interrupt)
    done = cards("recognise", "release", "photo.jpg")
    assert done.code == 130
    assert done.err == "cards: interrupted\n"
