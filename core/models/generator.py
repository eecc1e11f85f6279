"""From INR parameters to images: one image is one INR, rendered at any resolution."""

from torch import Tensor, nn

from core import config as cfg
from core.models.hypernetwork import Hypernetwork
from core.models.inr import Inr, LayerFactory, coordinates_at, pixel_coordinates


class Renderer(nn.Module):
    """INR parameters -> image. Renders at `resolution` unless told otherwise."""

    coords_P2: Tensor

    def __init__(self, config: cfg.Inr, resolution: int, hidden_layer: LayerFactory) -> None:
        super().__init__()
        self.coordinates = config.coordinates
        self.resolution = resolution
        self.inr = Inr(config, hidden_layer)
        self.register_buffer("coords_P2", pixel_coordinates(resolution, self.coordinates), persistent=False)
        if config.init == "unit":
            self.inr.calibrate(self.coords_P2)

    def render(self, emitted_BE: Tensor, resolution: int | None = None) -> Tensor:
        """Images [B, 3, R, R] in (-1, 1) of emitted parameters."""
        size = resolution or self.resolution
        coords = self.coords_P2
        if size != self.resolution:
            coords = pixel_coordinates(size, self.coordinates).to(emitted_BE.device)
        return self._images(emitted_BE, coords, size)

    def render_at(self, emitted_BE: Tensor, position_S: Tensor) -> Tensor:
        """Images [B, 3, S, S] of emitted parameters at columns and rows `position_S`, in pixels of `resolution`.

        Position i, whole, is pixel i of the image that `render` makes.
        """
        coords = coordinates_at(position_S, self.resolution, self.coordinates).to(emitted_BE.device)
        return self._images(emitted_BE, coords, len(position_S))

    def _images(self, emitted_BE: Tensor, coords_P2: Tensor, size: int) -> Tensor:
        rgb_BP3: Tensor = self.inr(emitted_BE, coords_P2)
        return rgb_BP3.transpose(1, 2).reshape(-1, 3, size, size)


class Generator(Renderer):
    """The generator of INR-GAN: z -> INR parameters -> image."""

    def __init__(
        self, config: cfg.Inr, resolution: int, hidden_layer: LayerFactory, hypernetwork: cfg.Hypernetwork
    ) -> None:
        super().__init__(config, resolution, hidden_layer)
        self.hypernetwork = Hypernetwork(hypernetwork, self.inr.sizes)

    def forward(self, z_BZ: Tensor, resolution: int | None = None) -> Tensor:
        """Images [B, 3, R, R] in (-1, 1) of latents [B, latent_dim]."""
        return self.render(self.hypernetwork(z_BZ), resolution)
