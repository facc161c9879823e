"""Network file systems are refused for writing, whatever is mounted where."""

import pytest

from databroker_like.errors import NotWritable
from databroker_like.store import _file_system, _store
from databroker_like.store._file_system import network_file_system
from databroker_like.store._store import Store
from tests.store.conftest import make_run, record, recorded

MOUNTS = """\
/dev/sda1 / ext4 rw,relatime 0 0
proc /proc proc rw 0 0
server:/x /network nfs4 rw,vers=4.2 0 0
/dev/sdb1 /network/local xfs rw 0 0
//server/share /mnt/with\\040space cifs rw 0 0
tmpfs /dev/shm tmpfs rw 0 0
sshfs@x: /mnt/ssh fuse.sshfs rw 0 0
short
"""


@pytest.fixture
def mounts(tmp_path):
    path = tmp_path / "mounts"
    path.write_text(MOUNTS)
    return str(path)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/network", "nfs4"),
        ("/network/me/store", "nfs4"),
        ("/network/local/store", None),
        ("/networking/store", None),
        ("/mnt/with space/store", "cifs"),
        ("/mnt/ssh/store", "fuse.sshfs"),
        ("/dev/shm/store", None),
        ("/", None),
        ("/somewhere/not/there", None),
    ],
)
def test_the_nearest_mount_counts(path, kind, mounts):
    assert network_file_system(path, mounts) == kind


def test_a_link_counts_as_what_it_leads_to(tmp_path, mounts):
    (tmp_path / "link").symlink_to("/network/me")
    assert network_file_system(str(tmp_path / "link" / "store"), mounts) == "nfs4"


def test_where_the_system_does_not_tell_nothing_is_refused(tmp_path):
    assert network_file_system("/network", str(tmp_path / "none")) is None


def test_a_later_mount_hides_an_earlier_one(tmp_path):
    path = tmp_path / "mounts"
    path.write_text("a /x nfs rw 0 0\nb /x ext4 rw 0 0\n")
    assert network_file_system("/x/y", str(path)) is None


@pytest.fixture
def on_network(tmp_path, monkeypatch):
    """The folder of the test lies on one."""
    path = tmp_path / "mounts"
    path.write_text(f"/dev/sda1 / ext4 rw 0 0\nserver:/x {str(tmp_path).replace(' ', chr(92) + '040')} nfs rw 0 0\n")
    monkeypatch.setattr(_store, "network_file_system", lambda place: _file_system.network_file_system(place, str(path)))


def test_no_store_is_made_there_and_the_cure_is_named(tmp_path, on_network):
    store = Store(tmp_path / "store")
    with pytest.raises(NotWritable, match=r"network file system \(nfs\).*local disk, or use PostgreSQL"):
        record(store, make_run("a"))
    assert not (tmp_path / "store").exists()


def test_a_store_that_came_there_is_read_and_not_written(tmp_path, request):
    record(Store(tmp_path / "store"), make_run("a"))
    request.getfixturevalue("on_network")
    store = Store(tmp_path / "store")
    assert recorded(store, "a") == make_run("a")
    with pytest.raises(NotWritable, match="network file system"):
        record(store, make_run("b"))
    with pytest.raises(NotWritable, match="network file system"):
        Store(tmp_path / "other").restore(tmp_path / "store")
    for change in (store.vacuum, lambda: store.delete("a")):
        with pytest.raises(NotWritable, match="network file system"):
            change()
    assert recorded(store, "a") == make_run("a")
    store.close()


def test_a_backup_may_lie_there(tmp_path, request, small):
    store = Store(tmp_path / "store")
    record(store, make_run("a", 40))
    request.getfixturevalue("on_network")
    assert store.backup(tmp_path / "backup").runs == 1
    saved = Store(tmp_path / "backup")
    assert saved.check(integrity=True) == []
    assert recorded(saved, "a") == make_run("a", 40)
    saved.close()
    store.close()
