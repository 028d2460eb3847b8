"""metrics/latent_space.csv: a latent that holds the size is ordered by it, and perplexity counts its neighbours."""

import numpy as np

from namd.evaluation.tables import latent_space


def test_order_and_neighbours_of_each_view():
    rng = np.random.default_rng(1)
    size = rng.normal(size=60)
    views = {"pooled": rng.normal(size=(60, 4)), "flat": np.stack([size, size], axis=1)}
    table = latent_space.scores(size, views, np.arange(60), 16, 100.0, 1.0).set_index(["view", "quantity"])["value"]
    assert table["flat", "knn_r2"] > 0.6 and table["flat", "linear_r2"] > 0.99
    assert table["pooled", "knn_r2"] < 0.3
    assert np.isclose(table["flat", "perplexity_z"], 15, atol=0.1)      # so wide that all 15 others count alike
