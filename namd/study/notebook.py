"""What every notebook calls: start, need, figure, table, panel, finish, check and show."""

import inspect
import textwrap
import time
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from IPython.display import HTML, SVG, Code, display

from namd.evaluation.figures import alt, example, plots, system_map
from namd.ground import contents, keys, marks, order, precision, process, slices, sources
from namd.ground.components import Components
from namd.ground.errors import DamagedError, UserError
from namd.ground.files import replacing, write_json
from namd.ground.paths import outputs_root
from namd.ground.provenance import cohort_digest
from namd.ground.reading import read_json
from namd.ground.surroundings import refuse_another_checkout
from namd.study import params, ranks
from namd.study.lab import progress
from namd.study.need import commands
from namd.study.panel import panel_table
from namd.study.stamp import stamp, stamp_text, upstream, used
from namd.training import parallel


def start(name, scope):
    """The run a notebook belongs to; sets threads, seeds, precision and determinism and prints the stamp.

    With `processes` above 1 it first trains the notebook's stage in that many (namd.study.ranks); loop.fit finds it.

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
    progress.watch()
    print(stamp_text(run.stamp))
    if declared.get("processes", 1) > 1 and parallel.world() == 1:
        ranks.launch(run)
    return run


class Run:
    """One notebook's place below outputs/, its parameters, what it reads and makes, and its stamp.

    Attributes:
        p: the declared parameters; arm: of 02 to 04, else None; device: torch.device.
        root: folder of the run; dir: where this notebook writes, root or root/arms/<arm>.
        reads: {path below root: digest} of what it used so far.
        digest: 8 letters for parameters, versions and data, written into figures and tables.
    """

    def __init__(self, name, declared):
        self.began = time.time()
        self.name = name
        self.number = name[:2]
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
        self.reads = {}
        self.results = set()
        self.contents = contents.Contents()
        self.data = None if self.number in (*order.ALONE, "01") else cohort_digest(self.root)   # 01 has yet to build it
        self.upstream = upstream(self)
        self.components = Components.of(self.number, declared)
        self.key = keys.sha(self.components.key, self.upstream, self.data)
        self.digest = keys.key(declared, {}, {"cohort": self.data})[:8]
        self.stamp = stamp(self)

    @property
    def synthetic(self):
        """True when the cohort of this run is phantom data, and in a notebook that reads no cohort."""
        manifest = self.root / "cohort" / "manifest.json"
        if manifest.is_file() and self.number not in order.ALONE:
            return bool(read_json(manifest, "01", "synthetic")["synthetic"])
        return getattr(self.p, "data_source", "phantom") == "phantom"

    def need(self, path, made_by="01"):
        """`path` (absolute, or below run.root) when it exists and is as it was written; it counts as read.

        Raises:
            UserError: it does not, or was changed or damaged; the sentence holds the command that makes it.
        """
        path = self.root / path
        changed = marks.changed(path)
        if path.exists() and not changed:
            return self.reading(path)
        shown = path.relative_to(self.root) if path.is_relative_to(self.root) else path.name
        arm = Path(shown).parts[1] if Path(shown).parts[0] == "arms" else self.arm
        command = commands(self.root, made_by, arm)
        if changed:
            raise DamagedError(f"{shown} of run {self.p.run_name} is not as notebook {made_by} wrote it ({changed.name}"
                               f" was changed or damaged): delete it and make it again: {command}")
        raise UserError(f"Run {self.p.run_name} has no {shown} yet; notebook {made_by} makes it: {command}")

    def reading(self, path):
        """`path` (absolute, or below run.root), there or not; it counts as read: another content, another result."""
        path = self.root / path
        if path.is_relative_to(self.root):
            self.reads[path.relative_to(self.root).as_posix()] = self.contents.digest(path)
        return path

    def reading_tables(self, number):
        """Count every table that notebook `number` made as read."""
        stamp = read_json(self.need(f"runs/{number}.json", number), number, "made")
        for path in stamp["made"]:
            if path.startswith("metrics/"):
                self.reading(path)

    def made(self, *paths):
        """Count files and folders (absolute, or below run.dir) as results: the notebook runs again when one is lost."""
        for path in paths:
            path = self.dir / path
            found = contents.files(path) if path.is_dir() else [path]
            self.results |= {file.relative_to(self.root).as_posix() for file in found}

    def trained_arms(self):
        """The arms of compare_arms that 02 to 04 have trained, and the main one; a sentence names each absent one.

        Only a notebook run by hand finds one absent: `namd.study.runner.execute` refuses to run it.
        """
        others = [arm for arm in self.p.compare_arms if arm != self.p.arm]
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

    def part_key(self, modules, reads, *given, parameters=()):
        """Names a part of this notebook's work, for parts that stay when others change.

        Args:
            modules: dotted names of those that do it; the parameters that they read count.
            reads: what it reads, below run.root, e.g. "cohort"; given: what else decides it.
            parameters: those that the notebook itself hands on; one that names weights counts by their content.
        """
        names = {*keys.deciding(modules, self.declared), *parameters}
        return keys.key(self._values(names), keys.code(*modules), self._digests(reads), *given)

    def _values(self, names):
        """Values of these parameters; of `device` the one that it comes to here, for auto says nothing."""
        values = {name: self.declared[name] for name in sorted(names)}
        if "device" in values:
            values["device"] = process.device(values["device"]).type
        return values

    def _digests(self, paths):
        for path in paths:
            self.reading(path)
        return {str(path): self.reads[str(path)] for path in paths}

    def map(self):
        """Show the map of the system, this notebook's parts marked."""
        if parallel.world() == 1:
            display(SVG(system_map.draw(self.number, example.read())), metadata=system_map.about(self.number))

    def figure(self, fig, name):
        """Show `fig` and save it as figures/<name>.png (150 dpi) with run name, digest and alternative text inside."""
        if parallel.world() > 1:    # the notebook draws it, once
            return
        path = self.dir / "figures" / f"{name}.png"
        text = alt.describe(fig, name)
        about = {"Title": name, "Description": text, "Source": f"run {self.p.run_name}, digest {self.digest}"}
        with plots.look(), replacing(path) as aside:
            fig.savefig(aside, dpi=150, bbox_inches="tight", metadata=about)
        self.made(path)
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
        self.made(path)
        return df

    def panel(self, rows, synthetic=None):
        """Show "paper reports / this run measured / comparable?" and write metrics/panel_NN.csv.

        Args:
            rows: as in namd.study.panel.panel_table; synthetic: whether they are of a phantom, where other data than
                the run's cohort count.
        """
        table = panel_table(rows, self.synthetic if synthetic is None else synthetic)
        self.table(table, f"panel_{self.number}")
        with pd.option_context("display.max_colwidth", None):
            display(HTML(table.to_html(index=False, border=0)))

    def finish(self, **numbers):
        """Write runs/NN.json: the stamp, `numbers`, what was read and made, wall time in seconds, memory in GiB."""
        record = {**self.stamp, "synthetic": self.synthetic, "numbers": numbers,
                  "seconds": round(time.time() - self.began, 1), **used(self.device)}
        if self.number == "01":
            record["data"] = cohort_digest(self.root)
        record["key"] = keys.sha(self.components.key, self.reads, record["data"])
        record |= dict(reads=self.reads, made=sorted(self.results))
        write_json(self.dir / "runs" / f"{self.number}.json", record)
        print(f"{self.name} finished in {record['seconds']:.0f} s, peak memory {record['memory_gib']:.1f} GiB.")


def check(what, holds, got=None):
    """Print "✓ what", or raise AssertionError with the value `got`."""
    seen = "" if got is None else f" (got {got})"
    if not bool(holds):
        raise AssertionError(f"✗ {what}{seen}")
    print(f"✓ {what}{seen}")


def show(thing):
    """Print the source of a function or class of the module, docstring included."""
    display(Code(textwrap.dedent(inspect.getsource(thing)), language="python"))
