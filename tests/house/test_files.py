"""What must not be in any file of the repository."""

import re
from pathlib import Path

# Put together here, or this file would be the first to be found.
MACHINE_PATHS = [r"(?<![\w.}-])/" + name for name in ("work/", "root/", "tmp/x/")]
HOSTS = [
    re.escape(host + "." + domain)
    for host, domain in (
        ("pypi", "org"),
        ("files.pythonhosted", "org"),
        ("registry.npmjs", "org"),
        ("deb.debian", "org"),
    )
]
FORBIDDEN = re.compile("|".join([*MACHINE_PATHS, *HOSTS]))


def test_the_pattern_finds_what_it_should() -> None:
    assert FORBIDDEN.search('open("/' + 'root/.cache/x")')
    assert FORBIDDEN.search("cd /" + "work/main")
    assert FORBIDDEN.search("https://pypi" + ".org/simple")
    assert not FORBIDDEN.search("net/work/it and $ROOT/root/it")


def test_no_path_of_one_machine_and_no_registry_host(files: list[Path]) -> None:
    found = []
    for path in files:
        text = path.read_bytes().decode("utf-8", errors="replace")
        for number, line in enumerate(text.splitlines(), start=1):
            if FORBIDDEN.search(line):
                found.append(f"{path}:{number}: {line.strip()[:100]}")
    assert not found


def test_no_file_is_large(files: list[Path]) -> None:
    large = {path: path.stat().st_size for path in files if path.stat().st_size > 1_000_000}
    assert not large, "models and data are fetched by scripts/assets, not committed"


def test_decisions_are_numbered_without_gap_or_double(root: Path) -> None:
    pages = sorted((root / "docs" / "adr").glob("*.md"))
    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    for number, page in enumerate(pages, start=1):
        assert page.read_text(encoding="utf-8").startswith(f"# {number}. ")


def test_every_file_of_tests_has_a_name_of_its_own(files: list[Path]) -> None:
    """pytest imports them by that alone, and refuses the second of a name."""
    names = [path.name for path in files if path.name.startswith("test_")]
    assert not {name for name in names if names.count(name) > 1}
