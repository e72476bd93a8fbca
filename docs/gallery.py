"""Sphinx: the directive `gallery`, the first picture of each page of some sections, as a link to the page."""

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


class Gallery(nodes.General, nodes.Element):
    """Where the pictures will be, once all pages have been read."""


class Directive(SphinxDirective):
    """Its lines are the index pages of the sections."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """A place that the pictures take."""
        return [Gallery(sections=[*self.content])]


def filled(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Put the pictures into a page that has been read."""
    for place in [*doctree.findall(Gallery)]:
        pictures = nodes.container(classes=["gallery"])
        for section in place["sections"]:
            for source in app.env.toctree_includes[section]:
                if image := next(app.env.get_doctree(source).findall(nodes.image), None):
                    pictures += entry(app, page, source, image)
        place.replace_self(pictures)


def entry(app: Sphinx, page: str, source: str, image: nodes.image) -> nodes.Element:
    """A picture and the title of its page."""
    title = app.env.titles[source].astext()
    picture = nodes.image(**{**image.attributes, "alt": title})
    link = nodes.reference(
        "", "", picture, nodes.caption("", title), refuri=app.builder.get_relative_uri(page, source)
    )
    return nodes.container("", nodes.paragraph("", "", link))


def stale(app: Sphinx, env: Any) -> list[str]:
    """Pages with galleries are written anew in every build."""
    return [page for page in env.found_docs if "{gallery}" in env.doc2path(page).read_text("utf-8")]


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_node(Gallery)
    app.add_directive("gallery", Directive)
    app.connect("env-updated", stale)
    app.connect("doctree-resolved", filled)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
