"""The stamp of a notebook: its parameters, code, versions, device, data, and the notebooks it follows."""

import platform
import resource
import sys

import torch

from namd.data.cohort import source_of
from namd.ground import order
from namd.ground.arms import Arm
from namd.ground.errors import UserError
from namd.ground.order import Job
from namd.ground.provenance import git_state, versions
from namd.ground.reading import read_json
from namd.study.need import commands, main_arm

FREE = {"device", "threads", "processes", "data_workers", "save_every", "eval_batch"}
ASKED_AGAIN = {"vae_path", "unet_path"}     # 01 asks of both whom they have seen; 02 and 03 ask it of their arm's own
SHOWN = ("python", "torch", "diffusers", "transformers")    # of the versions, in the printed stamp


def stamp(run):
    """The stamp of `run` (namd.study.notebook.Run), as it is written to runs/NN.json and printed."""
    commit, dirty = git_state()
    return dict(
        notebook=run.name, job=Job(run.number, run.arm).label, arm=run.arm,
        run_name=run.p.run_name, digest=run.digest, key=run.key,
        parameters=run.declared, commit=commit,
        uncommitted_changes=dirty or order.edited(run.number),
        versions={"python": platform.python_version(), **versions()},
        device=torch.cuda.get_device_name() if run.device.type == "cuda" else "cpu",
        threads=torch.get_num_threads(), dtype=run.declared.get("precision", "float32"),
        deterministic=torch.are_deterministic_algorithms_enabled(), synthetic=run.synthetic,
        source=_source(run), upstream=run.upstream, data=run.data)


def _source(run):
    """What the data of `run` are: phantom, NLST or what of it; before notebook 01 has ended only which of both."""
    manifest = run.root / "cohort" / "manifest.json"
    if run.synthetic or not manifest.is_file():
        return "phantom" if run.synthetic else "NLST"
    return source_of(read_json(manifest, "01", "synthetic"))


def stamp_text(said):
    """The five lines that `start` prints of a stamp; the versions of the other libraries stand in runs/NN.json."""
    arm = f" · arm {said['arm']}" if said["arm"] else ""
    state = " with uncommitted changes" if said["uncommitted_changes"] else ""
    libraries = " · ".join(f"{name} {said['versions'][name]}" for name in SHOWN)
    source = "synthetic: phantom data, not patients" if said["synthetic"] else said["source"]
    upstream = " · ".join(f"{job}: {key[:8]}" for job, key in said["upstream"].items()) or "none"
    return "\n".join([
        f"run       {said['run_name']}{arm} · notebook {said['notebook']} · parameters {said['digest']}",
        f"code      commit {said['commit']}{state} · {libraries}",
        f"device    {said['device']} · {said['threads']} thread(s) · {said['dtype']} · deterministic"
        f" · seed {said['parameters']['seed']}",
        f"data      {source}",
        f"upstream  {upstream}"])


def upstream(run):
    """Keys of the notebooks that `run` follows: {"02_aligned_vae · namd": key}.

    Raises:
        UserError: an earlier notebook of this run was made with another value of a shared parameter, or on
            another cohort.
    """
    found = {}
    before = order.before(run.number)
    for file in sorted([*run.root.glob("runs/*.json"), *run.root.glob("arms/*/runs/*.json")]):
        record = read_json(file, file.stem, "arm", "job", "key", "notebook", "parameters")
        arms = [run.arm] if run.arm else run.declared.get("compare_arms", [record["arm"]])
        if file.stem not in before or record["arm"] not in (None, *arms):
            continue
        if run.arm or not record["arm"]:
            _same_values(run, record)
        if record.get("data") != run.data:
            of = "another cohort than the one in cohort/" if run.data else "a cohort that is no longer in cohort/"
            how = commands(run.root, file.stem, record["arm"]) if run.data else commands(run.root, "01")
            raise UserError(f"{record['job']} of run {run.p.run_name} was made on {of}: {how}")
        if file.stem in order.AFTER[run.number]:
            found[record["job"]] = record["key"]
    return found


def _same_values(run, record):
    """Refuse to mix files that were made with other parameters.

    The data of an arm with a seed have the run's, and an arm may begin with weights of its own.
    """
    own = set()
    if run.arm and not record["arm"]:
        own |= ASKED_AGAIN
        if Arm.parse(run.arm, main_arm(run.root)).seed is not None:
            own.add("seed")
    for name in run.declared.keys() & record["parameters"].keys() - FREE - own:
        before = record["parameters"][name]
        now = run.declared[name]
        if before != now:
            raise UserError(f"{run.name} has {name}: {now}, but {record['notebook']} of run"
                            f" {run.p.run_name} was made with {before}; run that one again first,"
                            " or choose another run_name.")


def used(device):
    """What the process has taken at most: memory_gib, and gpu_memory_gib on a GPU."""
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30
    found = {"memory_gib": round(peak, 2)}
    if device.type == "cuda":
        found["gpu_memory_gib"] = round(torch.cuda.max_memory_allocated() / 2**30, 2)
    return found
