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
        ["Accepted from", _acceptance(manifest)],
        ["Cards", f"{card_set.get('cards', '–')} ({str(card_set.get('digest', '–'))[:12]})"],
        ["Licence of the scans", str(card_set.get("licence") or "not stated")],
        ["Gate", str(manifest.get("gate", {}).get("verdict", "–"))],
    ]
    print_table(["FACT", "VALUE"], facts)
    files = manifest["files"]
    print_table(
        ["FILE", "SIZE", "SHA-256"],
        [[name, size(entry["bytes"]), entry["sha256"][:16]] for name, entry in files.items()],
        right=[1],
    )


def _acceptance(manifest: dict[str, Any]) -> str:
    """The threshold, and what is shown about unknown cards; old manifests say the former alone."""
    rule = manifest.get("acceptance")
    if not rule:
        return f"cosine {float(manifest['acceptance_threshold']):.4f}"
    weight = rule["score"]["parameters"]["weight"]
    score = f"cosine − {weight:g} × runners-up" if weight else "cosine"
    several = [f"{value:.4f} for {n} frames" for n, value in rule["thresholds"].items() if n != "1"]
    return (
        f"{score} {float(rule['thresholds']['1']):.4f}{''.join(f', {each}' for each in several)}; "
        f"less than {rule['bound'] * 100:.2g} % of unknown cards pass, as {rule['cards']:,} show"
    )
