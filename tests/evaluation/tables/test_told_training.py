"""Which weights a training kept, and what its last step would have given."""

import numpy as np
import pandas as pd
import pytest

from namd.evaluation.tables import told_training


@pytest.mark.parametrize(("losses", "said"), [
    ((0.5, 0.4, np.nan, 0.45), "0.400, is that of step 20; at the last step, 40, it is 0.450."),
    ((0.5, 0.4, np.nan, 0.3), "0.300, is that of step 40.")])
def test_the_lowest_validation_loss_is_of_a_step_and_a_later_rise_is_told(losses, said):
    history = pd.DataFrame({"step": [10, 20, 30, 40], "val_loss": losses})
    assert told_training.chosen(history) == f"The lowest validation loss, {said}"


def test_a_title_goes_from_the_first_reading_to_the_best():
    history = pd.DataFrame({"step": [10, 20, 30, 40], "val_loss": [np.nan, 0.5, 0.4, 0.45]})
    assert told_training.course(history) == "validation loss 0.500 at step 20, 0.400 at best"
