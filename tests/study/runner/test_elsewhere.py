"""Jobs on other machines: which executors can have them, and what is said here of each job."""

import logging
import sys
from types import SimpleNamespace

import pytest
from snakemake_interface_executor_plugins.settings import CommonSettings
from snakemake_interface_logger_plugins.common import LogEvent

from namd.ground.errors import UserError
from namd.study.runner import elsewhere


def test_an_executor_without_its_plugin_is_one_sentence():
    assert elsewhere.executor(["--cores", "2"]) == elsewhere.executor(["--executor", "local"]) == ""
    with pytest.raises(UserError, match="pip install snakemake-executor-plugin-no-such"):
        elsewhere.executor(["--jobs", "2", "--executor", "no-such"])


@pytest.mark.parametrize("apart", [True, False])
def test_an_executor_whose_jobs_have_no_folder_in_common_is_refused(apart, monkeypatch, tmp_path):
    (tmp_path / "snakemake_executor_plugin_a_cloud.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    settings = CommonSettings(non_local_exec=True, implies_no_shared_fs=apart, job_deploy_sources=False)
    module = __import__("snakemake_executor_plugin_a_cloud")
    monkeypatch.setattr(module, "common_settings", settings, raising=False)
    if not apart:
        assert elsewhere.executor(["--executor", "a-cloud"]) == "a-cloud"
        return
    with pytest.raises(UserError, match="no folder in common"):
        elsewhere.executor(["--executor", "a-cloud"])
    monkeypatch.delitem(sys.modules, "snakemake_executor_plugin_a_cloud")


def say(event, **more):
    return logging.makeLogRecord(dict(event=event, **more))


def test_each_job_is_told_when_it_goes_ends_and_fails(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    herald = elsewhere.Herald()
    (tmp_path / "02.namd.log").write_text("02_vae · namd · starts\nThe disk is full.\n\n")
    job = SimpleNamespace(jobid=7, log=["02.namd.log"], local=False)
    assert herald.filter(say(LogEvent.JOB_INFO, **vars(job)))
    herald.filter(say(LogEvent.JOB_INFO, jobid=8, log=["page.log"], local=True))
    herald.filter(say(LogEvent.JOB_ERROR, jobid=7, rule_msg="NODE_FAIL. For more see\nthere", log=["02.namd.log"]))
    herald.filter(say(LogEvent.JOB_FINISHED, job_id=8))
    (tmp_path / "02.namd.log").write_text("02_vae · namd · done in 3 s\n")
    herald.filter(say(LogEvent.JOB_FINISHED, job_id=7))
    assert capsys.readouterr().out.splitlines() == [
        "02.namd · handed over", "02.namd · failed: The disk is full. / NODE_FAIL", "02_vae · namd · done in 3 s"]
