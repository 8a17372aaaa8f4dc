"""What is asked of networks and models before training."""

import numpy as np
import torch

from semanticcmc.evaluation.config import ActivationsConfig
from semanticcmc.evaluation.rdm_files import frame_features
from semanticcmc.films.files import Frame, merge_index, write_film
from semanticcmc.films.store import FrameStore


class Halves(torch.nn.Module):
    """A network whose only layer is the mean colour of the two halves of an image."""

    def activations(self, images):
        return {"halves": torch.stack([half.float().mean((2, 3)) for half in images.chunk(2, dim=3)], dim=2)}


def test_features_of_frames_in_the_order_of_the_index(tmp_path):
    generator = np.random.default_rng(0)
    for movie_id, height in (("a", 32), ("b", 48)):  # films of two shapes
        colours = generator.integers(0, 256, (5, 2, 3), dtype=np.uint8)
        images = colours.repeat(32, axis=1)[:, None].repeat(height, axis=1)
        write_film(tmp_path, movie_id, (Frame(t, t, t, image) for t, image in enumerate(images)), 95)
    merge_index(tmp_path)
    store = FrameStore(tmp_path)
    config = ActivationsConfig(("halves",), False, 2, 1024, 2, 1)
    found = frame_features(store, Halves(), "halves", config)
    expected = [
        [[half.mean() for half in np.array_split(channel, 2, axis=1)] for channel in image.transpose(2, 0, 1)]
        for image in (store.read(m, t) for m in store.movies for t in store.times(m))
    ]
    np.testing.assert_allclose(found, np.reshape(expected, (10, 6)), rtol=1e-5)
