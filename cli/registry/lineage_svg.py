"""A lineage drawn as SVG, generation by generation; nothing but this file is needed for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from xml.sax.saxutils import quoteattr

from cli.registry.lineage_drawing import CARDS, COLOURS, Drawing, LineageNode, telling_edges
from registry.untrusted.text import html_text

#: Every monospace font in use is 0.6 em wide, so a box's width follows from its text.
FONT = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
FONT_SIZE = 12
CHARACTER = FONT_SIZE * 0.6
LONGEST = 56
PADDING = 14
BOX_HEIGHT = 50
BETWEEN_ROWS = 58
#: Room for what was done, which is written there.
BETWEEN_COLUMNS = 110
BETWEEN_SIBLINGS = 26
MARGIN = 24
_TIP = (
    '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
    'orient="auto"><path d="M0,0 L8,4 L0,8 z" fill="#6b7280"/></marker></defs>'
)
#: With more siblings than this the generations go from left to right, not downwards.
WIDEST = 4


@dataclass(frozen=True)
class Box:
    """Where a node stands; pixels, from the left and the top."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Layout:
    """The boxes by node, and the size of the whole."""

    boxes: Mapping[str, Box]
    width: float
    height: float
    downwards: bool


def layout(drawn: Drawing) -> Layout:
    """Places nodes so that no two overlap.

    Each leaf of the tree gets a lane of its own and each other node stands in the middle of its
    children's, so that a subtree has its lanes to itself.
    """
    generation: dict[str, int] = {}
    for node in drawn.nodes:
        sources = [edge.source for edge in drawn.edges if edge.target == node.id]
        generation[node.id] = max((generation[each] + 1 for each in sources), default=0)
    for node in drawn.nodes:
        # A card set stands next to what it was first used for.
        used = [generation[edge.target] for edge in drawn.edges if edge.source == node.id]
        if node.kind == "data set" and used:
            generation[node.id] = min(used) - 1
    lane = _lanes(drawn)
    width = PADDING * 2 + CHARACTER * max(
        (len(text) for node in drawn.nodes for text in _texts(node)), default=1
    )
    downwards = max(lane.values(), default=0) < WIDEST
    deep, wide = (BOX_HEIGHT, width) if downwards else (width, BOX_HEIGHT)
    between = BETWEEN_ROWS if downwards else BETWEEN_COLUMNS
    boxes = {}
    for node in drawn.nodes:
        along = MARGIN + generation[node.id] * (deep + between)
        across = MARGIN + lane[node.id] * (wide + BETWEEN_SIBLINGS)
        x, y = (across, along) if downwards else (along, across)
        boxes[node.id] = Box(x, y, width, BOX_HEIGHT)
    return Layout(
        boxes,
        max((box.x + box.width for box in boxes.values()), default=0) + MARGIN,
        max((box.y + box.height for box in boxes.values()), default=0) + MARGIN,
        downwards,
    )


def svg(drawn: Drawing) -> str:
    """The drawing as a standalone SVG 1.1 document."""
    placed = layout(drawn)
    width, height = round(placed.width), round(placed.height)
    asked = next((node.title for node in drawn.nodes if node.asked), "")
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family={quoteattr(FONT)} font-size="{FONT_SIZE}">',
        f"<title>Lineage of {html_text(asked)}</title>",
        _TIP,
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    edges = telling_edges(drawn)
    lines += [_curve(placed, edge.source, edge.target, edge.label) for edge in edges]
    lines += [_box(node, placed.boxes[node.id]) for node in drawn.nodes]
    lines += [_label(placed, edge.target, edge.label) for edge in edges if edge.label != CARDS]
    return "\n".join([*lines, "</svg>"]) + "\n"


def _lanes(drawn: Drawing) -> dict[str, float]:
    children: dict[str, list[str]] = {}
    for each in drawn.nodes:
        children.setdefault(each.above, []).append(each.id)
    lane: dict[str, float] = {}
    free = 0
    # Going backwards meets a node after all its children; lanes are given out from the last leaf
    # on and turned round at the end.
    for node in reversed(_depth_first(children)):
        below = children.get(node, [])
        if below:
            lane[node] = (lane[below[0]] + lane[below[-1]]) / 2
        else:
            lane[node] = free
            free += 1
    return {node: free - 1 - place for node, place in lane.items()}


def _depth_first(children: Mapping[str, list[str]]) -> list[str]:
    order: list[str] = []
    stack = list(reversed(children.get("", [])))
    while stack:
        current = stack.pop()
        order.append(current)
        stack.extend(reversed(children.get(current, [])))
    return order


def _texts(node: LineageNode) -> tuple[str, str]:
    return _cut(node.title), _cut(node.detail)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _box(node: LineageNode, box: Box) -> str:
    fill, stroke = COLOURS[node.tone]
    title, detail = _texts(node)
    middle = box.x + box.width / 2
    thick = 3 if node.asked else 1.2
    return (
        f"<g><title>{html_text(node.title)}&#10;{html_text(node.detail)}</title>"
        f'<rect x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" '
        f'rx="8" fill="{fill}" stroke="{stroke}" stroke-width="{thick}"/>'
        f'<text x="{middle:.1f}" y="{box.y + 21:.1f}" text-anchor="middle" font-weight="600" '
        f'fill="#1b1b1b">{html_text(title)}</text>'
        f'<text x="{middle:.1f}" y="{box.y + 38:.1f}" text-anchor="middle" '
        f'fill="#4b5563">{html_text(detail)}</text></g>'
    )


def _curve(placed: Layout, source: str, target: str, label: str) -> str:
    a, b = placed.boxes[source], placed.boxes[target]
    if placed.downwards:
        x1, y1, x2, y2 = a.x + a.width / 2, a.y + a.height, b.x + b.width / 2, b.y
        bend = f"{x1:.1f},{(y1 + y2) / 2:.1f} {x2:.1f},{(y1 + y2) / 2:.1f}"
    else:
        x1, y1, x2, y2 = a.x + a.width, a.y + a.height / 2, b.x, b.y + b.height / 2
        bend = f"{(x1 + x2) / 2:.1f},{y1:.1f} {(x1 + x2) / 2:.1f},{y2:.1f}"
    look = 'stroke="#9dbfe3" stroke-dasharray="4 3"' if label == CARDS else 'stroke="#6b7280"'
    return (
        f'<path d="M{x1:.1f},{y1:.1f} C{bend} {x2:.1f},{y2:.1f}" fill="none" {look} '
        'stroke-width="1.3" marker-end="url(#tip)"/>'
    )


def _label(placed: Layout, target: str, label: str) -> str:
    """What was done, just before what it made: each box has one way in that says so."""
    box = placed.boxes[target]
    if placed.downwards:
        x, y, anchor = box.x + box.width / 2 + 8, box.y - 16, "start"
    else:
        x, y, anchor = box.x - 10, box.y + box.height / 2 - 7, "end"
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="10" fill="#6b7280" '
        f'stroke="#ffffff" stroke-width="3" paint-order="stroke">{html_text(label)}</text>'
    )
