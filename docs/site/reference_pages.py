"""A hook of MkDocs: the pages of the reference, one a package, made of what the tree holds; mkdocstrings fills them."""

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from reference_tree import dotted, members, modules, packages

PAPER = re.compile(r"\barXiv[ :](\d{4}\.\d{5})\b")
DOCS_PAGE = re.compile(r"\bdocs/([a-z/-]+)\.md\b")


def page(package: Path) -> str:
    """The Markdown of a package's page."""
    name = dotted(package)
    lines = [
        f"# {name}",
        "",
        f"::: {name}",
        "    options:",
        "      show_root_heading: false",
        "      show_root_toc_entry: false",
    ]
    lines += ["      heading_level: 2", f"      members: {members(package) or 'false'}", ""]
    for module in modules(package):
        lines += [f"::: {dotted(module)}", "    options: {heading_level: 2}", ""]
    return "\n".join(lines)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for package in packages():
        files.append(File.generated(config, f"reference/{dotted(package)}.md", content=page(package)))
    return files


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Papers and pages that docstrings name become links."""
    if not page.file.src_uri.startswith("reference/"):
        return html

    def linked(match: re.Match[str]) -> str:
        target = files.get_file_from_path(f"{match[1]}.md")
        if target is None:
            raise ValueError(f"{page.file.src_uri}: a docstring names docs/{match[1]}.md, which is not there")
        return f'<a href="{target.url_relative_to(page.file)}">{match[0]}</a>'

    html = PAPER.sub(r'<a href="https://arxiv.org/abs/\1">\g<0></a>', html)
    return DOCS_PAGE.sub(linked, html)
