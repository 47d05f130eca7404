"""The site of docs/: builds without a warning, has every page, shows what the repository shows, and fetches nothing."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from reference_tree import dotted, packages
from repository import ROOT, tracked

SITE = ROOT / "docs" / "site"
PAGES = [page for page in tracked("*.md") if not page.is_relative_to(SITE)]
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
FETCHED = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src", "object": "data"}

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("mkdocs") is None,
    reason="NO MKDOCS HERE: THE SITE IS NOT BUILT (docs/site/requirements.txt; make setup installs it)",
)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(SITE / "mkdocs.yml", tmp_path_factory.mktemp("site"))


def built(configuration: Path, folder: Path) -> Path:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", configuration, "-d", folder]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, env=environment)
    assert done.returncode == 0 and "WARNING" not in done.stderr, done.stderr
    return folder


class Article(HTMLParser):
    """What a page is made of, and what it makes a browser fetch."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.inside = False
        self.parts: Counter[str] = Counter()
        self.fetched: list[str] = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.inside |= tag == "article"
        if self.inside:
            self.parts[tag] += 1
        if tag in FETCHED and given.get("rel") not in {"next", "prev", "canonical"}:
            self.fetched.append(given.get(FETCHED[tag]) or "")

    def handle_endtag(self, tag: str) -> None:
        self.inside &= tag != "article"


def on_site(page: Path) -> str:
    """The address of a page of the repository."""
    path = page.relative_to(ROOT)
    path = path.relative_to("docs") if path.parts[0] == "docs" else path
    return str(path.with_name("index.html") if path.name == "README.md" else path.with_suffix(".html"))


def parts(page: Path) -> dict[str, int]:
    """Headings, tables, rows, list items and blocks of a page, as CommonMark has them."""
    kinds = {"list_item_open": "li", "table_open": "table", "tr_open": "tr", "fence": "pre", "code_block": "pre"}
    tokens = MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8"))
    found = Counter(kinds.get(one.type, one.tag) for one in tokens if one.type in kinds or one.type == "heading_open")
    return dict(found)


def test_every_page_is_there_with_all_that_the_repository_shows(site: Path) -> None:
    """Two readers of Markdown agree, MkDocs' and CommonMark's: a list that only one of them sees is a fault."""
    for page in PAGES:
        wanted, found = parts(page), Article(site / on_site(page)).parts
        assert {part: found[part] for part in wanted} == wanted, page


def test_every_package_has_its_page_of_the_reference(site: Path) -> None:
    for package in packages():
        text = (site / "reference" / f"{dotted(package)}.html").read_text(encoding="utf-8")
        assert text.count("doc-heading") > 3, package


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        assert [address for address in Article(page).fetched if re.match(r"(https?:)?//", address)] == [], page
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(url\(|@import\s*)[\"']?(https?:)?//", sheet.read_text(encoding="utf-8")), sheet


def test_papers_and_pages_in_docstrings_are_links(site: Path) -> None:
    losses = (site / "reference" / "unina.train.html").read_text(encoding="utf-8")
    assert '<a href="https://arxiv.org/abs/1911.08287">arXiv 1911.08287</a>' in losses
    assert '<a href="../bundle.html">docs/bundle.md</a>' in (site / "reference" / "unina_runtime.html").read_text()


def test_a_broken_link_ends_the_build(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("# a\n\n[b](absent.md) [c](#absent)\n")
    text = (SITE / "mkdocs.yml").read_text(encoding="utf-8")
    own = re.sub(r"^(nav|hooks|docs_dir|site_dir|exclude_docs|extra_css|theme):.*\n(?:[ ]+.*\n)*", "", text, flags=re.M)
    (tmp_path / "mkdocs.yml").write_text(f"{own}\ntheme: {{name: material, font: false}}\n")
    with pytest.raises(AssertionError, match="absent"):
        built(tmp_path / "mkdocs.yml", tmp_path / "site")


@pytest.mark.skipif(CHROMIUM is None, reason="NO BROWSER HERE: the site is not opened (apt-get install chromium)")
@pytest.mark.parametrize("width", [390, 1440])
def test_a_browser_shows_pages_from_the_disk_without_scrolling_sideways(site: Path, tmp_path: Path, width: int) -> None:
    names = ["index.html", "architecture.html", "service.html", "reference/unina_runtime.html"]
    frames = [
        f"<iframe style='border:0' width={width} height=900 src='file://{site / name}'></iframe>" for name in names
    ]
    asks = "[...document.querySelectorAll('iframe')].map(f => f.contentDocument.documentElement.scrollWidth).join(' ')"
    page = f"<!doctype html><title>-</title>{''.join(frames)}<script>onload = () => document.title = {asks}</script>"
    (tmp_path / "asks.html").write_text(page)
    shown = opened(f"file://{tmp_path}/asks.html", tmp_path)
    title = re.search("<title>([0-9 ]+)</title>", shown)
    assert title, shown[:200]
    widths = [int(word) for word in title[1].split()]
    assert len(widths) == len(names) and all(0.9 * width < one <= width for one in widths)


@pytest.mark.skipif(CHROMIUM is None, reason="NO BROWSER HERE: the site is not opened (apt-get install chromium)")
def test_the_search_finds_from_the_disk(site: Path, tmp_path: Path) -> None:
    shown = opened(f"file://{site}/index.html?q=letterbox", tmp_path)
    assert "preprocessing.html" in "".join(
        re.findall(r"md-search-result__link[^>]*>|<a href=\"[^\"]*\?h=[^\"]*\"", shown)
    )


def opened(address: str, folder: Path) -> str:
    """A page as the browser has it when all is done; fails at a complaint."""
    command = [str(CHROMIUM), "--headless=new", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files"]
    command += ["--window-size=1500,2000", "--virtual-time-budget=20000", "--enable-logging=stderr", "--dump-dom"]
    command += [f"--user-data-dir={folder / 'browser'}", address]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0 and "CONSOLE" not in done.stderr, done.stderr
    return done.stdout
