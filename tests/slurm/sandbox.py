"""A real SLURM cluster on this machine, from Debian's packages, brought up and stopped by pid.

munged, slurmctld and one slurmd a node run as children of this process; nothing else is touched
but three links in /etc/slurm, where the nodes' own commands look.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

NODES = ("cpu01", "cpu02", "gpu-a40", "gpu-a100")
TEMPLATES = Path(__file__).parent / "cluster"
ETC = Path("/etc/slurm")
BIN = f"/usr/sbin:/usr/bin:{os.environ.get('PATH', '')}"
ACCOUNTING = """AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort=16819
AccountingStoragePass=@RUN@/munge.socket
AccountingStorageTRES=gres/gpu,gres/gpu:a40,gres/gpu:a100"""


def why_not(accounting: bool) -> str:
    """A reason why no cluster can be started here; empty if one can."""
    wanted = ["munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol"]
    wanted += ["slurmdbd", "mariadbd", "sacctmgr"] if accounting else []
    if missing := [name for name in wanted if shutil.which(name, path=BIN) is None]:
        packages = "slurmctld slurmd slurm-client munge" + " slurmdbd mariadb-server" * accounting
        return f"no {missing[0]} here: apt-get install {packages}"
    if os.geteuid() != 0:
        return "slurmd wants to be root"
    if (ETC / "slurm.conf").exists():
        return f"{ETC / 'slurm.conf'} exists: this machine belongs to a cluster"
    return ""


class Sandbox:
    """The cluster; `run` is its folder, for configuration, sockets, state and logs."""

    def __init__(self, accounting: bool = False):
        self.accounting = accounting
        self.run = Path(tempfile.mkdtemp(prefix="slurm-"))
        self.run.chmod(0o755)
        self.links: list[Path] = []
        self.forgotten = 0
        self.children: dict[str, subprocess.Popen] = {}

    def start(self) -> None:
        """Starts everything and waits until all nodes are idle."""
        for name in ("log", "state", "devices", *(f"spool.{node}" for node in NODES)):
            (self.run / name).mkdir()
        for number in range(4):  # clones of the null device: slurmd wants devices
            path = self.run / "devices" / f"nvidia{number}"
            os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))
        self._configure()
        self._start_munge()
        if self.accounting:
            self._start_accounting()
        self.start_controller()
        for node in NODES:
            self._spawn(node, "slurmd", "-D", "-N", node)
        self._wait(
            "idle nodes", lambda: len(self.ask("sinfo", "-hN", "-t", "idle").split("\n")) > 4
        )

    def stop(self) -> None:
        """Stops what was started, in reverse order, and removes every trace."""
        if "slurmctld" in self.children:
            self.cancel_all()
        for name in [*reversed(self.children)]:
            self._end(name)
        for link in self.links:
            link.unlink(missing_ok=True)
        shutil.rmtree(self.run, ignore_errors=True)

    def cancel_all(self) -> None:
        """Cancels every job and waits until none runs."""
        self.ask("scancel", "--quiet", "--user=root")
        end = time.monotonic() + 30
        while self.ask("squeue", "-h").strip() and time.monotonic() < end:
            time.sleep(0.3)

    def start_controller(self) -> None:
        """Starts slurmctld."""
        self._spawn("slurmctld", "slurmctld", "-D")

    def stop_controller(self) -> None:
        """Stops slurmctld as if its machine were down; jobs run on."""
        self._end("slurmctld")

    def ask(self, *words: str) -> str:
        """Output of a SLURM command, empty if it fails."""
        run = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
        return run.stdout

    def jobs(self) -> list[dict[str, str]]:
        """The jobs since `forget`, with the fields of `scontrol show job`."""
        lines = self.ask("scontrol", "-o", "show", "job").splitlines()
        jobs = (
            dict(word.split("=", 1) for word in line.split() if "=" in word)
            for line in lines
            if line.startswith("JobId=")
        )
        return [job for job in jobs if int(job["JobId"]) > self.forgotten]

    def forget(self) -> None:
        """Cancels every job and leaves those that there were out of `jobs`."""
        self.cancel_all()
        self.forgotten = max((int(job["JobId"]) for job in self.jobs()), default=self.forgotten)

    def _configure(self) -> None:
        names = ["slurm.conf", "gres.conf"] + ["slurmdbd.conf"] * self.accounting
        storage = ACCOUNTING if self.accounting else "AccountingStorageType=accounting_storage/none"
        ETC.mkdir(exist_ok=True)
        for name in names:
            text = (TEMPLATES / name).read_text(encoding="utf-8")
            text = text.replace("@ACCOUNTING@", storage).replace("@RUN@", str(self.run))
            (self.run / name).write_text(text, encoding="utf-8")
            (self.run / name).chmod(0o600 if name == "slurmdbd.conf" else 0o644)
            (ETC / name).unlink(missing_ok=True)  # a dangling link of a run that was killed
            (ETC / name).symlink_to(self.run / name)
            self.links.append(ETC / name)

    def _start_munge(self) -> None:
        key = self.run / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)
        paths = {"socket": "munge.socket", "key-file": key.name, "pid-file": "munged.pid"}
        paths |= {"log-file": "log/munged.log", "seed-file": "munge.seed"}
        options = [f"--{name}={self.run / path}" for name, path in paths.items()]
        self._spawn("munged", "munged", "--foreground", "--force", *options)
        self._wait("munge", (self.run / "munge.socket").exists)

    def _start_accounting(self) -> None:
        data, socket = self.run / "mysql", self.run / "mysql.socket"
        install = ["mariadb-install-db", "--user=root", f"--datadir={data}"]
        subprocess.run(
            [*install, "--auth-root-authentication-method=socket"], check=True, capture_output=True
        )
        options = [f"--datadir={data}", f"--socket={socket}", "--port=13306"]
        options += ["--bind-address=127.0.0.1", "--innodb-buffer-pool-size=64M"]
        options += ["--innodb-lock-wait-timeout=900", f"--pid-file={self.run / 'mariadbd.pid'}"]
        self._spawn("mariadbd", "mariadbd", "--no-defaults", "--user=root", *options)
        client = ["mariadb", "-S", str(socket)]
        self._wait("mariadb", lambda: self._succeeds(*client, "-e", "select 1"))
        grants = "create database slurm_acct_db; create user slurm@'127.0.0.1' identified by 'x'; "
        grants += "create user slurm@localhost identified by 'x'; "
        grants += "grant all on slurm_acct_db.* to slurm@'127.0.0.1'; "
        grants += "grant all on slurm_acct_db.* to slurm@localhost;"
        subprocess.run([*client, "-e", grants], check=True, timeout=60)
        self._spawn("slurmdbd", "slurmdbd", "-D")
        self._wait("slurmdbd", lambda: self._succeeds("sacctmgr", "-n", "show", "cluster"))
        for words in (
            ("cluster", "tests"),
            ("account", "lab", "Description=lab", "Organization=lab"),
            ("user", "root", "account=lab"),
        ):
            subprocess.run(["sacctmgr", "-i", "add", *words], check=False, capture_output=True)

    def _spawn(self, name: str, *words: str) -> None:
        with open(self.run / "log" / f"{name}.out", "ab") as log:
            self.children[name] = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | {"PATH": BIN},
                start_new_session=True,
            )

    def _end(self, name: str) -> None:
        child = self.children.pop(name, None)
        if child is None or child.poll() is not None:
            return
        child.terminate()
        try:
            child.wait(timeout=20)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()

    def _succeeds(self, *words: str) -> bool:
        try:
            return (
                subprocess.run(words, capture_output=True, timeout=15, check=False).returncode == 0
            )
        except subprocess.TimeoutExpired:
            return False

    def _wait(self, what: str, ready: Callable[[], bool], seconds: float = 120) -> None:
        end = time.monotonic() + seconds
        while not ready():
            ended = [name for name, child in self.children.items() if child.poll() is not None]
            if ended or time.monotonic() > end:
                log = (self.run / "log" / f"{[*self.children, *ended][-1]}.out").read_text()
                raise RuntimeError(f"no {what}; ended: {ended}; {log[-2000:]}")
            time.sleep(0.3)
