"""Reads the demo's page, and checks its form."""

import base64
from html.parser import HTMLParser

PNG = b"\x89PNG\r\n\x1a\n"


class Page(HTMLParser):
    """The texts and pictures of a page whose tags are closed in order.

    Attributes:
        text: all texts, joined.
        images: attributes of the pictures, which are embedded PNG files with a description.
    """

    def __init__(self, path):
        super().__init__()
        self._open, self._texts, self.images = [], [], []
        self.feed(path.read_text(encoding="utf-8"))
        self.close()
        assert self._open == []
        self.text = " ".join(self._texts)
        for image in self.images:
            assert image["alt"]
            kind, data = image["src"].split(",", 1)
            assert kind == "data:image/png;base64"
            assert base64.b64decode(data).startswith(PNG)

    def handle_starttag(self, tag, attrs):
        if tag == "img":
            self.images.append(dict(attrs))
        elif tag != "meta":
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self._texts.append(data)
