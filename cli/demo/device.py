"""The demo's last step: the device's own client takes the release and recognises with it.

The client runs from a folder that holds exactly the files of its wheel, with the libraries of this
environment: its code is the device's, its processor and its Python are this machine's.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.errors import CliError

if TYPE_CHECKING:
    import numpy as np

    from cli.demo.recognise import View, Views
    from registry.releases.signatures.trust import TrustedDeployment

#: Marks the folder as the demo's own: only such a one is replaced.
_MARKER = ".cards-demo-device"
#: Lines of a command's output in the transcript.
_SHOWN = 6
_SECONDS = 300


@dataclass
class DemoDevice:
    """``cards-edge`` in a folder of its own.

    Attributes:
        folder: The program, its state and the views that it is shown.
        variables: Where the cloud is, and credentials.
        transcript: What was run, and what it printed.
    """

    folder: Path
    variables: Mapping[str, str]
    transcript: Path

    def set_up(self, trusted: TrustedDeployment) -> None:
        """Installs the client and pins the deployment's key.

        Raises:
            CliError: The folder is there and is not the demo's own, or a command failed.
        """
        from edge.wheel_contents import contents
        from registry.releases.signatures.trust import fingerprint, trust_file

        if self.folder.is_symlink() or (
            self.folder.exists() and not (self.folder / _MARKER).is_file()
        ):
            raise CliError(
                f"{self.folder}: holds something else; move it, or give the demo another --out"
            )
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        (self.folder / _MARKER).touch()
        for source, name in contents().items():
            target = self.folder / "program" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
        self.transcript.parent.mkdir(parents=True, exist_ok=True)
        self.transcript.write_text("")
        (self.folder / "trust.json").write_text(trust_file(trusted))
        key = fingerprint(trusted.keys[-1])
        self.run("trust", str(self.folder / "trust.json"), "--fingerprint", key)

    def run(self, *words: str) -> str:
        """Runs a command of ``cards-edge`` and returns what it printed.

        Raises:
            CliError: It failed.
        """
        done = subprocess.run(
            [sys.executable, "-P", "-m", "edge.cli.main", *words],
            env={
                **os.environ,
                **self.variables,
                "PYTHONPATH": str(self.folder / "program"),
                "CARDS_EDGE_STATE": str(self.folder / "state"),
                "CARDS_EDGE_DEVICE": "demo",
            },
            capture_output=True, text=True, timeout=_SECONDS, check=False,
        )  # fmt: skip
        with self.transcript.open("a", encoding="utf-8") as file:
            lines = (done.stdout + done.stderr).splitlines()
            file.write(f"$ cards-edge {shlex.join(words)}\n")
            file.writelines(f"{line}\n" for line in lines[:_SHOWN])
            if len(lines) > _SHOWN:
                file.write(f"… and {len(lines) - _SHOWN} more lines\n")
        if done.returncode:
            last = done.stderr.strip().splitlines()[-1:] or ["no message"]
            raise CliError(f"the device's {words[0]} failed: {last[0]}; see {self.transcript}")
        return done.stdout

    def recognise(self, views: Sequence[View], name: str) -> list[dict[str, Any]]:
        """The device's answers to views, in their order."""
        folder = self.folder / name
        folder.mkdir()
        for number, view in enumerate(views):
            _write_png(folder / f"{number:04}.png", view.image)
        if not views:
            return []
        printed = self.run("recognise", "--framed", "--json", str(folder))
        return [json.loads(line) for line in printed.splitlines()]


def device_step(
    folder: Path,
    variables: Mapping[str, str],
    transcript: Path,
    trusted: TrustedDeployment,
    views: Views,
) -> dict[str, Any]:
    """Sets a device up, updates it and shows it all views of the demo.

    Returns:
        ``release`` and ``runtime`` that the device reports, and counts: ``known_views``,
        ``known_nearest`` (the nearest card is right), ``known_right`` (named, and right),
        ``unseen_views``, ``unseen_turned_away``, ``same_answers`` (as the pulled release's).

    Raises:
        CliError: A command of the device failed.
    """
    device = DemoDevice(folder, variables, transcript)
    device.set_up(trusted)
    device.run("update")
    status = json.loads(device.run("status", "--json"))
    known = device.recognise(views.known, "known")
    unseen = device.recognise(views.unseen, "unknown")
    pairs = [*zip(views.known, known, strict=True), *zip(views.unseen, unseen, strict=True)]
    return {
        "release": status["release"],
        "runtime": status["runtime"],
        "known_views": len(known),
        "known_nearest": sum(
            answer["candidates"][0]["card_id"] == view.card_id
            for view, answer in zip(views.known, known, strict=True)
        ),
        "known_right": sum(
            answer["card_id"] == view.card_id
            for view, answer in zip(views.known, known, strict=True)
        ),
        "unseen_views": len(unseen),
        "unseen_turned_away": sum(answer["card_id"] is None for answer in unseen),
        "same_answers": sum(view.result.card_id == answer["card_id"] for view, answer in pairs),
    }


def _write_png(path: Path, image: np.ndarray[Any, Any]) -> None:
    from PIL import Image

    Image.fromarray(image).save(path, compress_level=1)
