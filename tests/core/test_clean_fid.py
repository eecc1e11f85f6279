"""The whole clean-fid path, with small networks in place of Inception where its architecture does not matter."""

import hashlib
import threading
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Literal
from unittest import mock

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError
from torch import Tensor, nn

from core.config import PUBLIC_FID, CleanFid
from core.errors import InputError
from core.metrics import clean_fid, identity
from core.metrics import real as real_set
from core.metrics.clean_fid import inception_features, inception_weights
from core.metrics.features import generated
from core.metrics.measure import build_metric
from core.signals import Picture


class SmallInception(nn.Module):
    """What clean-fid asks of its TorchScript file: `.layers` on images in [-1, 1], a forward that resizes by itself."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor, return_features: bool = True) -> Tensor:
        x = nn.functional.interpolate(x, size=[299, 299], mode="bilinear", align_corners=False)
        return self.layers((x - 128) / 128)


def saved(path: Path, *layers: nn.Module) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch deprecates TorchScript, clean-fid's weights are made of it
        torch.jit.script(SmallInception(*layers)).save(str(path))
    return path


@pytest.fixture(scope="module")
def torchscript(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    convolution = nn.Conv2d(3, 32, 16, stride=16)
    path = tmp_path_factory.mktemp("weights") / "small.pt"
    return saved(path, convolution, nn.ReLU(), nn.AdaptiveAvgPool2d(8), nn.Flatten(), nn.ReLU())


@pytest.fixture(scope="module")
def state_dict(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """pytorch-fid's own Inception with random weights."""
    from cleanfid import inception_pytorch
    from torchvision.models.inception import Inception3

    torch.manual_seed(0)
    with (
        warnings.catch_warnings(),
        mock.patch.object(inception_pytorch, "load_state_dict_from_url", return_value={}),
        mock.patch.object(Inception3, "load_state_dict", return_value=None),
    ):
        warnings.simplefilter("ignore")
        network = inception_pytorch.fid_inception_v3()
    path = tmp_path_factory.mktemp("weights") / "small.pth"
    torch.save(network.state_dict(), path)
    return path


@pytest.fixture(autouse=True)
def _small_ones_are_taken(torchscript: Path, state_dict: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The small networks stand for the files that are published."""
    monkeypatch.setattr(identity, "TORCHSCRIPT_SHA256", identity.file_sha256(torchscript))
    monkeypatch.setattr(identity, "STATE_DICT_SHA256", identity.file_sha256(state_dict))


@pytest.fixture
def no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without weights: an empty folder in place of clean-fid's usual ones."""
    monkeypatch.delenv(identity.INCEPTION_VARIABLE, raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(real_set, "_known", {})
    usual = identity.inception_place

    def place(mode: str) -> Path:
        return usual(mode) if mode == "legacy_pytorch" else tmp_path / "usual" / usual(mode).name

    monkeypatch.setattr(identity, "inception_place", place)
    monkeypatch.setattr(clean_fid, "inception_place", place)
    return tmp_path


def images(seed: int, count: int, resolution: int = 16) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 3, resolution, resolution), generator=generator, dtype=torch.uint8)


def reference_features(mode: str, file: Path, batch: Tensor) -> np.ndarray:
    """clean-fid's own resizing, image by image, and its own network."""
    from cleanfid.resize import build_resizer

    network = clean_fid._network(mode, file)
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")
        resized = np.stack([build_resizer(mode)(image) for image in batch.permute(0, 2, 3, 1).numpy()])
        shown = torch.from_numpy(resized).float().permute(0, 3, 1, 2)
        if mode == "legacy_pytorch":
            return network(shown / 255)[0].flatten(1).numpy()
        return network(shown).numpy()


@pytest.mark.parametrize(
    ("mode", "resolution"),
    [("clean", 16), ("clean", 320), ("legacy_tensorflow", 16), ("legacy_tensorflow", 320), ("legacy_pytorch", 16)],
)
def test_features_are_clean_fids(mode: str, resolution: int, torchscript: Path, request: pytest.FixtureRequest) -> None:
    file = request.getfixturevalue("state_dict") if mode == "legacy_pytorch" else torchscript
    batch = images(0, 2, resolution)
    with torch.inference_mode():
        extract = inception_features(mode, file, "cpu")
        features, of_floats, between = extract(batch), extract(batch.float()), extract(batch.float() + 0.4)
    assert features.shape == (2, 2048)
    # Latent paths are measured on images that are not quantised.
    assert torch.equal(of_floats, features) and not torch.equal(between, features)
    expected = reference_features(mode, file, batch)
    assert np.abs(expected).max() > 0
    np.testing.assert_allclose(features.numpy(), expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


def test_a_whole_measurement(torchscript: Path, no_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(identity.INCEPTION_VARIABLE, str(torchscript))
    real, fake = images(0, 30), images(1, 20) // 2
    config = CleanFid(mode="clean", samples=20)
    measure = build_metric(config, real, device="cpu", cache=no_weights)
    assert (measure.key, measure.samples) == ("clean_fid", 20)
    assert measure.protocol.weights == identity.file_sha256(torchscript)
    assert measure.protocol.resize == "bicubic with antialiasing (PIL), 16 to 299"
    assert (measure.protocol.samples, measure.protocol.real_samples) == (20, 30)
    value = measure(iter(fake.split(7)))

    x, y = (reference_features("clean", torchscript, part).astype(np.float64) for part in (fake, real))
    a, b = x - x.mean(0), y - y.mean(0)
    overlap = np.linalg.svd((a / np.sqrt(19)) @ (b / np.sqrt(29)).T, compute_uv=False).sum()
    expected = ((x.mean(0) - y.mean(0)) ** 2).sum() + (a**2).sum() / 19 + (b**2).sum() / 29 - 2 * overlap
    assert value == pytest.approx(expected, rel=1e-4)

    # Found again without the network's features being computed.
    real_set._known.clear()
    with mock.patch.object(real_set, "features_of", side_effect=AssertionError):
        build_metric(config, real, device="cpu", cache=no_weights)


def test_the_public_codes_measurement(state_dict: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first real images at 8 bits, generated ones as they leave tanh: its [0, 1] is our 0..255, nothing is rounded.

    A small network in Inception's place: there is no public number to compare with.
    """
    monkeypatch.setenv(identity.INCEPTION_VARIABLE, str(state_dict))
    monkeypatch.setattr(clean_fid, "inception_features", lambda *_: few_features)
    real = images(0, 70)
    torch.manual_seed(0)
    fake = torch.rand(40, 3, 16, 16) * 1.6 - 0.8
    config = CleanFid(**{**dict(PUBLIC_FID), "samples": 40, "real": 30})

    def measured(config: CleanFid) -> float:
        measure = build_metric(config, real, device="cpu", cache=None)
        assert measure.quantised == config.quantised
        return measure(generated(Shown(fake), torch.arange(40), quantised=measure.quantised))  # type: ignore[arg-type]

    # As the public code's own lines: real images over 255, generated ones halved and moved by a half.
    x, y = (few_features(shown * 255).double().numpy() for shown in (fake * 0.5 + 0.5, real[:30].float() / 255))
    a, b = x - x.mean(0), y - y.mean(0)
    overlap = np.linalg.svd((a / np.sqrt(39)) @ (b / np.sqrt(29)).T, compute_uv=False).sum()
    expected = ((x.mean(0) - y.mean(0)) ** 2).sum() + (a**2).sum() / 39 + (b**2).sum() / 29 - 2 * overlap
    value = measured(config)
    assert value > 0.1 and value == pytest.approx(expected, rel=1e-6)
    # Rounded, or against other real images, it is another number.
    assert abs(measured(CleanFid(**{**dict(config), "quantised": True})) / value - 1) > 1e-5
    assert abs(measured(CleanFid(**{**dict(config), "real_taken": "spread"})) / value - 1) > 1e-3
    protocol = build_metric(config, real, device="cpu", cache=None).protocol
    assert protocol.quantisation == "8 bits a channel of real images, none of generated ones"
    assert protocol.details == {"real images taken": "the first of the set"}
    assert protocol.resize == "bilinear without antialiasing (torch), 16 to 299"


def few_features(images: Tensor) -> Tensor:
    """Means of twelve blocks of pixels, in units of one level."""
    return nn.functional.avg_pool2d(images.float(), 8).flatten(1)


class Shown:
    """Stands for a generator: latents are the numbers of given images."""

    signal = Picture()

    def __init__(self, images: Tensor) -> None:
        self.images = images

    def __call__(self, z: Tensor) -> Tensor:
        return self.images[z]


def test_what_is_defined_of_8_bit_images_refuses_others() -> None:
    with pytest.raises(ValidationError, match="mode clean is of 8-bit images: set quantised to true"):
        CleanFid(mode="clean", quantised=False)
    assert not CleanFid(mode="legacy_tensorflow", quantised=False).quantised


class _Folder(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server on this machine that has a small network under the name of Inception's file: with 24 features, and zeros
    up to Inception's 2,048."""
    folder = tmp_path_factory.mktemp("host")
    torch.manual_seed(1)
    layers = (nn.Conv2d(3, 24, 8, stride=8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    saved(folder / identity.TORCHSCRIPT_INCEPTION, *layers, nn.ConstantPad1d((0, 2024), 0.0))
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Folder, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/{identity.TORCHSCRIPT_INCEPTION}"
        server.shutdown()
        thread.join()


def sha256_at(url: str) -> str:
    with urllib.request.urlopen(url) as answer:
        return hashlib.sha256(answer.read()).hexdigest()


def on_disk(folder: Path, shown: Tensor) -> Path:
    folder.mkdir()
    for index, image in enumerate(shown.permute(0, 2, 3, 1).numpy()):
        Image.fromarray(image).save(folder / f"{index:03d}.png")
    return folder


@pytest.mark.parametrize("mode", ["clean", pytest.param("legacy_tensorflow", marks=pytest.mark.slow)])
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_from_the_download_to_the_distance_it_is_clean_fids_compute_fid(
    mode: Literal["clean", "legacy_tensorflow"], host: str, no_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cleanfid import downloads_helper, features, fid, inception_torchscript

    monkeypatch.setattr(downloads_helper, "inception_url", host)
    monkeypatch.setattr(identity, "TORCHSCRIPT_SHA256", sha256_at(host))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    real, fake = images(0, 90, 24), images(1, 60, 24) // 2 + 40
    config = CleanFid(mode=mode, samples=60, real=40)
    value = build_metric(config, real, device="cpu", cache=no_weights)(iter(fake.split(25)))
    assert identity.inception_place(mode).is_file()

    # Of 90 real images 40, spread evenly. Inception's 2,048 dimensions would take scipy ten seconds and are zero here.
    compared = real[np.arange(40) * 90 // 40]
    theirs = fid.frechet_distance

    def of_the_few(m: np.ndarray, s: np.ndarray, n: np.ndarray, t: np.ndarray) -> float:
        assert not any(part[24:].any() for part in (m, s, n, t))
        return float(theirs(m[:24], s[:24, :24], n[:24], t[:24, :24]))

    def fetching(_: str, **options: bool) -> nn.Module:
        network: nn.Module = inception_torchscript.InceptionV3W(str(no_weights), **options)
        return network

    monkeypatch.setattr(fid, "frechet_distance", of_the_few)
    monkeypatch.setattr(features, "InceptionV3W", fetching)
    expected = fid.compute_fid(
        str(on_disk(no_weights / "fake", fake)),
        str(on_disk(no_weights / "real", compared)),
        mode=mode,
        num_workers=0,
        device=torch.device("cpu"),
        verbose=False,
        use_dataparallel=False,
    )
    assert value == pytest.approx(expected, rel=1e-4)
    assert value > 1e-3

    # A file that the variable names comes before the one that was fetched.
    named = no_weights / "named.pt"
    identity.inception_place(mode).rename(named)
    monkeypatch.setenv(identity.INCEPTION_VARIABLE, str(named))
    real_set._known.clear()
    with mock.patch.object(real_set.RealSet, "_extracted", side_effect=AssertionError("looked at once more")):
        assert build_metric(config, real, device="cpu", cache=no_weights)(iter([fake])) == pytest.approx(
            value, rel=1e-6
        )


def _no_route(*_: object, **__: object) -> Iterator[None]:
    raise urllib.error.URLError("no route to host")


@pytest.mark.parametrize("mode", ["clean", "legacy_tensorflow", "legacy_pytorch"])
def test_weights_that_cannot_be_had_are_one_line_before_training(
    mode: str, no_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.hub.download_url_to_file", _no_route)
    monkeypatch.setattr("urllib.request.urlopen", _no_route)
    with pytest.raises(InputError) as caught:
        build_metric(CleanFid(mode=mode), images(0, 4), device="cpu", cache=None)  # type: ignore[arg-type]
    message = str(caught.value)
    place = identity.inception_place(mode)
    for part in (place.name, str(place.parent), "no route to host", identity.INCEPTION_VARIABLE):
        assert part in message
    assert "\n" not in message


@pytest.fixture
def unread(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch reads no weights: those that it read would have run."""
    for module, name in ((torch.jit, "load"), (torch, "load")):
        monkeypatch.setattr(module, name, mock.Mock(side_effect=AssertionError("torch was given unchecked weights")))


@pytest.mark.usefixtures("unread")
def test_fetched_weights_are_checked_before_they_are_put_into_place(
    torchscript: Path, no_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("urllib.request.urlopen", lambda _: torchscript.with_suffix(".cut").open("rb"))
    place = identity.inception_place("clean")
    torchscript.with_suffix(".cut").write_bytes(torchscript.read_bytes()[:1000])
    with pytest.raises(InputError, match="what came is damaged"):
        inception_weights("clean")
    assert list(place.parent.iterdir()) == []

    torchscript.with_suffix(".cut").write_bytes(torchscript.read_bytes())
    assert inception_weights("clean") == place
    assert place.read_bytes() == torchscript.read_bytes()
    monkeypatch.setattr("urllib.request.urlopen", _no_route)
    assert inception_weights("clean") == place


@pytest.mark.usefixtures("unread")
def test_a_damaged_state_dict_is_not_kept(no_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(url: str, path: str, **_: object) -> None:
        Path(path).write_bytes(b"half of it")

    monkeypatch.setattr("torch.hub.download_url_to_file", damaged)
    with pytest.raises(InputError, match="what came is damaged"):
        inception_weights("legacy_pytorch")
    assert list(identity.inception_place("legacy_pytorch").parent.iterdir()) == []


@pytest.mark.usefixtures("unread")
@pytest.mark.parametrize("mode", ["clean", "legacy_tensorflow", "legacy_pytorch"])
def test_another_file_is_refused_before_torch_sees_it(
    mode: str, no_weights: Path, torchscript: Path, state_dict: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    garbage = no_weights / "garbage"
    garbage.write_text("weights?")
    of_another_mode = torchscript if mode == "legacy_pytorch" else state_dict
    for file, told in ((garbage, "has the sha256 "), (of_another_mode, "-2015-12-05")):
        monkeypatch.setenv(identity.INCEPTION_VARIABLE, str(file))
        for asked in (lambda: inception_weights(mode), lambda file=file: inception_features(mode, file, "cpu")):
            with pytest.raises(InputError) as caught:
                asked()
            said = str(caught.value)
            assert said.startswith(str(file)) and told in said and identity.inception_sha256(mode)[:12] in said
            assert f"mode {mode} needs {identity.inception_place(mode).name}" in said and "\n" not in said


@pytest.mark.usefixtures("unread")
def test_what_others_put_into_a_place_is_not_taken(no_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("urllib.request.urlopen", _no_route)
    place = identity.inception_place("clean")
    place.parent.mkdir()
    place.write_text("a program")
    assert identity.inception_file("clean") is None
    with pytest.raises(InputError, match="cannot be fetched"):
        inception_weights("clean")


def test_the_weights_are_in_the_users_own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("TORCH_HOME", raising=False)
    for mode in ("clean", "legacy_tensorflow", "legacy_pytorch"):
        assert identity.inception_place(mode).is_relative_to(tmp_path / "cache")


def test_a_variable_that_names_no_file_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(identity.INCEPTION_VARIABLE, str(tmp_path / "nowhere.pt"))
    with pytest.raises(InputError, match=r"INR_GAN_INCEPTION names .*nowhere\.pt, which is no file"):
        inception_weights("clean")


def test_the_usual_place_of_the_state_dict_is_torch_hubs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variable in ("TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv("TORCH_HOME", raising=False)
        monkeypatch.setenv(variable, str(tmp_path))
        checkpoints = Path(torch.hub.get_dir()) / "checkpoints"
        assert identity.inception_place("legacy_pytorch").parent == checkpoints


def test_the_hosts_are_those_that_clean_fid_fetches_from() -> None:
    from cleanfid.downloads_helper import inception_url
    from cleanfid.inception_pytorch import FID_WEIGHTS_URL

    assert FID_WEIGHTS_URL.split("/")[2] == identity.inception_host("legacy_pytorch")
    assert inception_url.split("/")[2] == identity.inception_host("clean")
    assert inception_url.split("/")[2] == identity.inception_host("legacy_tensorflow")
