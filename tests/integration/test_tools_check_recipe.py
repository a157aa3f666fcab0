"""tools/check_recipe.py: a filled-in template passes; each mistake is reported with its file and line."""

import importlib.util
import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def program():
    """The module of tools/check_recipe.py."""
    spec = importlib.util.spec_from_file_location("check_recipe_program", ROOT / "tools" / "check_recipe.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(params=["folders", "list"])
def recipe(request, tmp_path, monkeypatch):
    """A recipe made of the template as CONTRIBUTING.md says, among some of the others; its folder."""
    for name in ("recipes/README.md", "recipes/FLEURS/corpus.yaml", "tests/recipes/conftest.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "tools").symlink_to(ROOT / "tools")
    folder = tmp_path / "recipes" / "New-Corpus"
    shutil.copytree(ROOT / "templates", folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / f"corpus_prepare_from_{request.param}.py").rename(folder / "new_corpus_prepare.py")
    next(folder.glob("corpus_prepare_from_*.py")).unlink()
    (folder / "test_corpus.py").rename(tmp_path / "tests/recipes/test_new_corpus.py")
    for path in (*folder.iterdir(), tmp_path / "tests/recipes/test_new_corpus.py"):
        text = path.read_text().replace("FIXME_Corpus", "New-Corpus").replace("fixme_corpus", "new_corpus")
        path.write_text(text.replace("FIXME ", ""))
    with open(tmp_path / "recipes/README.md", "a") as file:
        file.write("| [New-Corpus](New-Corpus/README.md) | English | 1 | 2 | - | see its page |\n")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # two versions of one second and one length would be mixed up
    yield folder
    sys.modules.pop("new_corpus_prepare", None)


@pytest.fixture
def run(program, monkeypatch, capsys):
    """Run the program in this process; gives its status and what it says."""

    def call(*arguments):
        sys.modules.pop("new_corpus_prepare", None)
        monkeypatch.setattr(sys, "argv", ["check_recipe.py", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            program.run_program(program.main)
        return left.value.code, capsys.readouterr()

    return call


def test_a_filled_in_template_passes(recipe, run, program, write_audio, capsys):
    """Guards against reports about the template itself, and against rows of the corpus that are not checked."""
    data, module = recipe.parents[1] / "data", recipe / "new_corpus_prepare.py"
    for name in ("train/bonafide/ann_1.wav", "test/some_tts/ann_2.wav"):
        write_audio(data / "New-Corpus" / name)
    lines = ["file,speaker,system,split", "train/bonafide/ann_1.wav,ann,bonafide,train"]
    (data / "New-Corpus/meta.csv").write_text("\n".join([*lines, "test/some_tts/ann_2.wav,ann,some_tts,test"]))
    status, said = run(recipe, "--data_folder", data, "--quiet")
    assert status == 0 and "test              0    0.00 h        1    0.00 h" in said.out, said

    (data / "New-Corpus/test/some_tts/ann_2.wav").write_bytes(b"RIFF")
    write_audio(data / "New-Corpus/train/bonafide/b/more.wav")
    module.write_text(module.read_text().replace('"EN"', '"en"'))
    sys.modules.pop("new_corpus_prepare", None)
    gaps = "\n".join(program.prepare_here(recipe, data, quiet=True))
    assert "Language is not in upper case: {'ID': 'New-Corpus-bonafide-ann_1'" in gaps
    assert "leaves out " in gaps and "ann_2.wav: cannot be read" in gaps


MISTAKES = {
    "new_corpus_prepare.py": [
        ("source      ", "origin      ", ":2: the docstring has no line 'source"),
        ("Venue 2026.", "", ":4: the docstring's second paragraph is not a citation"),
        ("New-Corpus/", "somewhere, ", ":2: the docstring does not show the corpus's folders and files"),
        ("prepare_new_corpus", "prepare_it", ":1: no function prepare_new_corpus(data_folder, output, ...)"),
        ("    run_program(main)", "    main()", ": no main(argv) that run_program(main) runs"),
        ("main = partial(", "program = partial(", ": no main(argv) that run_program(main) runs"),
        ("import partial", "import partail", ": cannot be imported: ImportError"),
        ("def describe(", "def describe((", ": cannot be imported: SyntaxError"),
        ('if __name__ == "__main__":', "if True:", ": cannot be imported: SystemExit"),
        ("SPLITS = ", "# FIXME\nSPLITS = ", ": fill in: # FIXME"),
    ],
    "README.md": [
        ("## License", "## Lizenz", ":1: section '## License' is missing or empty"),
        ("python new_corpus_prepare.py ", "python prepare.py ", ":1: no command; add 'python new_corpus_prepare.py "),
        ("# New-Corpus", "New-Corpus", ":1: must begin with '# '"),
    ],
    "corpus.yaml": [
        ("sources:", "source:", ":1: has the keys use, identifiers, source; it must have identifiers, sources, use"),
        ("none", "all", ":2: use is 'all'; it must be one of train, test, none"),
        ("New-Corpus-", "New-Corpus", ":3: identifiers is ['New-Corpus']; it must look like [Corpus-]"),
        ("[New-Corpus-]", "[]", ":3: identifiers is empty"),
        ("New-Corpus-", "FLEURS-", ":3: FLEURS- is ambiguous with FLEURS- of FLEURS; choose another prefix"),
        ("New-Corpus-", "FLEURS-X-", ":3: FLEURS-X- is ambiguous with FLEURS- of FLEURS; choose another prefix"),
        ("[New-Corpus-]", "New-Corpus-", ":3: identifiers is New-Corpus-; it must look like [Corpus-]"),
        ("use: none", "use: [", ":1: has the keys (none); it must have"),
    ],
    "../README.md": [("| [New-Corpus]", "| [Old]", ":1: no row of this corpus; add '| [New-Corpus]")],
    "../../tests/recipes/test_new_corpus.py": [('"ann"', '"bob"', "AssertionError")],
}


@pytest.mark.parametrize("recipe", ["folders"], indirect=True)
def test_each_mistake_is_reported_with_its_line(recipe, program):
    """Guards against mistakes that only a reviewer, or a user of a wrong protocol, would find."""
    for name, mistakes in MISTAKES.items():
        path = (recipe / name).resolve()
        right = path.read_text()
        for before, after, expected in mistakes:
            assert before in right
            path.write_text(right.replace(before, after))
            sys.modules.pop("new_corpus_prepare", None)
            gaps = program.find_gaps(recipe)
            if "tests" in name:
                gaps += program.run_test(recipe)
                expected = ": the test fails"
            assert any(gap.startswith(f"{path}:") and expected in gap for gap in gaps), (after, gaps)
        path.write_text(right)
    yaml = recipe / "corpus.yaml"
    yaml.write_text(yaml.read_text().replace("New-Corpus-", "FLEURS-X-").replace("sources: []", "sources: [FLEURS]"))
    sys.modules.pop("new_corpus_prepare", None)
    assert program.find_gaps(recipe) == []  # a corpus may extend the prefix of the one it is made from


@pytest.mark.parametrize("recipe", ["list"], indirect=True)
def test_missing_files_and_leftovers_are_listed(recipe, run, program):
    """Guards against a traceback for a missing file, and against template files in the project."""
    for name in ("README.md", "corpus.yaml", "new_corpus_prepare.py"):
        (recipe / name).unlink()
    (recipe.parents[1] / "tests/recipes/test_new_corpus.py").rename(recipe / "test_corpus.py")
    (recipe / "corpus_prepare_from_list.py").touch()
    (recipe.parent / "new_corpus").mkdir()
    status, said = run(recipe)
    assert status == 1 and "7 things are missing" in said.err
    assert [line.split(": ")[0] for line in said.out.splitlines()] == [
        "recipes/New-Corpus:1",
        "recipes/New-Corpus/corpus_prepare_from_list.py:1",
        "recipes/New-Corpus/test_corpus.py:1",
        "tests/recipes/test_new_corpus.py:1",
        "recipes/New-Corpus/new_corpus_prepare.py:1",
        "recipes/New-Corpus/README.md:1",
        "recipes/New-Corpus/corpus.yaml:1",
    ]
    assert run(recipe / "nowhere")[0] == 2


def test_rows_that_break_a_convention_are_reported(program):
    """Guards against one language under two names, and against IDs that look like another corpus's."""
    pandas = pytest.importorskip("pandas")
    right = {"ID": "N-1", "Label": "real", "Attack": "-", "Proportion": "test", "Language": "EN", "Speaker": "-"}
    assert list(program.check_rows(pandas.DataFrame([right]), ["N-"])) == []
    for column, value in (
        ("ID", "M-1"),
        ("Attack", "bonafide"),
        ("Proportion", "dev"),
        ("Language", "en"),
        ("Speaker", ""),
    ):
        gaps = list(program.check_rows(pandas.DataFrame([right, {**right, column: value}]), ["N-"]))
        assert len(gaps) == 1 and repr(value) in gaps[0], column


def test_a_missing_pytest_is_not_a_failing_test(recipe, run, program, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "pytest" else find(name, *rest)
    )
    status, said = run(recipe)
    assert status == 2 and "needs pytest; install it with" in said.err and "the test fails" not in said.out + said.err


def test_one_missing_thing_is_singular(recipe, run):
    (recipe / "corpus.yaml").unlink()
    status, said = run(recipe)
    assert status == 1 and "New-Corpus: 1 thing is missing\n" in said.err
