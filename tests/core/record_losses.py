"""Records the losses that tests hold every union member to: `python -m tests.core.record_losses`."""

import json

import torch

from tests.core.conftest import small_config, smooth_images
from tests.core.test_train import MEMBERS, RECORDED, events_of, numbers


def main() -> None:
    torch.set_num_threads(1)
    images = smooth_images()
    recorded = {
        name: [round(value, 6) for value in numbers(events_of(small_config(**nodes), images))]
        for name, nodes in MEMBERS.items()
    }
    RECORDED.write_text(json.dumps(recorded, indent=1) + "\n")


if __name__ == "__main__":
    main()
