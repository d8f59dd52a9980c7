"""Ctrl-C and a reader that has gone: quiet, with the exit codes that shells have for them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
CARDS = [sys.executable, "-c", "from cli.main import main; main()"]
#: Says when our first line has run: before that it is Python alone that is interrupted, and on a
#: busy machine that may take any time.
STARTED = (
    "import os; from cli.main import exit_at_once, main; exit_at_once('cards'); "
    "os.write(1, b'x'); main()"
)


def interrupted(arguments: list[str], delay: float) -> tuple[int, str]:
    """Exit code and stderr of a command that got SIGINT so many seconds after its first line."""
    with subprocess.Popen(
        [sys.executable, "-c", STARTED, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        assert process.stdout and process.stdout.read(1) == b"x"
        time.sleep(delay)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        return process.returncode, err.decode()


@pytest.mark.processes
@pytest.mark.parametrize("delay", [0.03, 0.1, 0.2, 0.4, 0.8, 1.2])
def test_ctrl_c_is_quiet_at_any_moment_of_the_imports(delay: float, tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    log.write_text("a line\n")
    code, err = interrupted(["local", "logs", "--follow", "--state-dir", str(tmp_path)], delay)
    assert (code, err) == (130, "cards: interrupted\n")


@pytest.mark.processes
@pytest.mark.parametrize("delay", [0.3, 0.6, 1.0, 2.0])
def test_ctrl_c_is_quiet_while_a_command_imports_and_works(delay: float, tmp_path: Path) -> None:
    out = tmp_path / "drawn"
    code, err = interrupted(["data", "draw", "--count", "100000", "--out", str(out)], delay)
    assert (code, err) == (130, "cards: interrupted\n")
    assert not out.exists()


@pytest.mark.processes
def test_swallowed_ctrl_c_still_ends_with_130() -> None:
    code = (
        "import os, signal, sys\n"
        "from cli.program import application\n"
        "def app(**_):\n"
        "    try:\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "        import time; time.sleep(5)\n"
        "    except BaseException:\n"
        "        raise ImportError('cannot import name x') from None\n"
        "application.app = app\n"
        "from cli.main import main; main([])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, "cards: interrupted\n")


def closed(arguments: list[str], *, stderr_too: bool = False) -> tuple[int, str]:
    """Exit code and stderr of a command whose reader goes before it writes."""
    reader, writer = os.pipe()
    os.close(reader)
    with contextlib.closing(os.fdopen(writer, "wb")) as gone:
        done = subprocess.run(
            [*CARDS, *arguments],
            cwd=ROOT,
            stdout=gone,
            stderr=gone if stderr_too else subprocess.PIPE,
            stdin=subprocess.DEVNULL,
        )
    return done.returncode, (done.stderr or b"").decode()


@pytest.mark.processes
@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["train", "--help"], ["--version"], ["local", "env"], ["local", "status"],
     ["local", "status", "--json"], []],
)  # fmt: skip
def test_closed_pipe_ends_with_141_without_output(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CARDS_LOCAL_STATE", str(tmp_path))
    assert closed(arguments) == (141, "")


@pytest.mark.processes
def test_closed_stderr_ends_with_141(tmp_path: Path) -> None:
    assert closed(["recognise", str(tmp_path), "x.png"], stderr_too=True)[0] == 141
    assert closed(["no-such-command"], stderr_too=True)[0] == 141


@pytest.mark.processes
def test_shell_pipeline_gets_what_it_reads() -> None:
    done = subprocess.run(
        ["bash", "-c", 'set -o pipefail; "$0" -c "$1" --help | head -c 1', sys.executable,
         CARDS[-1].replace("main()", "main(['local', '--help'] * 1)")],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode in (0, 141) and done.stderr == "" and len(done.stdout) == 1


@pytest.mark.processes
def test_words_of_the_command_line_cannot_command_a_terminal() -> None:
    done = subprocess.run([*CARDS, "no\x1b[2Jsuch\u202e"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and "such" in done.stderr
    assert not {"\x1b", "\u202e"} & set(done.stderr)
