"""What every notebook calls: start, need, figure, table, panel, finish, check and show."""

import inspect
import platform
import resource
import sys
import textwrap
import time
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import torch
from IPython.display import HTML, Code, display

from namd.evaluation.figures import alt, plots
from namd.ground import keys, marks, order, precision, process, provenance, slices, sources
from namd.ground.errors import DamagedError, UserError
from namd.ground.files import replacing, write_json
from namd.ground.paths import outputs_root
from namd.ground.provenance import cohort_digest, git_state, versions
from namd.ground.reading import read_json
from namd.ground.surroundings import refuse_another_checkout
from namd.study import params, ranks
from namd.study.need import commands
from namd.study.runner import plan
from namd.training import parallel

FREE = {"device", "threads", "processes", "data_workers", "save_every", "eval_batch"}
PANEL = ("quantity", "paper", "here", "n", "k", "comparable", "why")


def start(name, scope):
    """The run a notebook belongs to; sets threads, seeds, precision and determinism and prints the stamp.

    With `processes` above 1 it also trains the notebook's stage in that many processes (namd.study.ranks), before
    anything is loaded here; the notebook's own loop.fit then finds the finished checkpoint.

    Args:
        name: the notebook's file name without suffix, e.g. "02_aligned_vae".
        scope: the notebook's globals(); every parameter of params/paper.yaml found there is taken.

    Raises:
        UserError: a value of the parameters cell is of the wrong type, out of range or contradicts another; a process
            failed; or the code is another checkout's.

    Source: ours, because a result without its parameters, code and data source cannot be repeated.
    """
    refuse_another_checkout()
    declared = vars(params.declared(scope, f"the parameters cell of {name}"))
    missing = {"run_name", "seed", "device", "threads"} - set(declared)
    if missing:
        raise UserError(f"The parameters cell of {name} lacks {', '.join(sorted(missing))}.")
    run = Run(name, declared)
    print(run.stamp_text())
    if declared.get("processes", 1) > 1 and parallel.world() == 1:
        ranks.launch(run)
    return run


class Run:
    """One notebook's place below outputs/, its parameters and its stamp."""

    def __init__(self, name, declared):
        self.began = time.time()
        self.name, self.number = name, name[:2]
        self.declared = declared
        self.p = params.Parameters.part(declared)
        self.arm = declared.get("arm") if self.number in order.PER_ARM else None
        self.root = outputs_root() / self.p.run_name
        self.dir = self.root / "arms" / self.arm if self.arm else self.root
        marks.begin(self.root)
        self.dir.mkdir(parents=True, exist_ok=True)
        self.device = process.device(self.p.device)
        process.settle(self.p.seed, self.p.threads, name)
        precision.set_arithmetic(declared.get("precision", "float32"))
        self.data = cohort_digest(self.root) if self.number != "01" else None       # 01 has yet to build it
        self.upstream = self._upstream(declared)
        self.key = keys.work_key(self.number, declared, self.upstream)
        self.digest = self.key[:8]
        self.stamp = self._stamp(declared)

    @property
    def synthetic(self):
        """True when the cohort of this run is phantom data."""
        manifest = self.root / "cohort" / "manifest.json"
        if manifest.is_file():
            return bool(read_json(manifest, "01", "synthetic")["synthetic"])
        return getattr(self.p, "data_source", "phantom") == "phantom"

    def _upstream(self, declared):
        """Work keys of the notebooks this one follows: {"02_aligned_vae · namd": key}.

        Raises:
            UserError: an earlier notebook of this run was made with another value of a shared parameter, or on
                another cohort.
        """
        found, before = {}, order.before(self.number)
        for file in sorted([*self.root.glob("runs/*.json"), *self.root.glob("arms/*/runs/*.json")]):
            record = read_json(file, file.stem, "arm", "job", "key", "notebook", "parameters")
            arms = [self.arm] if self.arm else declared.get("compare_arms", [record["arm"]])
            if file.stem not in before or record["arm"] not in (None, *arms):
                continue
            if self.arm or not record["arm"]:
                self._same_values(record, declared)
            if record.get("data") != self.data:
                raise UserError(f"{record['job']} of run {self.p.run_name} was made on another cohort than the one in"
                                f" cohort/: {commands(self.root, file.stem, record['arm'])}")
            if file.stem in order.AFTER[self.number]:
                found[record["job"]] = record["key"]
        return found

    def _same_values(self, record, declared):
        """Refuse to mix files that were made with other parameters."""
        own = {"seed"} if self.arm and "-seed" in self.arm and not record["arm"] else set()
        for name in declared.keys() & record["parameters"].keys() - FREE - own:
            before, now = record["parameters"][name], declared[name]
            if before != now:
                raise UserError(f"{self.name} has {name}: {now}, but {record['notebook']} of run"
                                f" {self.p.run_name} was made with {before}; run that one again first,"
                                " or choose another run_name.")

    def _stamp(self, declared):
        commit, dirty = git_state()
        kind = torch.cuda.get_device_name() if self.device.type == "cuda" else "cpu"
        return dict(
            notebook=self.name, job=plan.Job(self.number, self.arm).label, arm=self.arm,
            run_name=self.p.run_name, digest=self.digest, key=self.key,
            parameters=declared, commit=commit, uncommitted_changes=dirty,
            versions={"python": platform.python_version(), **versions()},
            device=kind, threads=torch.get_num_threads(), dtype=declared.get("precision", "float32"),
            deterministic=torch.are_deterministic_algorithms_enabled(), synthetic=self.synthetic,
            upstream=self.upstream, data=self.data)

    def stamp_text(self):
        """The five lines printed by start()."""
        s = self.stamp
        arm = f" · arm {self.arm}" if self.arm else ""
        state = " with uncommitted changes" if s["uncommitted_changes"] else ""
        versions = " · ".join(f"{k} {v}" for k, v in s["versions"].items())
        source = "synthetic: phantom data, not patients" if s["synthetic"] else "NLST delivery"
        upstream = " · ".join(f"{k}: {v[:8]}" for k, v in s["upstream"].items()) or "none"
        return "\n".join([
            f"run       {self.p.run_name}{arm} · notebook {self.name} · parameters {self.digest}",
            f"code      commit {s['commit']}{state} · {versions}",
            f"device    {s['device']} · {s['threads']} thread(s) · {s['dtype']} · deterministic"
            f" · seed {self.p.seed}",
            f"data      {source}",
            f"upstream  {upstream}"])

    def need(self, path, made_by="01"):
        """`path` (absolute, or below run.root) when it exists and is as it was written.

        Raises:
            UserError: it does not, or was changed or damaged; the sentence holds the command that makes it.
        """
        path = self.root / path
        changed = marks.changed(path)
        if path.exists() and not changed:
            return path
        shown = path.relative_to(self.root) if path.is_relative_to(self.root) else path.name
        arm = Path(shown).parts[1] if Path(shown).parts[0] == "arms" else self.arm
        command = commands(self.root, made_by, arm)
        if changed:
            raise DamagedError(f"{shown} of run {self.p.run_name} is not as notebook {made_by} wrote it ({changed.name}"
                               f" was changed or damaged): delete it and make it again: {command}")
        raise UserError(f"Run {self.p.run_name} has no {shown} yet; notebook {made_by} makes it: {command}")

    def trained_arms(self):
        """The arms of compare_arms that 02 to 04 have trained, and the first; one sentence names the absent ones.

        Only a notebook run by hand finds one absent: `namd.study.runner.execute` refuses to run it.
        """
        first, *others = self.p.compare_arms
        absent = [arm for arm in others if not (self.root / "arms" / arm / "runs" / "04.json").is_file()]
        for arm in absent:
            print(f"The arm {arm} is not trained in this run, so its rows are left out. To have them:"
                  f" {commands(self.root, '04', arm)}")
        return [arm for arm in self.p.compare_arms if arm not in absent]

    def training_key(self):
        """Names the training of 02, 03 or 04: the part of the notebook that it depends on, and what that reads.

        Source: ours, because an edited figure, table or exercise is no reason to train again.
        """
        source = slices.sliced(self.number)
        modules = sources.imported(source)
        names = {*slices.used(source, self.declared), *keys.deciding(modules, self.declared)}
        code = {**keys.code(*modules), "cells": sources.digest(source)}
        arm = self.dir.relative_to(self.root)
        reads = [path.format(arm=arm) for path in order.TRAINS_ON[self.number]]
        return keys.key(self._values(names), code, self._digests(reads))

    def part_key(self, modules, reads, *given):
        """Names a part of this notebook's work, for parts that stay when others change.

        Args:
            modules: dotted names of those that do it; the parameters that they read count.
            reads: what it reads, below run.root, e.g. "cohort"; given: what else decides it.
        """
        names = keys.deciding(modules, self.declared)
        return keys.key(self._values(names), keys.code(*modules), self._digests(reads), *given)

    def _values(self, names):
        return {name: self.declared[name] for name in sorted(names)}

    def _digests(self, paths):
        return {str(path): provenance.digest(self.root / path) for path in paths}

    def figure(self, fig, name):
        """Show `fig` and save it as figures/<name>.png (150 dpi) with run name, digest and alternative text inside."""
        if parallel.world() > 1:    # the notebook draws it, once
            return
        path, text = self.dir / "figures" / f"{name}.png", alt.describe(fig, name)
        about = {"Title": name, "Description": text, "Source": f"run {self.p.run_name}, digest {self.digest}"}
        with plots.look(), replacing(path) as aside:
            fig.savefig(aside, dpi=150, bbox_inches="tight", metadata=about)
        with plots.look():
            display(fig, metadata={"image/png": {"alt": text}})
        plt.close(fig)

    def table(self, df, name):
        """Write `df` as metrics/<name>.csv with columns run_name and digest; returns `df`."""
        if parallel.world() > 1:
            return df
        path = self.dir / "metrics" / f"{name}.csv"
        flat = df if isinstance(df.index, pd.RangeIndex) else df.reset_index()
        with replacing(path) as aside:
            flat.assign(run_name=self.p.run_name, digest=self.digest).to_csv(aside, index=False)
        return df

    def panel(self, rows):
        """Show "paper reports / this run measured / comparable?" and write metrics/panel_NN.csv.

        Args:
            rows: dicts with quantity, paper, here, n, k, comparable (bool) and why (text).

        Raises:
            ValueError: a row has other keys.
        """
        for row in rows:
            if set(row) - set(PANEL) or {"quantity", "paper", "here"} - set(row):
                raise ValueError(f"a panel row has the keys {', '.join(PANEL)}, not {sorted(row)}")
        table = pd.DataFrame([self._panel_row(row) for row in rows])
        self.table(table, f"panel_{self.number}")
        with pd.option_context("display.max_colwidth", None):
            display(HTML(table.to_html(index=False, border=0)))

    def _panel_row(self, row):
        comparable, why = bool(row.get("comparable")), row.get("why", "")
        if self.synthetic:
            comparable, why = False, why or "phantom data"
        verdict = "yes" if comparable else "not comparable"
        return {"quantity": row["quantity"], "paper": row["paper"], "this run": row["here"],
                "n": row.get("n", ""), "K": row.get("k", ""),
                "comparable?": f"{verdict}: {why}" if why else verdict}

    def finish(self, **numbers):
        """Write runs/NN.json: the stamp, `numbers`, wall time in seconds and peak memory in GiB."""
        unit = 1 if sys.platform == "darwin" else 1024
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30
        record = {**self.stamp, "synthetic": self.synthetic, "numbers": numbers,
                  "seconds": round(time.time() - self.began, 1), "memory_gib": round(peak, 2)}
        if self.device.type == "cuda":
            record["gpu_memory_gib"] = round(torch.cuda.max_memory_allocated() / 2**30, 2)
        if self.number == "01":
            record["data"] = cohort_digest(self.root)
            record["key"] = keys.with_data(self.key, record["data"])
        write_json(self.dir / "runs" / f"{self.number}.json", record)
        print(f"{self.name} finished in {record['seconds']:.0f} s, peak memory {peak:.1f} GiB.")


def check(what, holds, got=None):
    """Print "✓ what", or raise AssertionError with the value `got`."""
    seen = "" if got is None else f" (got {got})"
    if not bool(holds):
        raise AssertionError(f"✗ {what}{seen}")
    print(f"✓ {what}{seen}")


def show(thing):
    """Print the source of a function or class of the module, docstring included."""
    display(Code(textwrap.dedent(inspect.getsource(thing)), language="python"))
