"""The documentation tells the truth: generated pages are current, links lead somewhere, commands exist."""

import re
import shlex
from pathlib import Path

import pytest
from typer.main import get_command

from controller.cli.app import app
from scripts.reference import PAGES, REFERENCE, commands

ROOT = Path(__file__).parent.parent
TEXTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
KNOWN = dict(commands(get_command(app)))
PICTURES = ("docs/images/",)


def name_of(path):
    return str(path.relative_to(ROOT))


def shell_lines(path):
    """Return the lines of the shell blocks of a page, continued lines joined."""
    for block in re.findall(r"^ *```sh\n(.*?)^ *```", path.read_text(), re.DOTALL | re.MULTILINE):
        yield from (line.strip() for line in block.replace("\\\n", " ").splitlines() if line.strip())


def words_of(line):
    words = shlex.split(line, comments=True)
    while words and re.match(r"[A-Z_]+=", words[0]):
        words = words[1:]
    return words


EDGEWATT = [
    pytest.param(words, id=f"{name_of(path)}: {' '.join(words)}"[:90])
    for path in TEXTS
    for words in map(words_of, shell_lines(path))
    if words and words[0] == "edgewatt"
]


@pytest.mark.parametrize("name", PAGES)
def test_the_generated_page_is_current(name):
    assert (REFERENCE / name).read_text() == PAGES[name](), "run `make docs`"


@pytest.mark.parametrize("path", TEXTS, ids=name_of)
def test_links_lead_somewhere(path):
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", path.read_text())

    assert [link for link in links if not (path.parent / link).exists() and not link.startswith(PICTURES)] == []


@pytest.mark.parametrize("words", EDGEWATT)
def test_each_command_that_is_shown_exists_with_its_options(words):
    words = words[1:]
    for stop in ("|", ">", "&"):
        words = words[: words.index(stop)] if stop in words else words
    path = next((path for path in KNOWN if tuple(words[: len(path)]) == path), None)

    assert path, words
    options = {name for each in KNOWN[path].params for name in (*each.opts, *each.secondary_opts)}
    given = {word.split("=")[0] for word in words if word.startswith("-")}
    assert given <= options


def test_each_command_is_in_the_reference():
    page = (REFERENCE / "cli.md").read_text()

    assert [" ".join(path) for path in KNOWN if f"## edgewatt {' '.join(path)}" not in page] == []


def test_the_readme_names_the_two_commands_and_all_other_pages_are_reachable_from_it():
    readme = (ROOT / "README.md").read_text()

    assert "make demo" in readme
    assert "make test" in readme
    pages = [name_of(path) for path in TEXTS if path.parent.name in {"docs", "how-to", "reference"}]
    assert [page for page in pages if page not in readme] == []


def test_each_decision_is_numbered_in_order_and_short():
    decisions = sorted((ROOT / "docs/decisions").glob("*.md"))

    numbers = [int(path.name[:4]) for path in decisions]
    assert numbers == sorted(set(numbers))
    assert [path.name for path in decisions if len(path.read_text().splitlines()) > 20] == []


def test_each_make_target_that_is_named_exists():
    makefile = (ROOT / "Makefile").read_text()
    named = {
        word for path in TEXTS for word in re.findall(r"\bmake (demo|test|check|bench|docs|clean)\b", path.read_text())
    }

    assert [target for target in named if not re.search(rf"^{target}:", makefile, re.MULTILINE)] == []


def test_continuous_integration_calls_the_test_command():
    assert (ROOT / ".ci/run").read_text().splitlines()[-1] == "make test"
