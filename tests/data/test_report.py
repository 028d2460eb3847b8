import numpy as np
import pandas as pd
import pytest

from namd.data.report import (
    EHR,
    FAMILY,
    NODULE,
    has_attributes,
    nodule_features,
    record_vector,
    report_text,
    report_texts,
)

FIGURE_4 = dict(sct_pre_att=3, sct_epi_loc=3, sct_long_dia=27.0, sct_perp_dia=20.0, sct_margins=1, age=68, diagemph=1,
                gender=1, famfather=0, fammother=1, fambrother=0, famsister=0, famchild=0)
NA = pd.NA


def frame(*rows):
    """Records with the types of a cohort: nullable codes, float32 diameters."""
    types = {name: "float32" if name.endswith("_dia") else "Int16" for name in EHR}
    return pd.DataFrame(list(rows))[EHR].astype(types)


def test_the_report_of_figure_4_word_for_word():
    assert report_text(FIGURE_4) == (
        "Lung cancer screening with low dose computed tomography performed for this 68 years old male with prior "
        "diagnosis of emphysema and family history of cancer. A part solid nodule, with spiculated margin, 27 mm in "
        "size is present in the right lower lobe.")
    assert report_texts(frame(FIGURE_4)) == [report_text(FIGURE_4)]
    assert report_texts(frame(FIGURE_4, FIGURE_4), "none") == ["", ""]


@pytest.mark.parametrize("change, words", [
    (dict(diagemph=0), "with no prior diagnosis of emphysema and family history"),
    (dict(diagemph=NA), "with unknown prior diagnosis of emphysema and"),
    (dict(fammother=0), "and no family history of cancer."),
    (dict(fammother=0, famchild=NA), "and unknown family history of cancer."),
    (dict(famchild=NA), "and family history of cancer."),
    (dict(age=NA), "for this male of unknown age with"),
    (dict(gender=NA), "for this 68 years old person of unknown gender with"),
    (dict(gender=2), "68 years old female"),
    (dict(sct_pre_att=9), "An unknown attenuation nodule,"), (dict(sct_pre_att=NA), "An unknown attenuation nodule,"),
    (dict(sct_pre_att=1), "A soft tissue nodule,"), (dict(sct_pre_att=4), "A fluid nodule,"),
    (dict(sct_margins=9), "with unknown margin,"), (dict(sct_margins=3), "with poorly defined margin,"),
    (dict(sct_long_dia=np.nan), "margin, of unknown size is present"), (dict(sct_long_dia=8.5), "8.5 mm in size"),
    (dict(sct_epi_loc=NA), "in the unknown lobe."), (dict(sct_epi_loc=5), "in the lingula."),
])
def test_what_is_missing_is_said_to_be_unknown(change, words):
    assert words in report_text({**FIGURE_4, **change})
    assert words in report_texts(frame({**FIGURE_4, **change}))[0]


def test_two_different_codes_are_at_distance_one():
    f, _ = nodule_features(frame(FIGURE_4, {**FIGURE_4, "sct_margins": 2}, {**FIGURE_4, "sct_epi_loc": 1})[NODULE],
                           "standardised")
    assert f.shape == (3, 18) and f.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(f[1:] - f[0], axis=1), [1, 1], rtol=1e-6)


def test_diameters_are_scored_on_the_log_scale_by_the_training_mean():
    train = frame({**FIGURE_4, "sct_long_dia": 4.0}, {**FIGURE_4, "sct_long_dia": 16.0})[NODULE]
    f, scale = nodule_features(train, "standardised")
    np.testing.assert_allclose(f[:, 0], [-1, 1], rtol=1e-5)          # log 4 and log 16 around log 8
    assert f[0, 1] == 0                                             # a constant column stays finite
    other = frame({**FIGURE_4, "sct_long_dia": 8.0}, {**FIGURE_4, "sct_long_dia": np.nan, "sct_pre_att": NA})[NODULE]
    g, same = nodule_features(other, "standardised", scale)
    np.testing.assert_allclose(g[:, 0], 0, atol=1e-5)
    assert same == scale and g[1, 2:8].sum() == 0 and g[0, 2:8].sum() == pytest.approx(np.sqrt(0.5))


def test_raw_features_are_the_numbers_of_the_table():
    f, scale = nodule_features(frame(FIGURE_4, {**FIGURE_4, "sct_margins": NA, "sct_long_dia": 9.0})[NODULE], "raw")
    np.testing.assert_allclose(f, [[3, 3, 27, 20, 1], [3, 3, 9, 20, 1]])
    assert scale.mean[2] == 18
    with pytest.raises(ValueError, match="standardised or raw"):
        nodule_features(frame(FIGURE_4)[NODULE], "log")


@pytest.mark.filterwarnings("error")
def test_a_column_that_nobody_has_is_nought_without_a_warning():
    nobody = frame(*[{**FIGURE_4, "age": NA, "sct_long_dia": np.nan, "sct_perp_dia": np.nan}] * 2)
    v, scale = record_vector(nobody)
    assert scale.mean == (0, 0, 0) and scale.std == (1, 1, 1) and (v[:, :3] == 0).all()
    for kind in ("raw", "standardised"):
        assert np.isfinite(nodule_features(nobody[NODULE], kind)[0]).all()


def test_a_nodule_has_attributes_where_one_of_five_is_known():
    nothing = FIGURE_4 | {name: NA for name in NODULE} | dict(sct_long_dia=np.nan, sct_perp_dia=np.nan)
    unable = nothing | dict(sct_pre_att=9, sct_margins=9)
    one = [nothing | {name: FIGURE_4[name]} for name in NODULE]
    assert has_attributes(frame(FIGURE_4, nothing, unable, *one)[NODULE]).tolist() == [True, False, False, *[True] * 5]


@pytest.mark.parametrize("kind", ["raw", "standardised"])
def test_a_feature_that_nobody_has_keeps_no_two_nodules_apart(kind):
    some = frame(FIGURE_4, FIGURE_4 | dict(sct_epi_loc=1, sct_margins=2), FIGURE_4 | dict(sct_long_dia=9.0))[NODULE]
    for name in NODULE:
        f, _ = nodule_features(some.assign(**{name: some[name].where(some.index < 0)}), kind)
        same = some.drop(columns=name)
        alike = [[same.iloc[i].equals(same.iloc[j]) for j in range(3)] for i in range(3)]
        assert np.array_equal((f[:, None] == f[None]).all(-1), alike)


def test_record_vector_flags_what_is_missing():
    empty = {name: NA for name in EHR} | dict(sct_long_dia=np.nan, sct_perp_dia=np.nan)
    v, scale = record_vector(frame(FIGURE_4, {**FIGURE_4, "age": 58, "gender": 2, "sct_margins": 9}, empty))
    assert v.shape == (3, 39) and not np.isnan(v).any() and len(scale.mean) == 3
    np.testing.assert_allclose(v[:, 2], [1, -1, 0])
    assert v[0, 26:].sum() == 0 and v[1, 26:].sum() == 1 and v[2, 26:].sum() == 13 and v[2, :26].sum() == 0
    assert v[0, 19:26].tolist() == [1, 0, 0, 1, 0, 0, 0] and v[1, 20] == 1      # emphysema, female, family
    assert FAMILY == EHR[8:]
