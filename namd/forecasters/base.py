"""The one interface behind every row of Table 1."""

from abc import ABC, abstractmethod


class Forecaster(ABC):
    """A system that draws follow-up images x2 from a baseline x1 and a record: NAMD, an ablation, a control.

    Source: ours, because rows can only be compared when cohort, split, judge and seeds are the same.
    """

    @abstractmethod
    def fit(self, pairs) -> None:
        """Learn from `pairs` (cohort.Pairs of train and val); nothing, for what knows or is trained elsewhere."""

    @abstractmethod
    def sample(self, x1, ehr, seeds):
        """Draw follow-ups.

        Args:
            x1: (N, 1, H, W) float32 in [-1, 1], baseline images.
            ehr: N records, indexed by pair_id, in the order of x1.
            seeds: K integers; a deterministic system ignores them and returns K = 1.

        Returns:
            x2_hat: (K, N, 1, H, W) float32 in [-1, 1]; draw (k, i) depends on seeds[k] and the pair_id alone.
        """
