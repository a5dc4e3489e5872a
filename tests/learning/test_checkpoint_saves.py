"""Saves that are damaged, foreign or cannot be written: refused by name, never a wrong number."""

import resource
import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import numpy as np
import pytest

from channelwise.foundations import losses
from channelwise.learning.checkpoint import CheckpointError, CheckpointWarning
from channelwise.learning.fit import fit
from channelwise.learning.models.dense import pure_mlp

rng = np.random.default_rng(0)
X = rng.normal(size=(64, 6)).astype(np.float32)
Y = (X[:, 0] + X[:, 1] * X[:, 2] > 0).astype(np.float32)
MODEL = pure_mlp((6, 8, 1))


def train(folder: Path, *, epochs: int = 3, seed: int = 0) -> list[np.ndarray]:
    """Parameters and history of a run that saves twice an epoch, each of four steps."""
    model, history = fit(
        MODEL,
        losses.binary_cross_entropy,
        (X[:32], Y[:32]),
        validation=(X[32:], Y[32:]),
        epochs=epochs,
        batch_size=8,
        seed=seed,
        average=0.9,
        checkpoint=folder,
        checkpoint_steps=2,
    )
    told = (history.train_loss, history.validation_loss, np.asarray(history.best_epoch))
    return [*map(np.asarray, jax.tree.leaves(model.params)), *told]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[np.ndarray]:
    """What a run that nothing happens to ends in."""
    return train(tmp_path_factory.mktemp("whole") / "run")


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that ended after two of its three epochs: the saves 6 and 8."""
    folder = tmp_path_factory.mktemp("begun") / "run"
    train(folder, epochs=2)
    assert sorted(p.name for p in folder.iterdir()) == ["6", "8"]
    return folder


@pytest.fixture
def run(begun: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(begun, tmp_path / "run"))


def same(found: list[np.ndarray], expected: list[np.ndarray]) -> bool:
    return all(map(np.array_equal, found, expected))


def files(save: Path) -> list[Path]:
    return sorted(path for path in save.rglob("*") if path.is_file())


def empty(path: Path) -> None:
    path.write_bytes(b"")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("spoil", [cut, empty, Path.unlink])
def test_a_save_of_which_any_file_is_torn_is_whole_or_refused_never_wrong(
    spoil, begun, whole, tmp_path
):
    refused = 0
    for number, name in enumerate(path.relative_to(begun) for path in files(begun / "8")):
        folder = Path(shutil.copytree(begun, tmp_path / str(number)))
        spoil(folder / name)
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always", CheckpointWarning)
            assert same(train(folder), whole), name
        told = [str(w.message) for w in told if w.category is CheckpointWarning]
        assert (folder / "refused-8").exists() == bool(told)
        if told:
            (sentence,) = told
            assert sentence.startswith(f"The checkpoint {folder / '8'} cannot be read (")
            assert sentence.endswith("is called refused-8 now, and the run goes on from step 6.")
            assert len(sentence) < 600
            refused += 1
    assert refused >= 3  # the notes, the arrays, the list of both


def test_arrays_with_other_bits_are_refused(run, whole):
    """Only the sum over the arrays can tell: every file is whole and says what it should."""
    other = run.parent / "other"
    train(other, epochs=2, seed=1)
    shutil.rmtree(run / "8" / "state")
    shutil.copytree(other / "8" / "state", run / "8" / "state")
    with pytest.warns(CheckpointWarning, match="its arrays are not those that were saved"):
        assert same(train(run), whole)


def test_a_foreign_newest_save_is_refused_by_name_and_the_one_before_used(run, whole):
    other = run.parent / "other"
    train(other, epochs=2, seed=1)
    shutil.rmtree(run / "8")
    shutil.copytree(other / "8", run / "8")
    sentence = r"run/8 belongs to another run: different seed\. It is called refused-8 now"
    with pytest.warns(CheckpointWarning, match=sentence):
        assert same(train(run), whole)


def test_no_save_that_can_be_used_is_an_error_and_nothing_is_lost(run):
    for path in files(run):
        empty(path)
    with pytest.raises(CheckpointError, match=r"run/8 cannot be read .*Delete that folder to star"):
        train(run)
    assert sorted(p.name for p in run.iterdir()) == ["6", "8"]


def nothing_there(folder: Path) -> None:
    shutil.rmtree(folder)


def empty_folder(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def other_things(folder: Path) -> None:
    (folder / "notes.txt").write_text("mine")
    (folder / "figures").mkdir()
    (folder / "99").write_text("a file with the name of a save")
    (folder / "12.orbax-checkpoint-tmp").mkdir()


@pytest.mark.parametrize("change", [nothing_there, empty_folder, other_things])
def test_what_else_is_in_the_folder_does_not_matter(change, run, whole):
    change(run)
    assert same(train(run), whole)
    assert not (run / "notes.txt").exists() or (run / "notes.txt").read_text() == "mine"


def test_an_older_refused_save_is_kept(run, whole):
    for name in ("refused-8", "refused-8-2"):
        (run / name).mkdir()
        (run / name / "kept").touch()
    shutil.rmtree(run / "8" / "state")
    with pytest.warns(CheckpointWarning, match="It is called refused-8-3 now"):
        assert same(train(run), whole)
    assert (run / "refused-8" / "kept").exists() and (run / "refused-8-2" / "kept").exists()


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("no folder")
    for folder in (tmp_path / "file", tmp_path / "file" / "run", Path("/proc/nowhere")):
        with pytest.raises(CheckpointError, match=r"cannot be written to .* Name a folder that"):
            train(folder)


@pytest.fixture
def limit() -> Iterator[Callable[[int], None]]:
    """Lets no file become larger than some bytes, as a full disk would not."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # orbax's threads
def test_a_full_disk_ends_the_run_in_a_sentence_and_the_saves_before_go_on(
    run, whole, limit, capfd
):
    capfd.readouterr()  # what is printed goes to files, too
    limit(1000)
    with pytest.raises(CheckpointError, match=r"cannot be written to .* free some space there"):
        train(run)
    limit(resource.RLIM_INFINITY)
    assert {"6", "8"} <= {p.name for p in run.iterdir()}
    assert same(train(run), whole)
