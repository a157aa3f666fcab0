"""Corpora by their identifiers: a clip counted as another corpus's would be trained or tested on by mistake."""

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
def test_the_longest_beginning_decides(identifier, corpus):
    """FLEURS-R would be taken for FLEURS, and one of the two CodecFakes for the other."""
    assert find_corpora([identifier], RECIPES).tolist() == [corpus]


TEXTS = st.text("ab-", max_size=4)


@given(st.lists(TEXTS), st.lists(TEXTS.filter(bool), unique=True, max_size=5))
def test_many_are_told_as_one_by_one(identifiers, beginnings):
    """The quick way over columns would differ from the rule."""
    corpora = {f"c{n}": Corpus(f"c{n}", "train", (text,)) for n, text in enumerate(beginnings)}
    wanted = []
    for identifier in identifiers:
        fits = [text for text in beginnings if identifier.startswith(text)]
        longest = max(fits, key=len, default=None)
        wanted.append(f"c{beginnings.index(longest)}" if longest else identifier.partition("-")[0])
    assert find_corpora(identifiers, corpora).tolist() == wanted


def test_sources_are_followed():
    """A corpus made of a corpus made of VCTK would pass for one without VCTK."""
    assert trace_sources("toy_example", RECIPES) == {"toy_example", "ASVspoof2019-LA", "VCTK"}
    assert trace_sources("LibriTTS-R", RECIPES) == {"LibriTTS-R", "LibriTTS"}
    assert trace_sources("unknown", RECIPES) == {"unknown"}
    circle = {name: Corpus(name, "none", (name,), (other,)) for name, other in ("ab", "ba")}
    assert trace_sources("a", circle) == {"a", "b"}


def test_the_union_is_the_corpora_for_training():
    """A model folder would record other corpora than it was trained on."""
    union = yaml.safe_load((ROOT / "hparams" / "union.yaml").read_text())
    assert sorted(union) == sorted(name for name, corpus in RECIPES.items() if corpus.use == "train")
    assert len(union) == 29
    # in the order of the published list, without regard to case but for what the list itself has otherwise
    assert union.index("LibriTTS-Vocoded") < union.index("LJSpeech") < union.index("MLAAD")
    assert union.index("ASVspoof2021-LA") < union.index("ASVspoof2021-DF")


def test_every_corpus_that_is_prepared_has_its_file():
    """Its utterances would count as an unknown corpus's, and be trained on without a word."""
    assert {path.parent.name for path in (ROOT / "recipes").glob("*/*_prepare.py")} == set(RECIPES)


def test_published_hours_are_those_of_the_paper():
    """The table of a union would compare with wrong figures."""
    hours = [corpus.published_hours for corpus in RECIPES.values() if corpus.use == "train"]
    assert round(sum(entry["real"] for entry in hours), -1) == 56370
    assert round(sum(entry["fake"] for entry in hours), -1) == 18280


GOOD = "use: train\nidentifiers: [A-]\nsources: []\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no keys"),
        ("- a", "holds no keys"),
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
def test_a_malformed_file_is_told(tmp_path, text, said):
    """A slip in one of forty files would end in a traceback, or be taken for a corpus without sources."""
    (tmp_path / "A").mkdir()
    (tmp_path / "A" / "corpus.yaml").write_text(text)
    with pytest.raises(InputError) as told:
        read_corpora(tmp_path)
    message = str(told.value)
    assert said in message and "corpus.yaml" in message and "\n" not in message


def test_beginnings_that_two_corpora_share_and_a_wrong_folder_are_told(tmp_path):
    """Utterances of one corpus would silently count as another's; or none would be known at all."""
    with pytest.raises(InputError, match="no folder in it has a"):
        read_corpora(tmp_path)
    for name in ("A", "B"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "corpus.yaml").write_text(GOOD)
    with pytest.raises(InputError, match="A and B both begin with A-"):
        read_corpora(tmp_path)
