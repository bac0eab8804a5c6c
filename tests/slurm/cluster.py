"""Start munged, slurmctld and two slurmd under a folder, and end them. Needs root and Debian's slurm-wlm and munge."""

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

NEEDED = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "srun", "runuser")
NODES = ("c1", "c2")
CONFIGURATION = """
ClusterName=peftcli
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge/socket,cred_expire=5
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
JobCompType=jobcomp/none
MailProg=/bin/true
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_interval=2,sched_min_interval=0
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=15
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
NodeName=c1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=2 RealMemory=1024 State=UNKNOWN
NodeName=c2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=2 RealMemory=1024 State=UNKNOWN
PartitionName=tests Nodes=c1,c2 Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO
"""


def missing() -> list[str]:
    """What a cluster needs and this machine lacks."""
    found = [name for name in NEEDED if _which(name) is None]
    return found + (["to be root"] if os.geteuid() != 0 else [])


@contextlib.contextmanager
def cluster(folder: Path) -> Iterator[dict[str, str]]:
    """Run a cluster; gives the environment in which SLURM's commands speak to it."""
    started: list[subprocess.Popen[bytes]] = []
    environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}
    try:
        _configure(folder)
        started.append(_munged(folder))
        started.append(_start([_path("slurmctld"), "-D", "-f", environment["SLURM_CONF"]], folder))
        for node in NODES:
            started.append(_start([_path("slurmd"), "-D", "-N", node, "-f", environment["SLURM_CONF"]], folder))
        _wait_for_nodes(environment, folder)
        yield environment
    finally:
        with contextlib.suppress(subprocess.SubprocessError):
            subprocess.run(["scancel", "--user", "root"], env=environment, timeout=10, capture_output=True)
            _wait_for_jobs(environment)
        for process in reversed(started):
            _end(process)


def _configure(folder: Path) -> None:
    for name in ("state", *(f"spool-{node}" for node in NODES)):
        (folder / name).mkdir(parents=True)
    for parent in (folder, *folder.parents):  # munged, which is another user, has to get there
        if parent.stat().st_uid == os.geteuid() and parent not in (Path("/"), Path("/tmp")):
            parent.chmod(parent.stat().st_mode | 0o111)
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(3)]
        ports = [own.getsockname()[1] for own in sockets]
    text = CONFIGURATION.format(host=socket.gethostname(), ports=ports, folder=folder)
    (folder / "slurm.conf").write_text(text)


def _munged(folder: Path) -> "subprocess.Popen[bytes]":
    own = folder / "munge"
    own.mkdir(mode=0o755)
    (own / "key").write_bytes(os.urandom(128))
    (own / "key").chmod(0o400)
    for path in (own, own / "key"):
        shutil.chown(path, "munge", "munge")
    files = [
        f"--{name}={own / name.split('-')[0]}" for name in ("key-file", "socket", "pid-file", "log-file", "seed-file")
    ]
    process = _start(["runuser", "-u", "munge", "--", _path("munged"), "--foreground", "--force", *files], folder)
    _until((own / "socket").exists, f"munged does not start: see {folder}/daemons.log")
    return process


def _start(command: list[str], folder: Path) -> "subprocess.Popen[bytes]":
    with open(folder / "daemons.log", "ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)


def _wait_for_nodes(environment: dict[str, str], folder: Path) -> None:
    def idle() -> bool:
        shown = subprocess.run(["sinfo", "-h", "-N", "-o", "%T"], env=environment, capture_output=True, text=True)
        return shown.stdout.split() == ["idle"] * len(NODES)

    _until(idle, f"the nodes do not come up: see {folder}/slurmctld.log")


def _wait_for_jobs(environment: dict[str, str]) -> None:
    def empty() -> bool:
        shown = subprocess.run(["squeue", "-h"], env=environment, capture_output=True, text=True, timeout=10)
        return shown.returncode != 0 or not shown.stdout.strip()

    with contextlib.suppress(TimeoutError):
        _until(empty, "jobs do not end")


def _until(done, message: str, seconds: float = 40.0) -> None:
    limit = time.monotonic() + seconds
    while not done():
        if time.monotonic() > limit:
            raise TimeoutError(message)
        time.sleep(0.2)


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _which(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def _path(name: str) -> str:
    found = _which(name)
    assert found is not None, name
    return found
