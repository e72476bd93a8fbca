"""mkdocs: links that lead out of docs/ work in the site as they do in the repository.

A page may link to any file of the repository, such as ../CONTRIBUTING.md or ../benchmarks/LOG.md. Such a file becomes
part of the site below repository/, and the link leads there. A Markdown file becomes a page, whose own links are followed.
"""

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"(\]\()([^)\s#]+)")
CODE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
AWAY = "repository/"


def in_repository(page: str) -> str:
    """The path in the repository of a page of the site."""
    return page.removeprefix(AWAY) if page.startswith(AWAY) else f"docs/{page}"


def in_site(path: str) -> str:
    """The path in the site of a file of the repository."""
    return path.removeprefix("docs/") if path.startswith("docs/") else AWAY + path


def targets(path: str, text: str) -> list[str]:
    """The files of the repository that a document links to."""
    links = [target for _, target in LINK.findall(CODE.sub("", text)) if not re.match(r"[a-z]+:|/", target)]
    return [posixpath.normpath(posixpath.join(posixpath.dirname(path), target)) for target in links]


def on_files(files: Files, config: Any) -> Files:
    """Add the files outside docs/ that pages link to."""
    waiting = [in_repository(file.src_uri) for file in files.documentation_pages()]
    seen = set(waiting)
    while waiting:
        path = waiting.pop()
        for target in targets(path, (ROOT / path).read_text("utf-8")):
            if target in seen or not (ROOT / target).is_file():
                continue
            seen.add(target)
            if not target.startswith("docs/"):
                files.append(File.generated(config, in_site(target), abs_src_path=str(ROOT / target)))
            if target.endswith(".md"):
                waiting.append(target)
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Turn links between files of the repository into links between files of the site."""
    here = page.file.src_uri
    folder = posixpath.dirname(in_repository(here))

    def turned(match: re.Match[str]) -> str:
        if re.match(r"[a-z]+:|/", match[2]):
            return match[0]
        path = posixpath.normpath(posixpath.join(folder, match[2]))
        return match[1] + posixpath.relpath(in_site(path), posixpath.dirname(here) or ".")

    return LINK.sub(turned, markdown)
