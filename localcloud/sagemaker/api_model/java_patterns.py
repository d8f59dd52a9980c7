r"""Patterns of AWS's service models, which are Java's, read by Python.

    fits(r"[\p{L}\p{Z}\p{N}_.:\/=+\-@]*", "Müller & Co")      # False: '&' is none of these

The module ``regex`` knows Unicode's categories (``\p{L}``), which ``re`` does not. What Java reads
in another way is rewritten: ``\w``, ``\d``, ``\s`` and ``\p{Alnum}`` are ASCII's alone, ``.`` stops
at every line terminator except under ``(?s)``, and a pair of surrogates is one character.
https://docs.oracle.com/en/java/javase/21/docs/api/java.base/java/util/regex/Pattern.html
"""

from __future__ import annotations

from functools import cache

import regex

_CLASSES = {
    r"\w": "[a-zA-Z0-9_]",
    r"\W": "[^a-zA-Z0-9_]",
    r"\d": "[0-9]",
    r"\D": "[^0-9]",
    r"\s": r"[ \t\n\x0b\f\r]",
    r"\S": r"[^ \t\n\x0b\f\r]",
}
#: Java's names for classes of ASCII, which are Unicode's in ``regex``.
_POSIX = {
    r"\p{Lower}": "[a-z]",
    r"\p{Upper}": "[A-Z]",
    r"\p{ASCII}": r"[\x00-\x7f]",
    r"\p{Alpha}": "[a-zA-Z]",
    r"\p{Digit}": "[0-9]",
    r"\p{Alnum}": "[a-zA-Z0-9]",
    r"\p{Punct}": r"[!-/:-@\[-`{-~]",
    r"\p{Graph}": "[!-~]",
    r"\p{Print}": "[ -~]",
    r"\p{Blank}": r"[ \t]",
    r"\p{Cntrl}": r"[\x00-\x1f\x7f]",
    r"\p{XDigit}": "[0-9a-fA-F]",
    r"\p{Space}": r"[ \t\n\x0b\f\r]",
}
_ANY_BUT_LINE_END = r"[^\n\r\u0085\u2028\u2029]"
_TOKEN = regex.compile(
    r"(?P<pair>\\u(?i:d[89ab])[0-9a-fA-F]{2}\\u(?i:d[c-f])[0-9a-fA-F]{2})"
    r"|(?P<posix>\\p\{[A-Z][A-Za-z]+\})"
    r"|(?P<escape>\\.)|(?P<open>\[\^?\]?)|(?P<close>\])|(?P<dot>\.)|(?P<other>.)",
    regex.DOTALL,
)
#: Some patterns end in a quantified end of text, which Java takes for the end of text.
_QUANTIFIED_END = regex.compile(r"\$\{\d+,\d+\}$")


def fits(pattern: str, text: str) -> bool:
    """Whether Java's ``matches`` would find the whole text to fit.

    Raises:
        regex.error: The pattern is none.
    """
    return _compiled(pattern).fullmatch(text) is not None


@cache
def _compiled(pattern: str) -> regex.Pattern[str]:
    # Version 1 has Java's classes within classes.
    return regex.compile(_translated(_QUANTIFIED_END.sub("", pattern)), regex.VERSION1)


def _translated(pattern: str) -> str:
    depth, any_character = 0, pattern.startswith("(?s)")
    parts: list[str] = []
    for token in _TOKEN.finditer(pattern):
        kind, text = token.lastgroup, token.group()
        if kind == "pair":
            text = _character(text)
        elif kind == "posix":
            text = _POSIX.get(text, text)
        elif kind == "escape":
            text = _CLASSES.get(text, text)
        elif kind == "open":
            depth += 1
        elif kind == "close":
            depth = max(0, depth - 1)
        elif kind == "dot" and not depth and not any_character:
            text = _ANY_BUT_LINE_END
        parts.append(text)
    return "".join(parts)


def _character(pair: str) -> str:
    high, low = int(pair[2:6], 16), int(pair[8:12], 16)
    return f"\\U{0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00):08x}"
