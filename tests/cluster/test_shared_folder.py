"""A work folder that only the login node sees."""

from pathlib import Path

import pytest

from tracrlab.cluster.shared_folder import check_file_system
from tracrlab.cluster.slurm import Cluster, parse_partitions
from tracrlab.errors import TracrLabError

MOUNTS = """\
/dev/sda1 / ext4 rw 0 0
tmpfs /run tmpfs rw 0 0
server:/home /home nfs4 rw 0 0
server:/my\\040data /my\\040data lustre rw 0 0
tmpfs /home/scratch tmpfs rw 0 0
"""


def cluster(*hosts):
    lines = "\n".join(f"cpu|(null)|infinite|8000|4|{host}" for host in hosts)
    return Cluster(parse_partitions(lines), 300, 1001, accounting=True)


@pytest.mark.parametrize("folder", ["/home/me/zoo", "/home", "/my data/zoo"])
def test_a_network_file_system_passes(folder):
    check_file_system(Path(folder), cluster("n1", "n2"), MOUNTS)


@pytest.mark.parametrize(
    ("folder", "kind"), [("/srv/zoo", "ext4"), ("/run/zoo", "tmpfs"), ("/home/scratch/z", "tmpfs")]
)
def test_a_local_file_system_is_refused(folder, kind):
    message = rf"^the work folder {folder} lies on {kind}, .* name one with --directory\.$"
    with pytest.raises(TracrLabError, match=message):
        check_file_system(Path(folder), cluster("n1", "n2"), MOUNTS, "# /srv\n/var *(ro)\n")


def test_a_local_disk_that_this_machine_serves_passes():
    check_file_system(Path("/srv/zoo"), cluster("n1", "n2"), MOUNTS, "/srv n1(rw) n2(rw)\n")


def test_a_cluster_of_this_machine_alone_passes():
    check_file_system(Path("/srv/zoo"), cluster("localhost"), MOUNTS)
