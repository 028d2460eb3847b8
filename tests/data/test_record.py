import pytest

from namd.data.record import read_record
from namd.ground.errors import UserError


@pytest.mark.parametrize("text, words", [
    ('{"age": 1', "is not JSON"), ("[1]", "no JSON object"), ('{"smoker": 1}', "smoker is no feature.*sct_pre_att"),
    ('{"sct_pre_att": 5}', r"sct_pre_att is 5; allowed: 1 \(Soft Tissue\), 2 .*9 \(Unable to determine\)"),
    ('{"gender": true}', r"gender is true; allowed: 1 \(Male\), 2 \(Female\)"),
    ('{"age": "66"}', 'age is "66"; allowed: whole years'), ('{"age": NaN}', "NaN is no number"),
    ('{"sct_long_dia": 201}', "sct_long_dia is 201; allowed: a number of mm"), ('{"diagemph": [1]}', r"\[1\]"),
    ('{"sct_long_dia": 5, "sct_perp_dia": 9}', "sct_perp_dia 9 is larger")])
def test_a_wrong_record_gets_one_sentence(tmp_path, text, words):
    (tmp_path / "ehr.json").write_text(text)
    with pytest.raises(UserError, match=words):
        read_record(tmp_path / "ehr.json")
