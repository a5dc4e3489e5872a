"""The posterior as an object: names, shapes, tables, and files that come back bit for bit."""

import io
import json
import os
import sys
import zipfile
from dataclasses import fields

import numpy as np
import pytest
from arviz_stats.base import array_stats as arviz

from channelwise.response import archive
from channelwise.response.archive import ArchiveError
from channelwise.response.market import MarketData
from channelwise.response.mmm import Model
from channelwise.response.posterior import FORM, VERSION, Posterior
from channelwise.response.priors import Prior

CHANNELS = ("tv", "search / brand")


def market(**changes) -> MarketData:
    rng = np.random.default_rng(0)
    outcome = rng.random((1, 12))
    outcome[:, :2] = np.nan
    return MarketData(
        dates=np.datetime64("2024-01-01") + 7 * np.arange(12),
        outcome=outcome,
        spend=rng.random((1, 12, 2)),
        channels=CHANNELS,
        before=2,
        **changes,
    )


def posterior(**changes) -> Posterior:
    rng = np.random.default_rng(1)
    parts = {
        "draws": {
            "roi": rng.lognormal(size=(4, 50, 2)),
            "sigma": rng.random((4, 50)),
            "share": rng.random((4, 50, 1, 2)),
        },
        "dims": {"roi": ("channel",), "share": ("geo", "channel")},
        "coords": {"channel": CHANNELS, "geo": ("national",)},
        "statistics": {"energy": rng.normal(size=(4, 50)), "diverging": rng.random((4, 50)) < 0.1},
        "market": market(),
        "model": Model(
            adstock={"tv": "delayed"},
            lags=6,
            prior_on="roi",
            priors={
                "sigma": Prior("half_normal", 0.1),
                "effect": {"tv": Prior("log_normal", 0, 0.3)},
            },
        ),
        "state": {"outcome_scale": np.asarray(7.0), "root": rng.random((5, 5))},
    }
    return Posterior(**parts | changes)


def assert_identical(a, b) -> None:
    """The same types, shapes, dtypes and bits, down to the last field."""
    assert type(a) is type(b)
    if isinstance(a, np.ndarray):
        assert (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())
    elif isinstance(a, dict):
        assert list(a) == list(b)
        for key in a:
            assert_identical(a[key], b[key])
    elif isinstance(a, Posterior | MarketData | Model):
        for field in fields(a):
            assert_identical(getattr(a, field.name), getattr(b, field.name))
    else:
        assert a == b


def test_a_saved_posterior_comes_back_bit_for_bit(tmp_path):
    before = posterior()
    before.draws["roi"][0, :4, 0] = [np.nan, np.inf, -0.0, 5e-324]
    before.save(tmp_path / "fit.npz")
    assert_identical(Posterior.load(tmp_path / "fit.npz"), before)


def test_a_market_with_everything_comes_back_too(tmp_path):
    rng = np.random.default_rng(2)
    full = market(
        exposure=rng.random((1, 12, 2)),
        exposure_names=("grp", None),
        controls=rng.normal(size=(1, 12, 1)),
        control_names=("préço",),
        events=np.zeros((1, 12, 1)),
        event_names=("дeнь",),
        population=np.array([1e6]),
        outcome_kind="conversions",
        value_per_conversion=0.1 + 0.2,
    )
    before = posterior(market=full)
    before.save(tmp_path / "fit.npz")
    after = Posterior.load(tmp_path / "fit.npz")
    assert_identical(after, before)
    assert after.market.value_per_conversion == 0.30000000000000004


def test_an_array_that_stands_in_two_places_is_stored_once_and_shared_again(tmp_path):
    posterior().save(tmp_path / "fit.npz")
    loaded = Posterior.load(tmp_path / "fit.npz").market
    assert loaded.exposure is loaded.spend
    with np.load(tmp_path / "fit.npz") as file:
        assert "market/spend" in file.files and "market/exposure" not in file.files


def test_numpy_alone_can_read_the_file(tmp_path):
    before = posterior()
    before.save(tmp_path / "fit.npz")
    with np.load(tmp_path / "fit.npz", allow_pickle=False) as file:
        np.testing.assert_array_equal(file["draws/roi"], before.draws["roi"])
        header = json.loads(file["header"].tobytes())
    assert (header["form"], header["version"]) == (FORM, VERSION)


def test_saving_again_replaces_the_file_and_leaves_nothing_beside_it(tmp_path):
    path = tmp_path / "new folder" / "fit.npz"
    posterior().save(path)
    posterior(model=Model(lags=3)).save(path)
    assert Posterior.load(path).model.lags == 3
    assert [p.name for p in path.parent.iterdir()] == ["fit.npz"]


def test_a_file_of_another_kind_is_not_overwritten(tmp_path):
    path = tmp_path / "market.csv"
    path.write_text("date,tv\n")
    with pytest.raises(ArchiveError, match=r"market\.csv exists and is no channelwise posterior"):
        posterior().save(path)
    assert path.read_text() == "date,tv\n"


def test_a_write_that_fails_keeps_the_earlier_file(tmp_path, monkeypatch):
    path = tmp_path / "fit.npz"
    posterior().save(path)
    kept = path.read_bytes()

    def full_disk(file, **arrays):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full_disk)
    with pytest.raises(ArchiveError, match=r"fit\.npz could not be written \(No space left"):
        posterior().save(path)
    assert path.read_bytes() == kept and len(list(tmp_path.iterdir())) == 1


def test_every_truncation_and_every_flipped_byte_is_noticed(tmp_path):
    before, path = posterior(), tmp_path / "fit.npz"
    before.save(path)
    whole = path.read_bytes()
    rng = np.random.default_rng(3)
    for cut in [0, 1, 100, *rng.integers(0, len(whole), 25), len(whole) - 1]:
        path.write_bytes(whole[:cut])
        with pytest.raises(ArchiveError, match=r"fit\.npz is no .* or is damaged .* Save it again"):
            Posterior.load(path)
    refused = 0
    for at in rng.integers(0, len(whole), 60):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        try:
            assert_identical(Posterior.load(path), before)  # a byte that carries no content
        except ArchiveError as error:
            refused += "fit.npz" in str(error)
    assert refused > 40


def with_header(path, change) -> None:
    """Rewrites the header of a saved file."""
    with np.load(path) as file:
        arrays = dict(file)
    header = json.loads(arrays.pop("header").tobytes())
    change(header)
    text = np.frombuffer(json.dumps(header).encode(), np.uint8)
    np.savez(path, header=text, **arrays)


@pytest.mark.parametrize(
    "change, sentence",
    [
        (lambda h: h.update(version=VERSION + 1), f"has version {VERSION + 1} of the channelwise"),
        (lambda h: h.update(form="channelwise plan"), "is a channelwise plan, not a channelwise"),
        (lambda h: h.update(version="x"), "is no channelwise posterior, or is damaged"),
        (lambda h: h.update(value=3), "it holds a int"),
        (lambda h: h.pop("value"), "damaged"),
        (lambda h: h["value"]["fields"].update(later=1), "unexpected keyword argument 'later'"),
        (lambda h: h["value"].update(dataclass="Popen"), "damaged .'Popen'"),
        (lambda h: h["value"]["fields"]["model"]["fields"].update(lags=999), "lags must lie"),
        (lambda h: h["value"]["fields"]["draws"].update(array="elsewhere"), "elsewhere"),
    ],
)
def test_a_newer_foreign_or_changed_file_is_refused_with_its_path(tmp_path, change, sentence):
    path = tmp_path / "fit.npz"
    posterior().save(path)
    with_header(path, change)
    with pytest.raises(ArchiveError, match=sentence) as refusal:
        Posterior.load(path)
    assert str(path) in str(refusal.value)


def test_a_file_without_a_field_that_has_a_default_is_still_read(tmp_path):
    path = tmp_path / "fit.npz"
    posterior().save(path)
    with_header(path, lambda h: h["value"]["fields"]["model"]["fields"].pop("noise"))
    assert Posterior.load(path).model.noise == Model().noise


def test_files_of_other_programs_and_no_file_are_refused(tmp_path):
    np.savez(tmp_path / "arrays.npz", x=np.ones(3))
    np.save(tmp_path / "array.npy", np.ones(3))
    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    (tmp_path / "empty.npz").write_bytes(b"")
    for name in ("arrays.npz", "array.npy", "table.csv", "empty.npz"):
        with pytest.raises(ArchiveError, match=f"{name} is no channelwise posterior"):
            Posterior.load(tmp_path / name)
    for name in ("absent.npz", ""):
        with pytest.raises(ArchiveError, match="There is no file"):
            Posterior.load(tmp_path / name)


def test_a_pickle_inside_the_file_is_never_run(tmp_path):
    path = tmp_path / "fit.npz"
    posterior().save(path)

    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "sprung"),)

    bomb = io.BytesIO()
    np.save(bomb, np.array([Trap()], dtype=object), allow_pickle=True)
    source = zipfile.ZipFile(io.BytesIO(path.read_bytes()))
    with zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            whole = source.read(name)
            target.writestr(name, bomb.getvalue() if name == "draws/roi.npy" else whole)
    with pytest.raises(ArchiveError, match="damaged"):
        Posterior.load(path)
    assert not (tmp_path / "sprung").exists()


def test_what_is_not_plain_is_refused_with_its_place(tmp_path):
    with pytest.raises(ArchiveError, match=r"draws\.roi is a ndarray, which cannot be saved"):
        odd = np.empty((2, 5), dtype=object)
        posterior(draws={"roi": odd}, dims={}, statistics={}).save(tmp_path / "fit.npz")
    assert list(tmp_path.iterdir()) == []


def test_lists_tuples_scalars_and_odd_keys_keep_their_types():
    arrays: dict[str, np.ndarray] = {}
    value = {"array": (1, [2.5, None]), "a/b": np.float32(0.1), 3: {"tuple": True}}
    packed = json.loads(json.dumps(archive._pack(value, arrays, ())))
    again = archive._unpack(packed, arrays, {})
    assert again == value and type(again["array"]) is tuple and type(again["array"][1]) is list


def test_paths_that_meet_do_not_share_an_array():
    arrays: dict[str, np.ndarray] = {}
    value = {"a/b": np.zeros(1), "a": {"b": np.ones(2)}, "header": np.full(3, 2.0)}
    again = archive._unpack(archive._pack(value, arrays, ()), arrays, {})
    assert_identical(again, value)


def test_flat_puts_chain_after_chain():
    x = posterior()
    flat = x.flat("roi")
    assert flat.shape == (200, 2)
    np.testing.assert_array_equal(flat[50:100], x.draws["roi"][1])
    assert x.flat("sigma").shape == (200,)


def test_labels_stand_in_the_order_of_the_scalars():
    x = posterior()
    assert x.labels("roi") == ["roi[tv]", "roi[search / brand]"]
    assert x.labels("share") == ["share[national, tv]", "share[national, search / brand]"]
    assert x.labels("sigma") == ["sigma"]


def test_an_unknown_name_is_answered_with_the_known_ones():
    for ask in (posterior().flat, posterior().labels, posterior().summary):
        with pytest.raises(KeyError, match="No draws are called 'beta'; there are roi, sigma"):
            ask("beta")


def test_the_summary_has_a_row_for_each_scalar_and_equals_arviz():
    x = posterior()
    table = x.summary()
    assert list(table.index) == [*x.labels("roi"), "sigma", *x.labels("share")]
    row, draws = table.loc["roi[search / brand]"], x.draws["roi"][..., 1]
    axes = {"chain_axis": 0, "draw_axis": 1}
    expected = {
        "mean": draws.mean(),
        "sd": draws.std(ddof=1),
        "median": np.median(draws),
        "5%": np.quantile(draws, 0.05),
        "95%": np.quantile(draws, 0.95),
        "mcse_mean": arviz.mcse(draws, **axes),
        "mcse_5%": arviz.mcse(draws, method="quantile", prob=0.05, **axes),
        "mcse_95%": arviz.mcse(draws, method="quantile", prob=0.95, **axes),
        "rhat": arviz.rhat(draws, **axes),
        "ess_bulk": arviz.ess(draws, **axes),
        "ess_tail": arviz.ess(draws, method="tail", prob=(0.05, 0.95), **axes),
    }
    assert set(table.columns) == {*expected, "mcse_sd"}
    for name, value in expected.items():
        assert row[name] == pytest.approx(float(value), rel=1e-9), name
    assert list(x.summary("sigma").index) == ["sigma"]


def test_arviz_gets_names_labels_and_statistics():
    x = posterior()
    tree = x.to_arviz()
    roi = tree["posterior"]["roi"]
    assert roi.dims == ("chain", "draw", "channel") and list(roi["channel"].values) == [*CHANNELS]
    np.testing.assert_array_equal(roi.values, x.draws["roi"])
    np.testing.assert_array_equal(tree["sample_stats"]["energy"].values, x.statistics["energy"])


def test_without_arviz_a_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "arviz_base", None)
    with pytest.raises(ImportError, match="pip install arviz-base"):
        posterior().to_arviz()


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"draws": {}}, "at least one quantity"),
        ({"dims": {"roi": ("media",)}}, "dimension 'media', which coords do not label"),
        ({"dims": {}}, r"roi has the shape \(4, 50, 2\), but .* make \(4, 50\)"),
        ({"coords": {"channel": ("tv",), "geo": ("national",)}}, r"make \(4, 50, 1\)"),
        ({"statistics": {"energy": np.zeros((4, 49))}}, r"energy has the shape \(4, 49\)"),
    ],
)
def test_arrays_that_do_not_fit_their_names_are_refused(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        posterior(**changes)


def test_its_name_tells_its_size_and_not_its_numbers():
    expected = "Posterior(4 chains × 50 draws of roi[channel], sigma, share[geo, channel])"
    assert repr(posterior()) == expected
