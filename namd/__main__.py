"""python -m namd run 04 --params params/quick.yaml | page | dial | cohorts | check | predict | course | benchmark"""

import argparse
import sys

from namd.ground import console
from namd.ground.errors import UserError
from namd.ground.surroundings import refuse_another_checkout


def _arguments(argv):
    parser = argparse.ArgumentParser(prog="python -m namd", description="NAMD, step by step.")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="execute one notebook of the series")
    run.add_argument("notebook", help="its number, e.g. 04")
    run.add_argument("--done", metavar="FILE", help="the done file Snakemake waits for")
    page = commands.add_parser("page", help="write index.html of a run")
    dial = commands.add_parser("dial", help="table and figure of the runs along the phantom's dial (make dial)")
    cohorts = commands.add_parser("cohorts", help="table and figure of the run on other patients (make cohorts)")
    check = commands.add_parser("check", help="say what a run would be and what it still needs; exit 2 if anything")
    check.add_argument("--card", default="a40", help="GPU the hours are estimated for, e.g. a40, h200")
    for command in (run, page, dial, cohorts, check):
        command.add_argument("--params", action="append", default=[], metavar="FILE",
                             help="parameter file laid over params/paper.yaml; repeatable")
        command.add_argument("-p", action="append", default=[], dest="pairs", metavar="KEY=VALUE",
                             help="one parameter; repeatable")
    predict = commands.add_parser("predict", help="follow-ups of one nodule of a CT series; research only")
    predict.add_argument("--run", required=True, metavar="DIR", help="a finished run, e.g. outputs/quick")
    predict.add_argument("--arm", default="namd", help="which trained arm of it")
    predict.add_argument("--series", required=True, metavar="DIR", help="folder of one CT series (DICOM)")
    predict.add_argument("--center", required=True, metavar="X,Y,Z",
                         help="the nodule in mm, DICOM patient coordinates")
    predict.add_argument("--ehr", metavar="JSON", help="record of the 13 features; absent ones are unknown")
    predict.add_argument("-k", type=int, default=20, dest="k_runs", metavar="K", help="follow-ups to draw")
    predict.add_argument("--out", required=True, metavar="DIR", help="folder for images, maps and report")
    commands.add_parser("course", help="the notebooks without their solutions (make course)")
    benchmark = commands.add_parser("benchmark", help="our way against the common way, side by side")
    benchmark.add_argument("names", nargs="*", help="which of them; all when none is named")
    benchmark.add_argument("--repeats", type=int, default=7, help="interleaved repeats of each pair")
    return parser.parse_args(_join_center(sys.argv[1:] if argv is None else argv))


def _join_center(argv):
    """`--center -60,12,-310` as one word, because argparse takes a leading minus for an option."""
    at = argv.index("--center") if "--center" in argv[:-1] else None
    return argv if at is None else [*argv[:at], f"--center={argv[at + 1]}", *argv[at + 2:]]


def _go(asked):
    """Exit status of the command; the heavy imports wait until it is known which."""
    refuse_another_checkout()
    if asked.command == "predict":
        from namd.predict import predict
        return predict(asked.run, asked.series, asked.center, asked.ehr, asked.k_runs, asked.out, asked.arm)
    if asked.command == "benchmark":
        from namd.study.benchmark import run_benchmarks
        return run_benchmarks(asked.names, asked.repeats)
    if asked.command == "course":
        from namd.study.results.course import write_course
        return write_course()
    from namd.ground.order import PER_ARM
    from namd.study.runner.plan import Job, Plan
    plan = Plan(asked.params, asked.pairs)
    if asked.command == "check":
        from namd.study.preflight.check import check_run
        return check_run(plan, asked.card)
    if asked.command == "run":
        from namd.study.runner.execute import run_job
        arm = plan.values["arm"] if asked.notebook in PER_ARM else None
        run_job(plan, Job(asked.notebook, arm), asked.done)
    elif asked.command in ("dial", "cohorts"):
        from namd.study.results.neighbours import write_cohorts, write_dial
        (write_dial if asked.command == "dial" else write_cohorts)(plan)
    else:
        from namd.study.results.page import write_page
        write_page(plan)
    return 0


def main(argv=None):
    """Exit status: 0, 1 after one sentence on stderr, 2 when `check` finds something missing, 130 interrupted."""
    try:
        return _go(_arguments(argv)) or 0
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
