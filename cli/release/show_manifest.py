"""A manifest as people read it."""

from __future__ import annotations

from typing import Any


def print_manifest(manifest: dict[str, Any]) -> None:
    """Prints what matters of a manifest."""
    from cli.console import print_line, print_table, size

    print_line(manifest["release"])
    card_set = manifest.get("card_set", {})
    facts = [
        ["Model", str(manifest.get("name", "–"))],
        ["Made from", str(manifest.get("source", {}).get("name", "–"))],
        ["Compiler", str(manifest.get("compiler", "–"))],
        ["Compiled at", str(manifest.get("compiled_at", "–"))],
        ["Input", f"{manifest['contract']['size']} px, uint8 RGB NHWC"],
        ["Accepted from", f"cosine {float(manifest['acceptance_threshold']):.4f}"],
        ["Cards", f"{card_set.get('cards', '–')} ({str(card_set.get('digest', '–'))[:12]})"],
        ["Gate", str(manifest.get("gate", {}).get("verdict", "–"))],
    ]
    print_table(["FACT", "VALUE"], facts)
    files = manifest["files"]
    print_table(
        ["FILE", "SIZE", "SHA-256"],
        [[name, size(entry["bytes"]), entry["sha256"][:16]] for name, entry in files.items()],
        right=[1],
    )
