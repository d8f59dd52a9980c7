"""Text from outside, made fit for the place where it goes.

Names, keys, reasons and descriptions may hold escape codes for a terminal, direction marks that
reorder a line, line ends, and bytes that are no UTF-8. :func:`printable`, :func:`one_line` and
:func:`html_text` are for what people read (terminal, mail, chat, page, log); :func:`aws_line` is
for what AWS stores. Nothing else in the product replaces characters.
"""

from __future__ import annotations

import html

#: Stands for a character that is not shown.
REPLACEMENT = "?"
#: SageMaker's limit of a description (``EntityDescription``) in characters.
DESCRIPTION_LIMIT = 1024
#: The same of a value in CustomerMetadataProperties.
METADATA_VALUE_LIMIT = 256


def printable(text: str, keep: str = "") -> str:
    """Text with each character that cannot be shown replaced by a question mark.

    Replaced are control and format characters (escape codes, direction marks), line and paragraph
    separators, surrogates (bytes of a file name that are no UTF-8) and unassigned characters. The
    result can be encoded in UTF-8, and its length is the same.

    Args:
        text: Any text.
        keep: Characters that stay although they cannot be shown, such as the line end.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep else REPLACEMENT for c in text)


def one_line(text: str) -> str:
    """Text as one line: runs of blanks, line ends and characters that cannot be shown become one
    space."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def aws_line(text: str, limit: int = DESCRIPTION_LIMIT) -> str:
    """Text that every free-text field of SageMaker, SNS and Lineage takes: one line within a limit.

    Their patterns are ``.*`` (no line end), ``[\\p{L}\\p{M}\\p{Z}\\p{S}\\p{N}\\p{P}]*`` (no control
    and no format character) and "no control characters"; a printable line fits all of them.
    CustomerMetadataProperties take fewer characters: :func:`registry.versions.metadata.plain`.

    Args:
        text: Any text.
        limit: The most characters; a longer text ends in ``...``.
    """
    return shortened(one_line(text), limit)


def shortened(text: str, limit: int = METADATA_VALUE_LIMIT) -> str:
    """Text cut to a limit, with the cut shown."""
    return text if len(text) <= limit else text[: limit - 3] + "..." if limit > 3 else text[:limit]


def html_text(text: str) -> str:
    """Text for an HTML or SVG page: characters that cannot be shown replaced, markup escaped."""
    return html.escape(printable(text))
