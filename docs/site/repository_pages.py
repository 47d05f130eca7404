"""A hook of MkDocs: links mean on the site what they mean in the repository.

Pages that mkdocs.yml names and docs/ does not have are taken from the repository's root (README.md is the home page). A
linked file that is no page, a header or a configuration, becomes one that shows it. A link that leads nowhere stays
as it is, and MkDocs refuses it.
"""

import os
import posixpath
from collections.abc import Iterator
from pathlib import Path

from markdown_links import links, with_targets
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
HOME = {"index.md": "README.md"}
LANGUAGES = {
    ".py": "python",
    ".h": "c++",
    ".cpp": "c++",
    ".toml": "toml",
    ".yaml": "yaml",
    ".yml": "yaml",
    ".sh": "bash",
}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for uri in named_pages(config.nav):
        source = ROOT / HOME.get(uri, uri)
        if files.get_file_from_path(uri) is None and source.is_file():
            files.append(File.generated(config, uri, abs_src_path=str(source)))
    for page in list(files.documentation_pages()):
        for target in links(page.content_string):
            path = repository_path(page.src_uri, target)
            if site_uri(path) not in files.src_uris and (ROOT / path).is_file():
                content = shown_file(path)
                inclusion = InclusionLevel.NOT_IN_NAV
                files.append(File.generated(config, site_uri(path), content=content, inclusion=inclusion))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    def target_on_site(target: str) -> str:
        uri = site_uri(repository_path(page.file.src_uri, target))
        if uri not in files.src_uris:
            return target
        _, mark, anchor = target.partition("#")
        return posixpath.relpath(uri, posixpath.dirname(page.file.src_uri) or ".") + mark + anchor

    return with_targets(markdown, target_on_site)


def named_pages(nav: object) -> Iterator[str]:
    """The pages of a nav, however deep."""
    if isinstance(nav, str):
        yield nav
    elif isinstance(nav, list):
        for entry in nav:
            yield from named_pages(entry)
    elif isinstance(nav, dict):
        for entry in nav.values():
            yield from named_pages(entry)


def repository_path(uri: str, target: str) -> str:
    """Where a link of a page leads, from the repository's root."""
    inside = (ROOT / "docs" / uri).is_file()
    page = f"docs/{uri}" if inside else HOME.get(uri, uri)
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), target.partition("#")[0]))


def site_uri(path: str) -> str:
    """The name under which the site has a file of the repository."""
    homes = {source: uri for uri, source in HOME.items()}
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return homes.get(path, path if path.endswith(".md") else f"files/{path}.md")


def shown_file(path: str) -> str:
    """A page that shows a file of the repository as it is."""
    language = LANGUAGES.get(os.path.splitext(path)[1], "text")  # noqa: PTH122 - a name in the repository, no file
    text = (ROOT / path).read_text(encoding="utf-8")
    return f"---\nsearch: {{exclude: true}}\n---\n\n# {path}\n\n``````{language}\n{text}\n``````\n"
