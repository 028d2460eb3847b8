"""python -m namd run 04 --params params/quick.yaml [--params ...] [-p key=value]; python -m namd page ..."""

import argparse
import sys

from namd.errors import UserError


def _arguments(argv):
    parser = argparse.ArgumentParser(prog="python -m namd", description="NAMD, step by step.")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="execute one notebook of the series")
    run.add_argument("notebook", help="its number, e.g. 04")
    run.add_argument("--done", metavar="FILE", help="the done file Snakemake waits for")
    page = commands.add_parser("page", help="write index.html of a run")
    for command in (run, page):
        command.add_argument("--params", action="append", default=[], metavar="FILE",
                             help="parameter file laid over params/paper.yaml; repeatable")
        command.add_argument("-p", action="append", default=[], dest="pairs", metavar="KEY=VALUE",
                             help="one parameter; repeatable")
    return parser.parse_args(argv)


def main(argv=None):
    """Exit status: 0, or 1 after one sentence on stderr."""
    asked = _arguments(argv)
    try:
        from namd.study.series import PER_ARM, Job, Plan
        plan = Plan(asked.params, asked.pairs)
        if asked.command == "run":
            from namd.study.execute import run_job
            arm = plan.values["arm"] if asked.notebook in PER_ARM else None
            run_job(plan, Job(asked.notebook, arm), asked.done)
        else:
            from namd.study.page import write_page
            write_page(plan)
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted; the same command goes on from the last checkpoint.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
