"""Writes `llms.txt` beside the built pages: what each page is about, for a language model (llmstxt.org).

A hook of mkdocs, named in mkdocs.yml. Titles and order are those of the table of contents, the rest is each page's
first sentence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SHORT = 60
"""Characters below which a sentence says too little by itself."""


def on_post_build(config: Any, **_: Any) -> None:  # noqa: ANN401 - mkdocs' own configuration
    """Write the file once the pages are built."""
    text = llms_text(config["site_name"], config["site_description"], config["nav"], Path(config["docs_dir"]))
    (Path(config["site_dir"]) / "llms.txt").write_text(text, encoding="utf-8")


def llms_text(name: str, description: str, nav: list[dict[str, Any]], docs: Path) -> str:
    """The file's text from the table of contents and the folder of the pages."""
    lines = [f"# {name}", "", f"> {description}"]
    for entry in nav:
        for title, found in entry.items():
            pages = found if isinstance(found, list) else [{title: found}]
            lines += ["", f"## {title}", "", *_listed(pages, docs)]
    return "\n".join(lines) + "\n"


def _listed(pages: list[dict[str, str]], docs: Path) -> Iterator[str]:
    for page in pages:
        for title, file in page.items():
            about = first_sentence((docs / file).read_text(encoding="utf-8"))
            yield f"- [{title}]({file.removesuffix('.md')}.html)" + (f": {about}" if about else "")


def first_sentence(page: str) -> str:
    """The first sentence of a page's prose, two where it is short, without links; empty for a page without prose."""
    for part in re.sub(r"^```.*?^```$", "", page, flags=re.MULTILINE | re.DOTALL).split("\n\n"):
        text = " ".join(part.split())
        if text and not re.match(r"[#|>!<-]", text):
            plain = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", text)
            first, *more = re.split(r"(?<=[.?!]) (?=[A-Z`])", plain)
            return " ".join([first, *more[: len(first) < SHORT]])
    return ""
