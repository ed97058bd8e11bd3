"""Server-sent events, byte by byte (WHATWG HTML, section 9.2, "event stream interpretation").

Chunks of the network end anywhere: within a line, within CRLF, within a character. An event is
handed out as soon as its blank line is there, since its arrival is what is timed.
"""

from __future__ import annotations

import codecs


class SseError(ValueError):
    """The stream is no event stream: bytes that are not UTF-8."""


class SseParser:
    """Feed bytes, get the data of the events that they complete.

    >>> parser = SseParser()
    >>> parser.feed(b": a comment\\r\\ndata: one\\r"), parser.feed(b"\\n\\r\\ndata: t")
    ([], ['one'])
    >>> parser.feed(b"wo\\n\\n")
    ['two']
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("strict")
        self._rest = ""
        self._data: list[str] = []
        self._after_cr = False
        self._begun = False

    @property
    def incomplete(self) -> bool:
        """Whether something was said that no blank line has ended; at the end it is lost."""
        return bool(self._rest or self._data)

    def feed(self, chunk: bytes) -> list[str]:
        """Data of every event that ends in ``chunk``; SseError for what is not UTF-8."""
        try:
            text = self._decoder.decode(chunk)
        except UnicodeDecodeError as error:
            raise SseError(f"byte {error.start} of a chunk is not UTF-8") from error
        if text and not self._begun:
            self._begun = True
            text = text.removeprefix("\ufeff")
        return [data for line in self._lines(text) if (data := self._line(line)) is not None]

    def _lines(self, text: str) -> list[str]:
        """Complete lines; CR, LF and CRLF end one, also where CR and LF come in two chunks."""
        if self._after_cr and text:
            self._after_cr = False
            text = text.removeprefix("\n")
        if text.endswith("\r"):
            self._after_cr = True
        pieces = (self._rest + text).replace("\r\n", "\n").replace("\r", "\n").split("\n")
        self._rest = pieces.pop()
        return pieces

    def _line(self, line: str) -> str | None:
        """The event's data if the line is blank and there is any."""
        if not line:
            data, self._data = self._data, []
            return "\n".join(data) if data else None
        field, _, value = line.partition(":")
        if field == "data":
            self._data.append(value.removeprefix(" "))
        return None  # comments (an empty field), event, id, retry and unknown fields say nothing
