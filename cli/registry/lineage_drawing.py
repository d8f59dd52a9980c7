"""A lineage as nodes and edges, and as text: a tree, Mermaid, DOT, a document for machines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from registry.untrusted.text import one_line

if TYPE_CHECKING:
    from registry.versions.packages import Package

#: Fill and stroke by tone, for every form that has colours.
COLOURS = {
    "data": ("#e8f1fd", "#2563ab"),
    "approved": ("#e7f6ec", "#1f7a3d"),
    "pending": ("#fff6dd", "#9a6a00"),
    "rejected": ("#fdeaea", "#b3261e"),
    "release": ("#f2eafc", "#6b3fa0"),
}
#: The label of an edge from a card set to a version that was made from another version.
CARDS = "cards"
_TONES = {"Approved": "approved", "Rejected": "rejected"}


@dataclass
class Branch:
    """A node of the lineage tree."""

    label: str
    children: list[Branch] = field(default_factory=list)


@dataclass(frozen=True)
class LineageNode:
    """A data set, a version or a release.

    Attributes:
        id: A word of letters and digits, unique in the drawing.
        kind: ``data set``, ``model`` or ``release``.
        title: Its name.
        detail: What is said below the name.
        tone: A key of :data:`COLOURS`.
        facts: Everything about it, for machines.
        above: The node that it hangs below in a tree; empty for a root.
        asked: Whether it is the one that the lineage is of.
    """

    id: str
    kind: str
    title: str
    detail: str
    tone: str
    facts: Mapping[str, Any]
    above: str = ""
    asked: bool = False


@dataclass(frozen=True)
class LineageEdge:
    """From what was used to what was made of it.

    Attributes:
        label: What was done, such as ``distillation``; ``cards`` where a data set was used.
    """

    source: str
    target: str
    label: str


@dataclass(frozen=True)
class Drawing:
    """A lineage; nodes stand after those that they were made from."""

    nodes: tuple[LineageNode, ...]
    edges: tuple[LineageEdge, ...]


def drawing(
    packages: Iterable[Package], asked: Package, releases: Mapping[str, str] | None = None
) -> Drawing:
    """Draws versions with the card sets that they were trained on and the releases made of them.

    Args:
        packages: The versions; a parent that is not among them ends its line.
        asked: The version that the lineage is of.
        releases: A release's id by the ARN of the version that it ships.
    """
    from registry.lineage.graph import card_set, made_by, parent_of

    nodes: dict[str, LineageNode] = {}
    edges: list[LineageEdge] = []
    versions: dict[str, str] = {}
    for package in sorted(packages, key=lambda each: each.version):
        key = f"v{package.version}"
        parent = versions.get(parent_of(package), "")
        versions[package.arn] = key
        done = made_by(package).lower()
        uri, digest = card_set(package)
        cards = ""
        if uri or digest:
            identity = digest or uri
            cards = next((n.id for n in nodes.values() if n.facts.get("identity") == identity), "")
            if not cards:
                cards = f"d{len(nodes)}"
                nodes[cards] = _card_set(cards, uri, digest)
            edges.append(LineageEdge(cards, key, CARDS if parent else done))
        if parent:
            edges.append(LineageEdge(parent, key, done))
        nodes[key] = _version(package, key, parent or cards, package.arn == asked.arn)
        if releases and package.arn in releases:
            release = f"r{package.version}"
            name = releases[package.arn]
            facts = {"release": name}
            nodes[release] = LineageNode(release, "release", name, "release", "release", facts, key)
            edges.append(LineageEdge(key, release, "publication"))
    return Drawing(tuple(nodes.values()), tuple(edges))


def tree(drawn: Drawing) -> list[Branch]:
    """The drawing as trees: what was made from a node hangs below it.

    A card set that a version does not hang below is said in the version's own line.
    """
    branches = {node.id: Branch(_line(node)) for node in drawn.nodes}
    by_id = {node.id: node for node in drawn.nodes}
    roots: list[Branch] = []
    for edge in telling_edges(drawn):
        if edge.label == CARDS:
            branches[edge.target].label += f", on {by_id[edge.source].title}"
    for node in drawn.nodes:
        if node.above:
            branches[node.above].children.append(branches[node.id])
        elif node.kind != "data set" or any(each.above == node.id for each in drawn.nodes):
            roots.append(branches[node.id])
    return roots


def telling_edges(drawn: Drawing) -> list[LineageEdge]:
    """The edges for people, without those that repeat what the node above was trained on."""
    by_id = {node.id: node for node in drawn.nodes}
    return [
        edge
        for edge in drawn.edges
        if edge.label != CARDS
        or edge.source not in _cards_above(by_id[edge.target], by_id, drawn.edges)
    ]


def mermaid(drawn: Drawing) -> str:
    """A Mermaid flowchart. https://mermaid.js.org/syntax/flowchart.html"""
    lines = ["flowchart TD"]
    shapes = {"data set": ("[(", ")]"), "model": ("[", "]"), "release": ("([", "])")}
    for node in drawn.nodes:
        left, right = shapes[node.kind]
        text = f"{_mermaid_text(node.title)}<br/>{_mermaid_text(node.detail)}"
        lines.append(f'  {node.id}{left}"{text}"{right}:::{node.tone}')
    lines += [
        f'  {e.source} -->|"{_mermaid_text(e.label)}"| {e.target}' for e in telling_edges(drawn)
    ]
    for tone in dict.fromkeys(node.tone for node in drawn.nodes):
        fill, stroke = COLOURS[tone]
        lines.append(f"  classDef {tone} fill:{fill},stroke:{stroke},color:#1b1b1b")
    lines += [f"  style {node.id} stroke-width:3px" for node in drawn.nodes if node.asked]
    return "\n".join(lines) + "\n"


def dot(drawn: Drawing) -> str:
    """A Graphviz digraph. https://graphviz.org/doc/info/lang.html"""
    lines = [
        "digraph lineage {",
        "  rankdir=TB;",
        '  node [shape=box, style="rounded,filled", fontname="Helvetica", fontsize=11];',
        '  edge [fontname="Helvetica", fontsize=9, color="#6b7280"];',
    ]
    shapes = {"data set": "cylinder", "model": "box", "release": "note"}
    for node in drawn.nodes:
        fill, stroke = COLOURS[node.tone]
        label = f"{_dot_text(node.title)}\\n{_dot_text(node.detail)}"
        width = 3 if node.asked else 1
        lines.append(
            f'  {node.id} [label="{label}", shape={shapes[node.kind]}, fillcolor="{fill}", '
            f'color="{stroke}", penwidth={width}];'
        )
    lines += [
        f'  {e.source} -> {e.target} [label="{_dot_text(e.label)}"];' for e in telling_edges(drawn)
    ]
    return "\n".join([*lines, "}"]) + "\n"


def document(drawn: Drawing) -> dict[str, Any]:
    """The drawing for machines."""
    return {
        "nodes": [
            {"id": node.id, "kind": node.kind, "name": node.title, **node.facts}
            for node in drawn.nodes
        ],
        "edges": [
            {"source": edge.source, "target": edge.target, "type": edge.label}
            for edge in drawn.edges
        ],
    }


def package_line(package: Package) -> str:
    """One version in one line of a tree: its name, status and first figure."""
    return f"{package.label} ({_detail(package)})"


def _detail(package: Package) -> str:
    top1 = package.metadata.get("Top1")
    try:
        figure = f", top-1 {float(top1):.3f}" if top1 else ""
    except ValueError:
        figure = ""
    return f"{package.approval}{figure}"


def _version(package: Package, key: str, above: str, asked: bool) -> LineageNode:
    from registry.lineage.graph import card_set

    uri, digest = card_set(package)
    known = {
        "arn": package.arn,
        "version": package.version,
        "parent": package.parent_arn,
        "approval": package.approval,
        "approval_description": package.approval_description,
        "created": package.created.isoformat(),
        "artifact": package.model_data_url,
        "job": package.generated_by,
        "commit": package.commit,
        "mlflow_run": package.metadata.get("MlflowRunId"),
        "card_set": uri,
        "card_set_digest": digest,
        "top1": package.metadata.get("Top1"),
        "failure": package.metadata.get("FailureReason"),
    }
    return LineageNode(
        id=key,
        kind="model",
        title=one_line(package.label),
        detail=one_line(_detail(package)),
        tone=_TONES.get(package.approval, "pending"),
        facts={name: value for name, value in known.items() if value},
        above=above,
        asked=asked,
    )


def _card_set(key: str, uri: str, digest: str) -> LineageNode:
    facts = {"identity": digest or uri, "uri": uri, "digest": digest}
    return LineageNode(
        id=key,
        kind="data set",
        title=one_line(f"card set {digest[:12]}") if digest else "card set",
        detail=one_line(uri) or "address not recorded",
        tone="data",
        facts={name: value for name, value in facts.items() if value},
    )


def _cards_above(
    node: LineageNode, by_id: Mapping[str, LineageNode], edges: Sequence[LineageEdge]
) -> set[str]:
    """The card sets that the nearest node above that has one was trained on."""
    current = node
    while current.above:
        current = by_id[current.above]
        if current.kind == "data set":
            return {current.id}
        cards = {
            e.source for e in edges if e.target == current.id and by_id[e.source].tone == "data"
        }
        if cards:
            return cards
    return set()


def _line(node: LineageNode) -> str:
    return f"release {node.title}" if node.kind == "release" else f"{node.title} ({node.detail})"


def _mermaid_text(text: str) -> str:
    """Text within double quotes: what has a meaning there is written by its code."""
    named = {"#": "#35;", '"': "#quot;", "<": "#lt;", ">": "#gt;", "&": "#amp;", "`": "#96;"}
    return "".join(named.get(character, character) for character in text)


def _dot_text(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
