"""The documentation names all there is, and nothing that isn't there."""

import ast
import contextlib
import csv
import importlib
import io
import itertools
import re
import shlex
from pathlib import Path

import pytest

import tfface
from tfface import recipe as recipes
from tfface.backbones.backbone import INPUT_NORMALIZATIONS
from tfface.commands import COMMANDS as TFFACE_COMMANDS
from tfface.recipe import reference, signatures
from tfface.recipe.library import recipe_names
from tfface.training.registries import REGISTRIES

ROOT = Path(__file__).resolve().parent.parent
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "tests").rglob("*.md")),
    ROOT / "benchmarks" / "README.md",
]
GUIDES = ROOT / "docs" / "guides"


def test_the_reference_is_current():
    """`python tools/update_reference.py` writes it anew."""
    written = (ROOT / "docs" / "reference" / "recipe.md").read_text(encoding="utf-8")
    assert written == reference.page(REGISTRIES)


def test_the_options_of_components_are_current():
    """`python tools/update_reference.py` writes them anew."""
    written = (ROOT / "tfface" / "recipe" / "component_options.py").read_text(encoding="utf-8")
    assert written == signatures.source(REGISTRIES)


def test_the_command_reference_is_current():
    """`python tools/update_reference.py` writes it anew."""
    written = (ROOT / "docs" / "reference" / "commands.md").read_text(encoding="utf-8")
    assert written == importlib.import_module("update_reference").commands_page()


def test_the_python_reference_has_every_public_name():
    page = (ROOT / "docs" / "reference" / "python" / "index.md").read_text(encoding="utf-8")
    for name, module in tfface._PUBLIC.items():
        entry = f"[{name}]({name}.md)" if module is None else f"[`{name}`][{module}."
        assert entry in page, name


def test_the_list_of_recipes_has_them_all():
    page = (GUIDES / "recipe-list.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    listed = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert sorted(listed) == recipe_names()


def test_every_input_normalization_is_described():
    page = (GUIDES / "recipe-model.md").read_text(encoding="utf-8")
    described = re.findall(r"^\| `(\w+)` \| (?:RGB|BGR)", page, re.MULTILINE)
    assert set(described) == set(INPUT_NORMALIZATIONS)


def test_complete_recipes_load(tmp_path):
    page = (GUIDES / "recipes.md").read_text(encoding="utf-8")
    blocks = re.findall(r"<!-- a complete recipe -->\n```yaml\n(.*?)```", page, flags=re.DOTALL)
    assert len(blocks) == 2
    for number, block in enumerate(blocks):
        path = tmp_path / f"{number}.yaml"
        path.write_text(block, encoding="utf-8")
        recipes.load(path, REGISTRIES)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    text = re.sub(
        r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
    )
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not re.match(r"[a-z]+:", target):
            file, _, heading = target.partition("#")
            linked = page.parent / file if file else page
            assert linked.exists(), target
            assert not heading or heading in headings(linked), target


def headings(page: Path) -> set[str]:
    """Returns the anchors that GitHub gives to the headings of a page."""
    found = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in found}


SECURITY = (GUIDES / "security.md").read_text(encoding="utf-8")
TESTS = sorted(set(re.findall(r"`(tests/[\w/]+\.py(?:::\w+)?)`", SECURITY)))


@pytest.mark.parametrize("named", TESTS)
def test_tests_behind_promises_are_there(named):
    path, _, function = named.partition("::")
    text = (ROOT / path).read_text(encoding="utf-8")
    assert f"\ndef {function or 'test_'}" in text


def test_every_promise_has_a_test():
    promises = [line for line in SECURITY.splitlines() if line.startswith("| ")][2:]
    assert len(promises) > 10
    assert all("`tests/" in line for line in promises)


def commands(page: Path) -> list[str]:
    """The command lines of a page, joined where they go on in the next line."""
    text = re.sub(r"\\\n\s*", "", page.read_text(encoding="utf-8"))
    names = "|".join(command.name for command in TFFACE_COMMANDS)
    of_tfface = rf"(?:^|`)(?:\$ )?(?:\w+=\S+ )*(tfface (?:{names})(?![\w-])[^\n`]*)"
    return [
        *re.findall(r"python ((?:tools|benchmarks)/[^\n`]+)", text),
        *re.findall(of_tfface, text, re.MULTILINE),
    ]


COMMANDS = [(page.name, command) for page in PAGES for command in commands(page)]


@pytest.mark.parametrize(("page", "command"), COMMANDS)
def test_commands_can_be_given(page, command, tmp_path):
    tool, *words = shlex.split(command.partition(" (")[0], comments=True)
    if tool == "tfface":
        module, words = of_command(words)
    else:
        assert (ROOT / tool).is_file(), tool
        module = Path(tool).stem
    help_text = help_of(module, words)
    for word in words:
        if word.startswith("--"):
            assert re.search(rf"(?<![\w-]){word.partition('=')[0]}(?![\w-])", help_text), word
        if word.startswith("recipes/"):
            assert (ROOT / word).is_file(), word
    recipe = next((word for word in words if word.startswith("recipes/")), None)
    if tool == "tfface" and set(words) & set(recipe_names()):
        recipe = f"recipes/{next(word for word in words if word in recipe_names())}.yaml"
    overrides = [b for a, b in itertools.pairwise(words) if a == "--set"]
    if recipe and overrides:
        recipes.load(ROOT / recipe, REGISTRIES, overrides)


def of_command(words: list[str]) -> tuple[str, list[str]]:
    """The module of a command of `tfface`, and the words behind its name."""
    for command in TFFACE_COMMANDS:
        name = command.name.split()
        if words[: len(name)] == name:
            return f"tfface.cli.{command.module}", words[len(name) :]
    raise AssertionError(words)


def help_of(tool: str, words: list[str]) -> str:
    """What a tool says of its options; where its first word is a command, of that command's."""
    command = [word for word in words[:1] if not word.startswith("-")]
    written = io.StringIO()
    with contextlib.redirect_stdout(written), pytest.raises(SystemExit, match="0"):
        importlib.import_module(tool).main([*command, "--help"])
    # Options that are only mentioned don't count: each that is known has a line of its own.
    return written.getvalue().partition("options:")[2]


def test_there_are_commands_to_check():
    assert len(COMMANDS) > 8


def test_pages_with_commands_say_how_to_activate_the_environment():
    pages = (ROOT / "README.md", ROOT / "benchmarks" / "README.md", *(ROOT / "docs").rglob("*.md"))
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert (
            not re.search(r"python (tools|benchmarks)/|tfface train\b", text)
            or "source .venv/bin/activate" in text
        ), page


def test_the_quickstart_has_one_figure():
    """That of results/: a recipe's head and a page's example are typed by hand."""
    with (ROOT / "results" / "verification_synthetic.csv").open(encoding="utf-8") as file:
        [row] = [row for row in csv.DictReader(file) if row["model"] == "quickstart"]
    figure = " +- ".join(
        f"{100 * float(row[column]):.2f}" for column in ("accuracy_mean", "accuracy_std")
    )
    head = (ROOT / "recipes" / "quickstart.yaml").read_text(encoding="utf-8")
    assert f"# Measured:  {figure} % on 3,000 pairs of unseen people" in head
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"\nsynthetic  3,000  {figure}%" in readme
    assert f"\n| quickstart | {figure}% |" in readme


TROUBLES = (GUIDES / "troubleshooting.md").read_text(encoding="utf-8")
QUOTED = [
    line
    for block in re.findall(r"```text\n(.*?)```", TROUBLES, flags=re.DOTALL)
    for line in block.splitlines()
]


@pytest.fixture(scope="module")
def said() -> str:
    """All texts that the program is made of, those of f-strings without what is filled in."""
    files = [*(ROOT / "tfface").rglob("*.py"), *(ROOT / "tools").glob("*.py")]
    return "\0".join(
        node.value
        for file in files
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def pieces(text: str, said: str) -> list[str]:
    """Cuts a text into the longest rows of words of which each is one of the program's."""
    words, found = text.strip(_MARKS).split(), []
    while words:
        size = len(words)
        while size > 1 and " ".join(words[:size]).strip(_MARKS) not in said:
            size -= 1
        found.append(" ".join(words[:size]))
        words = words[size:]
    return found


_MARKS = " .,:;()"


@pytest.mark.parametrize("line", QUOTED)
def test_lines_of_the_troubleshooting_page_are_the_programs(line, said):
    line = re.sub(r"^(error|warning): ", "", line)
    for part in re.split(r"<[^>]*>", line):
        found = pieces(part, said)
        # A line may be put together of several texts, but not of single words.
        assert len(found) < 2 or min(len(piece.split()) for piece in found) > 1, found
        assert all(piece.strip(_MARKS) in said for piece in found)


def test_other_lines_are_not():
    said = "the run has ended before its time\0: reduce the number"
    assert pieces("the run has ended: reduce the number", said) == [
        *("the run has ended:", "reduce the number")
    ]
    assert pieces("the run has stopped", said)[-1] == "stopped"


def test_there_are_lines_to_check():
    assert len(QUOTED) > 20
