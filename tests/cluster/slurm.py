"""A small Slurm on this machine: one controller, nodes on ports of their own, all below one folder.

    python tests/cluster/slurm.py start FOLDER          prints what to export
    python tests/cluster/slurm.py kill FOLDER NODE      its plug is pulled: the daemon, its jobs, all gone at once
    python tests/cluster/slurm.py begin FOLDER NODE     the node comes back
    python tests/cluster/slurm.py stop FOLDER

Debian's slurmctld, slurmd and slurm-client suffice: no munge, no database, no root. Each line of FOLDER/pids is a
daemon that this script began; it ends those, what they run, and nothing else.
"""

import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

PROGRAMS = ("slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol", "sinfo")
NODES = ("one", "two")
CONF = """ClusterName=namd
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/none
CredType=cred/none
StateSaveLocation={folder}/state
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmdSpoolDir={folder}/spool/%n
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SlurmdParameters=config_overrides
SlurmdTimeout=10
ReturnToService=2
MinJobAge=3600
SchedulerParameters=sched_interval=2,bf_interval=2
PartitionName=all Nodes=ALL Default=YES State=UP MaxTime=INFINITE
"""
NODE = "NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs={cpus} RealMemory=16000 State=UNKNOWN\n"


def lacking():
    """The programs of Slurm that are not installed here, in words; empty when all are."""
    gone = [name for name in PROGRAMS if shutil.which(name, path=_path()) is None]
    return f"no Slurm here ({', '.join(gone)}): apt-get install slurmctld slurmd slurm-client" if gone else ""


def surroundings(folder):
    """The environment in which Slurm's own programs find the one of `folder`."""
    path = os.pathsep.join([str(Path(folder).resolve() / "bin"), _path()])
    return {**os.environ, "SLURM_CONF": str(Path(folder).resolve() / "slurm.conf"), "PATH": path}


def start(folder, cpus=1):
    """Begin a controller and NODES of so many processors below `folder`, and wait until every node is idle."""
    folder = Path(folder).resolve()
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    host = socket.gethostname()
    text = CONF.format(folder=folder, host=host, user=getpass.getuser(), port=_free_port())
    text += "".join(NODE.format(name=name, host=host, port=_free_port(), cpus=cpus) for name in NODES)
    (folder / "slurm.conf").write_text(text)
    _write_srun(folder)
    _daemon(folder, "slurmctld", "-D")
    for name in NODES:
        begin_node(folder, name)
    _until(lambda: set(say(folder, "sinfo", "-h", "-N", "-o", "%T").split()) == {"idle"}, folder, "every node is idle")


def _write_srun(folder):
    """An srun that knows where this Slurm is: Snakemake starts it without SLURM_CONF, as most clusters need none."""
    file = folder / "bin" / "srun"
    file.parent.mkdir(exist_ok=True)
    file.write_text(f'#!/bin/sh\nSLURM_CONF={folder}/slurm.conf exec {shutil.which("srun", path=_path())} "$@"\n')
    file.chmod(0o755)


def begin_node(folder, name):
    """Start the daemon of a node."""
    _daemon(Path(folder).resolve(), "slurmd", "-D", "-N", name)


def kill(folder, name):
    """End the daemon of a node and all that it runs, without a word to them."""
    daemons = [pid for program, pid in _begun(folder) if program == f"slurmd {name}"]
    _end([*daemons, *_jobs_of(folder, name)])


def stop(folder):
    """End every daemon that this script began, and what they run."""
    for name in NODES:
        kill(folder, name)
    _end([pid for _, pid in _begun(folder)])
    (Path(folder) / "pids").unlink(missing_ok=True)


def say(folder, *words):
    """What one of Slurm's own programs prints."""
    return subprocess.run(words, env=surroundings(folder), capture_output=True, text=True).stdout


def _path():
    return os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _daemon(folder, program, *words):
    said = (folder / f"{program}.out").open("a")
    process = subprocess.Popen([program, *words], env=surroundings(folder), stdout=said, stderr=said,
                               start_new_session=True)
    name = f"{program} {words[-1]}" if program == "slurmd" else program
    with (folder / "pids").open("a") as pids:
        pids.write(f"{process.pid} {name}\n")


def _begun(folder):
    """(program, process number) of the daemons that this script began and that still run."""
    file = Path(folder) / "pids"
    lines = file.read_text().splitlines() if file.is_file() else []
    found = [(line.partition(" ")[2], int(line.partition(" ")[0])) for line in lines]
    return [(program, pid) for program, pid in found
            if _read(Path("/proc", str(pid), "cmdline")).startswith(program.split()[0].encode())]


def _jobs_of(folder, name):
    """Process numbers of what a node runs: first the daemons of its jobs, which would tell the controller."""
    mine = {f"SLURM_CONF={Path(folder).resolve()}/slurm.conf".encode(), f"SLURMD_NODENAME={name}".encode()}
    alive = Path("/proc").glob("[0-9]*")
    found = [process for process in alive if mine <= set(_read(process / "environ").split(b"\0"))]
    above = {field for process in found for field in _read(process / "stat").rpartition(b")")[2].split()[1:2]}
    stewards = [pid for pid in above if _read(Path("/proc", pid.decode(), "cmdline")).startswith(b"slurmstepd")]
    return [int(pid) for pid in (*stewards, *(process.name for process in found))]


def _read(file):
    """Bytes of a file below /proc; none of a process that has ended meanwhile."""
    try:
        return file.read_bytes()
    except OSError:
        return b""


def _end(pids):
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _until(holds, folder, what, seconds=30):
    end = time.time() + seconds
    while not holds():
        if time.time() > end:
            raise TimeoutError(f"not before {seconds} s: {what}; see {folder}/*.log and *.out")
        time.sleep(0.2)


if __name__ == "__main__":
    verb, *rest = sys.argv[1:]
    {"start": start, "kill": kill, "begin": begin_node, "stop": stop}[verb](*rest)
    if verb == "start":
        place = Path(rest[0]).resolve()
        print(f"export SLURM_CONF={place}/slurm.conf PATH={place}/bin:$PATH:/usr/sbin")
