"""Whatever AWS, a file or the command line says, no command passes its escape codes on."""

from __future__ import annotations

import contextlib
import io
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from cli.aws import AwsSession
from cli.main import main
from cli.program.application import app
from tests.cli.hostile_aws import ARN, HOSTILE, MARK, NAME, RELEASE, HostileClient

#: Colours and the moving of a line, by which rich draws on a terminal.
_STYLE = re.compile(r"\x1b\[[0-9;]*m|\x1b\[\?25[lh]|\x1b\[1A|\x1b\[2K|\r")
#: Further command lines, that lead to what AWS or a file says.
_MORE: dict[str, list[list[str]]] = {
    "registry search": [["E"], [HOSTILE], ["--where", f"FailureReason={HOSTILE}"]],
    "registry list": [["--sort", HOSTILE], ["--where", f"{HOSTILE}=1"]],
    "registry lineage": [[NAME], [NAME, "--format", "mermaid"], [NAME, "--format", "dot"]],
    "registry compare": [[NAME, ARN.replace("/1", "/2")]],
    "registry approve": [[NAME, "--reason", "fine"]],
    "registry reject": [[NAME, "--reason", "bad"]],
    "release show": [[RELEASE]],
    "release diff": [[RELEASE, f"{RELEASE}0"]],
    "release promote": [["--reason", "fine"]],
    "release rollback": [["--reason", "bad"]],
    "train teacher": [["--cards", f"s3://training/{HOSTILE}"]],
    "data prepare": [["s3://training/cards", "--out", "pack"]],
    "local status": [["--state-dir", HOSTILE]],
    "local down": [["--state-dir", HOSTILE]],
    "local env": [["--state-dir", HOSTILE]],
    "local logs": [["--state-dir", "."]],
    "recognise": [[HOSTILE, HOSTILE]],
    "data views": [[HOSTILE, "--out", "views.png"]],
    "data draw": [["--out", f"{HOSTILE}/x", "--count", "1"]],
    "doctor": [["-e", HOSTILE]],
}
#: Commands that must show some of it, so that the walk proves something.
_SHOWN = {
    "trace", "dlq show", "registry list", "registry search", "registry show", "registry lineage",
    "train watch", "data check", "data prepare", "data views", "recognise", "export lint",
    "hef inspect", "local logs", "local status", "local up",
}  # fmt: skip


class Stream(io.StringIO):
    """A pipe, or a terminal."""

    encoding = "utf-8"

    def __init__(self, *, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


def leaves() -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command, with its description."""

    def walk(command: Any, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
        children = getattr(command, "commands", None)
        if children is None:
            yield words, command
        for name, child in (children or {}).items():
            yield from walk(child, (*words, name))

    yield from walk(typer.main.get_command(app), ())


def arguments(words: tuple[str, ...], command: Any, folder: Path) -> Iterator[list[str]]:
    """Command lines with hostile words wherever a word is asked for."""
    bad_file = folder / f"{HOSTILE}.onnx"
    bad_file.write_bytes(HOSTILE.encode(errors="surrogateescape"))
    cards = folder / f"cards{HOSTILE}"
    (cards / f"c{HOSTILE}").mkdir(parents=True, exist_ok=True)
    known = {"name": NAME, "job_name": "x", "release": RELEASE, "to": HOSTILE, "out": str(folder)}
    required = [each for each in command.params if each.required]
    options = {option for each in command.params for option in getattr(each, "opts", ())}
    # The demo draws its cards whatever else fails.
    few = ["--count", "20"] if command.name == "demo" else []
    for values in (known, {}):
        line: list[str] = [*few]
        for each in required:
            text = values.get(each.name, str(cards if each.name == "folder" else bad_file))
            if each.name == "names":
                line += [NAME, NAME]
            elif each.param_type_name == "option":
                line += [each.opts[0], text]
            else:
                line.append(text)
        for extra in ([], ["--json"], ["--logs"], ["--state-dir", str(folder)], ["--no-color"]):
            if not extra or extra[0] in options:
                yield [*line, *extra]
        yield [*line, f"--{HOSTILE}"]
        yield [*line, HOSTILE]
    yield from _MORE.get(" ".join(words), [])


@pytest.fixture
def hostile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An account, a disk and a machine that answer with escape codes."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(2, HOSTILE, HOSTILE)

    calls = iter(range(200))

    def sleep(_: float) -> None:
        if next(calls, None) is None:
            raise RuntimeError(HOSTILE)

    clients: dict[str, HostileClient] = {}
    monkeypatch.setattr(
        AwsSession, "client", lambda self, name: clients.setdefault(name, HostileClient(name))
    )
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "us-east-2")
    monkeypatch.setattr(subprocess, "Popen", refuse)
    monkeypatch.setattr(time, "sleep", sleep)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "server.log").write_text(HOSTILE, encoding="utf-8", errors="replace")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("terminal", [False, True], ids=["pipe", "terminal"])
@pytest.mark.parametrize(("words", "command"), list(leaves()), ids=lambda it: " ".join(it)
                         if isinstance(it, tuple) else "")  # fmt: skip
def test_no_command_passes_escape_codes_on(
    words: tuple[str, ...], command: Any, terminal: bool, hostile: Path
) -> None:
    shown = ""
    for line in arguments(words, command, hostile):
        out, err = Stream(terminal=terminal), Stream(terminal=terminal)
        with (
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            pytest.raises(SystemExit),
        ):
            main([*words, *line])
        text = out.getvalue() + err.getvalue()
        if terminal:
            text = _STYLE.sub("", text)
        left = {c for c in text if not c.isprintable() and c not in "\n\t"}
        assert not left, (line, text)
        if "Usage:" not in text:  # that shows the command line's own words alone
            shown += text.replace("\n", "")
    assert MARK in shown or " ".join(words) not in _SHOWN, shown
