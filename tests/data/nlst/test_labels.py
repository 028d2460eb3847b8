"""The split by patient."""

import pandas as pd

from namd.data.nlst.labels import split_patients


def test_split_keeps_patients_together_and_shares_of_malignant():
    patients = [f"{i // 2:06d}" for i in range(400)]                # two nodules each
    label = [int(i // 2 < 40) for i in range(400)]
    split = split_patients(patients, label, 0.4, 0.25, 23)
    table = pd.DataFrame(dict(split=split)).rename_axis("patient").reset_index()
    malignant = table.patient.astype(int) < 40
    assert table[malignant].split.value_counts().to_dict() == dict(train=18, test=16, val=6)
    assert table[~malignant].split.value_counts().to_dict() == dict(train=72, test=64, val=24)
    assert split == split_patients(patients[::-1], label[::-1], 0.4, 0.25, 23)
    assert split != split_patients(patients, label, 0.4, 0.25, 24)


def test_a_patient_with_one_malignant_nodule_belongs_to_the_malignant_stratum():
    patients = [f"{i // 2:06d}" for i in range(80)]
    label = [int(i // 2 < 20 and i % 2) for i in range(80)]         # 20 patients with one of each, 20 with none
    for order in (slice(None), slice(None, None, -1)):
        split = split_patients(patients[order], label[order], 0.5, 0.2, 23)
        assert sum(split[f"{i:06d}"] == "test" for i in range(20)) == 10
        assert sum(split[f"{i:06d}"] == "val" for i in range(20)) == 2
