"""python -m namd run 04 --params params/quick.yaml; why, page, dial, check, fetch, doctor, pretrain, predict, others"""

import argparse
import sys

from namd import commands as do
from namd.ground import console, words
from namd.ground.errors import UserError
from namd.ground.surroundings import refuse_another_checkout


class _Parser(argparse.ArgumentParser):
    """argparse that says what is wrong in one sentence, without a page of usage."""

    def error(self, message):
        raise UserError(f"{message}; `{self.prog} --help` says what there is.")


def _arguments(argv):
    parser = _Parser(prog="python -m namd", description="NAMD, step by step.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")

    run = _add(commands, "run", do.run, "execute one notebook of the series")
    run.add_argument("notebook", help="its number, e.g. 04")
    run.add_argument("--key", help="what decides it, as Snakemake planned it; a current notebook is then left alone")

    system = _add(commands, "system", do.system, "train one compared system; notebook 08 then finds it trained")
    system.add_argument("name", help="of namd/forecasters/systems, e.g. brlp")

    why = _add(commands, "why", do.why, "say whether a notebook is current, and what differs when it is not")
    why.add_argument("notebook", help="its number, e.g. 04")

    check = _add(commands, "check", do.check, "say what a run would be and what it still needs; exit 2 if anything")
    check.add_argument("--card", default="a40", help="GPU the hours are estimated for, e.g. a40, h200")

    for command in (run, system, why, check, *_add_readings(commands), _add_fetch(commands), _add_doctor(commands),
                    _add_pretrain(commands), _add_import(commands), _add_rehearse(commands)):
        _add_parameters(command)
    _add_predict(commands)
    _add_ship(commands)

    benchmark = _add(commands, "benchmark", do.benchmark, "our way against the common way, side by side")
    benchmark.add_argument("names", nargs="*", help="which of them; all when none is named")
    benchmark.add_argument("--repeats", type=int, default=7, help="interleaved repeats of each pair")
    benchmark.add_argument("--size", default="", choices=["", "paper"], metavar="paper",
                           help="the paper's widths on a CPU too (24 GB): the conditional step")

    return parser.parse_args(words.commas_apart(argv))


def _add_readings(commands):
    """The commands that write what is read or opened of a run."""
    page = _add(commands, "page", do.with_plan("namd.study.results.page", "write_page"),
                "write index.html of a run")
    reading = _add(commands, "reading", do.with_plan("namd.study.results.reading", "write_reading"),
                   "the executed notebooks of a run as an offline site (make reading)")
    lab = _add(commands, "lab", do.with_plan("namd.study.lab.server", "open_lab"),
               "JupyterLab on a working copy of the notebooks with these parameters (make lab)")
    course = _add(commands, "course", do.with_plan("namd.study.results.course.command", "write_course"),
                  "bundles for a class: without answers, and with them (make course)")
    dial = _add(commands, "dial", do.with_plan("namd.study.results.neighbours", "write_dial"),
                "table and figure of the runs along the phantom's dial (make dial)")
    cohorts = _add(commands, "cohorts", do.with_plan("namd.study.results.neighbours", "write_cohorts"),
                   "table and figure of the run on other patients (make cohorts)")
    reference = _add(commands, "reference", do.with_plan("namd.study.results.reference.command", "write_reference"),
                     "keep what a finished run says in outputs/reference/")
    return page, reading, lab, course, dial, cohorts, reference


def _add(commands, name, go, about):
    """A command, the function it calls, and what it does in a line of help."""
    command = commands.add_parser(name, help=about)
    command.set_defaults(go=go)
    return command


def _add_parameters(command):
    command.add_argument("--params", action="append", default=[], metavar="FILE",
                         help="parameter file laid over params/paper.yaml; repeatable")
    command.add_argument("-p", action="append", default=[], dest="pairs", metavar="KEY=VALUE",
                         help="one parameter; repeatable")


def _add_fetch(commands):
    fetch = _add(commands, "fetch", do.fetch, "open NLST, as much as the public lists name: params/open.yaml")
    fetch.add_argument("--dry-run", action="store_true", help="say how much it is, and stop")
    fetch.add_argument("--subjects", type=words.natural, default=0, metavar="N", help="a stratified sample of so many")
    fetch.add_argument("--whole-series", action="store_true", help="every slice, not those around the nodules alone")
    fetch.add_argument("--at-once", type=words.natural, default=16, metavar="N", help="series side by side; 16")
    return fetch


def _add_doctor(commands):
    doctor = _add(commands, "doctor", do.doctor, "what notebook 01 would keep and refuse of a delivery; writes nothing")
    doctor.add_argument("folder", metavar="DIR", help="tables (CSV), a list of nodules and CT series (DICOM)")
    doctor.add_argument("--full", action="store_true", help="decode the slice of each nodule too, not headers alone")
    return doctor


def _add_pretrain(commands):
    pretrain = _add(commands, "pretrain", do.pretrain, "train the small models that stand for downloads")
    pretrain.add_argument("--out", metavar="DIR", help="where they go; outputs/reference/models when neither this nor"
                          " any parameter is given, and then params/pretrain.yaml is read")
    pretrain.add_argument("names", nargs="*", help="which of them, e.g. small-aimv2; all when none is named")
    return pretrain


def _add_import(commands):
    added = _add(commands, "import", do.import_, "the authors' own checkpoints as a folder that predict and 05 open")
    added.add_argument("--authors", required=True, metavar="DIR", help="their U-Net and VAE (.ckpt), 42.pth and the"
                       " YAML with their scale_factor; or 42.pth alone, for the judge")
    added.add_argument("--out", metavar="DIR", help="the folder to write; pipeline_path when not given. Without"
                       " --params, params/authors.yaml is read")
    return added


def _add_rehearse(commands):
    rehearse = _add(commands, "rehearse", do.rehearse, "a run at its true size with random weights, two steps a stage")
    rehearse.add_argument("--steps", type=words.natural, default=2, metavar="N", help="of every loop; 2")
    rehearse.add_argument("--batch", type=words.natural, default=0, metavar="N", help="the largest one")
    rehearse.add_argument("--memory", type=words.gibibytes, metavar="GIB", help="of this machine that may be used")
    rehearse.add_argument("--until", default="predict", metavar="NN", help="the last stage: 01 to 08, or predict")
    rehearse.add_argument("--keep", action="store_true", help="leave what was built, below outputs/rehearsal/")
    return rehearse


def _add_predict(commands):
    predict = _add(commands, "predict", do.predict, "follow-ups of one nodule of a CT series; research only")
    predict.add_argument("--run", required=True, metavar="DIR", help="a finished run, e.g. outputs/quick, or a shipped"
                         " model, e.g. outputs/reference/models/namd-small")
    predict.add_argument("--arm", help="which trained arm of it; the main one when none is named")
    predict.add_argument("--series", required=True, metavar="DIR", help="folder of one CT series (DICOM)")
    predict.add_argument("--center", required=True, nargs=3, type=words.millimetres, metavar=("X", "Y", "Z"),
                         help="the nodule in mm, DICOM patient coordinates")
    predict.add_argument("--ehr", metavar="JSON", help="record of the 13 features; absent ones are unknown")
    predict.add_argument("-k", type=int, default=20, dest="k_runs", metavar="K", help="follow-ups to draw")
    predict.add_argument("--out", required=True, metavar="DIR", help="folder for images, maps and report")


def _add_ship(commands):
    ship = _add(commands, "ship", do.ship, "the trained pipeline of a finished run as a folder that needs no run")
    ship.add_argument("--run", required=True, metavar="DIR", help="a finished run, e.g. outputs/quick")
    ship.add_argument("--arm", help="which trained arm of it; the main one when none is named")
    ship.add_argument("--out", metavar="DIR", help="where the folder goes; outputs/reference/models when not given")
    ship.add_argument("--name", default="namd-small", help="of the folder; namd-small when not given")


def main(argv=None):
    """Exit status: 0, 1 after one sentence on stderr, 2 when `check` finds something missing, 130 interrupted."""
    try:
        asked = _arguments(sys.argv[1:] if argv is None else argv)
        refuse_another_checkout()
        return asked.go(asked) or 0
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    except ImportError as error:
        if (error.name or "").startswith("namd"):       # our own fault, not the environment's
            raise
        print(f"This environment lacks something ({error}): use .venv/bin/python, which `make study` sets up, or"
              " install requirements.lock.", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{error.filename or 'A file'} cannot be used ({error.strerror or error}): see that it is there, that you"
              " may read and write it, and start again.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted; the same command goes on from the last checkpoint.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    console.settle()
    sys.exit(main())
