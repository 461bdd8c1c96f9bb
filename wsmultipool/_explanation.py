"""
What the body of a rejection says, in one line that can be shown to a person.

Of a web page that is its title, or its text without the markup; other text is taken as it is, and
what is no text is left out.
"""

from __future__ import annotations

import codecs
import html
import re
from collections.abc import Collection

from ._quotes import quote

# Octets of a body that are looked at.
_LONGEST_TEXT = 4096

_TITLE = re.compile(r"<title\b[^<>]*>([^<]*)", re.IGNORECASE)
_MARKUP = re.compile(r"(?:<(script|style)\b.*?(?:</\1\s*>|$))|<[^<>]*>", re.IGNORECASE | re.DOTALL)
_CONTROL = re.compile(r"[^\S \t\r\n]|[\x00-\x08\x0e-\x1f\x7f]")
# As encoders of JSON write characters that are special in other languages.
_ESCAPED = re.compile(r"\\u00([0-7][0-9A-Fa-f])|\\(/)")


def explain(
    body: bytes,
    content_type: str,
    heading: str,
    secrets: Collection[str] = (),
    *,
    cut: bool = False,
) -> str:
    """
    @param body: of the response, or as much of it as came.
    @param content_type: the field of that name, or an empty string.
    @param heading: status and reason phrase, which need no repetition.
    @param secrets: what is not to be repeated.
    @param cut: whether there may be more of the body than what came.
    @return: the beginning of what it says, in printable ASCII, each secret replaced by C{***}; an
        empty string if it says nothing.
    """
    text = _decoded(body[:_LONGEST_TEXT], content_type.partition(";")[0].strip().lower())
    text = _ESCAPED.sub(lambda found: found[2] or chr(int(found[1], 16)), text)
    said = quote(" ".join(text.split()), secrets, cut=cut or len(body) > _LONGEST_TEXT)
    return "" if heading.lower().endswith(said.lower()) else said


def _decoded(body: bytes, media_type: str) -> str:
    if not media_type:  # then it is to be told by looking at it (RFC 9110, section 8.3)
        try:
            text = codecs.getincrementaldecoder("utf-8")().decode(body)
        except UnicodeDecodeError:
            return ""
        return "" if _CONTROL.search(text) else _without_markup(text)
    if media_type.endswith(("html", "xml")):
        return _without_markup(body.decode("utf-8", "replace"))
    if media_type.startswith("text/") or media_type.endswith(("/json", "+json")):
        return body.decode("utf-8", "replace")
    return ""


def _without_markup(text: str) -> str:
    if not text.lstrip().startswith("<"):
        return text
    title = _TITLE.search(text)
    return html.unescape(title[1] if title else _MARKUP.sub(" ", text))
