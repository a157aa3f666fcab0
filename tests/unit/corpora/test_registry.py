"""Corpora by the prefixes of their IDs, and their sources."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from antideepfake.corpora.registry import Corpus, find_corpora, read_corpora, trace_sources
from antideepfake.errors import InputError

ROOT = Path(__file__).parents[3]
RECIPES = read_corpora(ROOT / "recipes")


@pytest.mark.parametrize(
    ("identifier", "corpus"),
    [
        ("FLEURS-YUE_HANT-2", "FLEURS"),
        ("FLEURS-R-YUE_HANT-2", "FLEURS-R"),
        ("Libri-1462_170138_000007_000001", "LibriTTS"),
        ("Libri-R-166_122789_000035_000001", "LibriTTS-R"),
        ("LibriTTS-Vo-hifigan-166_1", "LibriTTS-Vocoded"),
        ("VoxCeleb2-id00082-a-00146", "VoxCeleb2"),
        ("VoxCeleb2-Vo-hifigan-id04972-b-00255", "VoxCeleb2-Vocoded"),
        ("Codecf-F01_SSB13650058", "Codecfake-Xie"),
        ("CodecF-encodec_24khz+p272_103", "CodecFake-Wu"),
        ("ASV19LAdemo-LA_T_7529623", "toy_example"),
        ("FoRnorm-1", "FakeOrReal"),
        ("codecf-1", "codecf"),
        ("mine-FLEURS-1", "mine"),
        ("alone", "alone"),
        ("-x", ""),
    ],
)
def test_the_longest_prefix_decides(identifier, corpus):
    """Guards against confusing FLEURS with FLEURS-R, and CodecFake-Wu with Codecfake-Xie."""
    assert find_corpora([identifier], RECIPES).tolist() == [corpus]


TEXTS = st.text("ab-", max_size=4)


@given(st.lists(TEXTS), st.lists(TEXTS.filter(bool), unique=True, max_size=5))
def test_a_column_of_ids_is_found_as_one_by_one(identifiers, prefixes):
    corpora = {f"c{n}": Corpus(f"c{n}", "train", (text,)) for n, text in enumerate(prefixes)}
    wanted = []
    for identifier in identifiers:
        fits = [text for text in prefixes if identifier.startswith(text)]
        longest = max(fits, key=len, default=None)
        wanted.append(f"c{prefixes.index(longest)}" if longest else identifier.partition("-")[0])
    assert find_corpora(identifiers, corpora).tolist() == wanted


def test_sources_are_followed():
    """Guards against a corpus made from VCTK by way of another that seems to have no VCTK."""
    assert trace_sources("toy_example", RECIPES) == {"toy_example", "ASVspoof2019-LA", "VCTK"}
    assert trace_sources("LibriTTS-R", RECIPES) == {"LibriTTS-R", "LibriTTS"}
    assert trace_sources("unknown", RECIPES) == {"unknown"}
    circle = {name: Corpus(name, "none", (name,), (other,)) for name, other in ("ab", "ba")}
    assert trace_sources("a", circle) == {"a", "b"}


def test_the_union_lists_the_corpora_for_training():
    union = yaml.safe_load((ROOT / "hparams" / "union.yaml").read_text())
    assert sorted(union) == sorted(name for name, corpus in RECIPES.items() if corpus.use == "train")
    assert len(union) == 29
    # the order of the published list, which ignores case, with its own exceptions
    assert union.index("LibriTTS-Vocoded") < union.index("LJSpeech") < union.index("MLAAD")
    assert union.index("ASVspoof2021-LA") < union.index("ASVspoof2021-DF")


def test_every_recipe_has_a_corpus_yaml():
    assert {path.parent.name for path in (ROOT / "recipes").glob("*/*_prepare.py")} == set(RECIPES)


def test_published_hours_are_those_of_the_paper():
    hours = [corpus.published_hours for corpus in RECIPES.values() if corpus.use == "train"]
    assert round(sum(entry["real"] for entry in hours), -1) == 56370
    assert round(sum(entry["fake"] for entry in hours), -1) == 18280


GOOD = "use: train\nidentifiers: [A-]\nsources: []\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "contains no keys"),
        ("- a", "contains no keys"),
        ("use: [", "not YAML"),
        (GOOD.replace("train", "training"), "use is 'training'"),
        (GOOD.replace("use: train\n", ""), "use is None"),
        (GOOD.replace("[A-]", "A-"), "identifiers is 'A-'"),
        (GOOD.replace("[A-]", "[]"), "identifiers is empty"),
        (GOOD.replace("[]", "[1]"), "sources is"),
        (GOOD + "hours: 3\n", "unknown key hours"),
        (GOOD + "published_hours: {real: x}\n", "must hold numbers"),
        (GOOD + "published_hours: {bonafide: 1}\n", "hours of real and fake"),
        (GOOD + "published_hours: {real: true}\n", "must hold numbers"),
        (GOOD + "published_hours: {real: .inf}\n", "must hold numbers"),
        (GOOD + "published_hours: !!timestamp x\n", "not YAML"),
        (GOOD.replace("train", "!!int ''"), "not YAML"),
        (GOOD.replace("train", "!!bool x"), "not YAML"),
        (GOOD.replace("train", "2020-99-99"), "not YAML"),
        (GOOD.replace("train", "!!python/object/apply:os.getpid []"), "not YAML"),
        (GOOD.replace("train", "!tag x"), "not YAML"),
        (GOOD.replace("train", "[" * 5000), "not YAML"),
        (GOOD.replace("[A-]", "!!set {A-}"), "identifiers is"),
        (GOOD.replace("[A-]", "2020-01-01"), "identifiers is"),
        (GOOD.replace("[]", "[&a [x, x], &b [*a, *a], &c [*b, *b]]" + " " * 9), "sources is"),
        ("? [a, b]\n: c\n", "not YAML"),
    ],
)
def test_a_malformed_corpus_yaml_is_refused(tmp_path, text, said):
    (tmp_path / "A").mkdir()
    (tmp_path / "A" / "corpus.yaml").write_text(text)
    with pytest.raises(InputError) as error:
        read_corpora(tmp_path)
    message = str(error.value)
    assert said in message and "corpus.yaml" in message and "\n" not in message


def test_shared_prefixes_and_a_wrong_folder_are_refused(tmp_path):
    with pytest.raises(InputError, match="no folder in it has a"):
        read_corpora(tmp_path)
    for name in ("A", "B"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "corpus.yaml").write_text(GOOD)
    with pytest.raises(InputError, match="A and B both begin with A-"):
        read_corpora(tmp_path)
