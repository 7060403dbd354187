# SPDX-License-Identifier: Apache-2.0
"""Attack corpus A: files and information."""

import os
import time
from pathlib import Path

import pytest

from lib import files, host, wire
from lib.attempts import denied, tries


def test_1_fds(daemon):
    r = daemon.run("--", "ls", "-l", "/proc/self/fd")
    names = [line.split(" -> ")[0].split()[-1] for line in r.stdout.splitlines()[1:]]
    assert names == ["0", "1", "2", "3"], r.stdout  # 3 is ls reading the folder
    assert "/proc/" in r.stdout.splitlines()[4]


@pytest.mark.parametrize("number", [3, 4, 5, 6, 7, 8, 9, 10, 50, 100])
def test_1_workdir_by_way_of_a_leaked_fd(daemon, number):
    r = daemon.run("-w", f"/proc/self/fd/{number}", "--", "cat", "../../../../etc/shadow")
    assert r.rc == 125, r


def test_2_overwrite_the_running_program(daemon):
    """CVE-2019-5736."""
    before = [os.stat(daemon.build / n).st_mtime_ns for n in ("sandboxd-init", "sandboxd")]
    denied(tries(daemon, """
for p in ('/proc/self/exe', '/proc/1/exe', '/proc/%d/exe' % os.getppid()):
    out[p] = attempt(write, p)
    out[p + ' path'] = attempt(lambda: write(os.readlink(p)))
"""))
    assert before == [os.stat(daemon.build / n).st_mtime_ns for n in ("sandboxd-init", "sandboxd")]


def test_2_script_that_runs_init(daemon, tmp_path):
    """#!/proc/self/exe makes the kernel run the program that does the exec."""
    (tmp_path / "loop").write_text("#!/proc/self/exe\n")
    (tmp_path / "loop").chmod(0o755)
    r = daemon.run("-f", tmp_path / "loop", "--", "./loop", timeout=60)
    assert r.rc != 0 and r.status in ("SETUP_ERROR", "EXITED", "SIGNALED"), r


def test_3_init_is_closed(daemon):
    denied(tries(daemon, """
for n in ('root', 'cwd', 'exe', 'fd', 'fd/0', 'fd/3', 'ns/mnt', 'ns/user', 'task'):
    p = '/proc/1/' + n
    out[n] = attempt(os.listdir, p)
    out[n + ' link'] = attempt(os.readlink, p)
for n in ('environ', 'mem', 'maps', 'auxv', 'stack', 'syscall', 'cmdline', 'root/etc/shadow'):
    out[n] = attempt(read, '/proc/1/' + n)
out['mem write'] = attempt(write, '/proc/1/mem')
"""))


@pytest.mark.parametrize("paths", [
    ["/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sys/kernel/hostname",
     "/proc/sys/vm/overcommit_memory", "/proc/sys/fs/binfmt_misc/register",
     "/proc/sys/kernel/ns_last_pid", "/proc/sys/net/ipv4/ip_forward",
     "/proc/sys/user/max_user_namespaces", "/proc/sys/kernel/random/uuid"],
    ["/proc/sysrq-trigger", "/proc/irq/default_smp_affinity",
     "/proc/mtrr", "/proc/scsi/scsi", "/proc/acpi/wakeup", "/proc/bus/pci/00"],
])
def test_4_kernel_settings(daemon, paths):
    pattern = Path("/proc/sys/kernel/core_pattern").read_text()
    denied(tries(daemon, f"""
for p in {paths!r}:
    out[p] = attempt(write, p, b'|/box/x')
"""))
    assert Path("/proc/sys/kernel/core_pattern").read_text() == pattern


def test_4_all_of_proc_sys(daemon):
    """No file below /proc/sys opens for writing, whatever its mode says."""
    out = tries(daemon, """
n = 0
for d, _, names in os.walk('/proc/sys'):
    for name in names:
        p = os.path.join(d, name); n += 1
        r = attempt(lambda: os.close(os.open(p, os.O_WRONLY)))
        if r == 'PASSED': out[p] = r
out['looked at'] = n
""")
    assert out.pop("looked at") > 0 and out == {}


@pytest.mark.parametrize("path", ["kcore", "kallsyms", "keys", "key-users", "kmsg", "cmdline",
                                  "timer_list", "sched_debug", "modules", "vmallocinfo", "iomem",
                                  "slabinfo", "config.gz", "interrupts", "diskstats", "version",
                                  "kpagecount", "consoles", "fb", "driver/rtc", "bus/pci/devices",
                                  "fs/ext4", "tty/drivers", "net/../kallsyms", "pressure/memory",
                                  "sys/kernel/random/boot_id", "locks", "swaps"])
def test_5_host_wide_files(daemon, path):
    """Absent, closed, empty, or at least not what the host says."""
    r = daemon.run("--", "cat", f"/proc/{path}")
    mine = host.read(f"/proc/{path}") if Path(f"/proc/{path}").is_file() and path != "kmsg" and \
        path != "kcore" else None
    if path == "version":
        return  # the same text as uname(2) gives
    assert r.stdout.strip() == "" or (mine and r.stdout != mine and path.startswith("sys/")), r


def test_6_absent(daemon):
    denied(tries(daemon, """
for p in ('/sys', '/sys/fs/cgroup', '/sys/fs/cgroup/release_agent', '/run', '/home', '/root', '/var',
          '/etc/shadow', '/etc/gshadow', '/etc/machine-id', '/var/lib/dbus/machine-id', '/boot',
          '/etc/sandboxd', '/etc/ssh', '/lost+found', '/.dockerenv', '/old', '/host'):
    out[p] = attempt(lambda: bool(os.stat(p)) and None)
"""))


def test_7_mounts_by_program(daemon):
    r = daemon.bash("mount -t tmpfs x /tmp; mount --bind /usr /tmp; mount -o remount,rw /; "
                    "umount /proc/meminfo; umount -l /usr; unshare -m true; unshare -Ur true; "
                    "chroot / true; pivot_root / /tmp; touch /usr/x /x; echo end")
    assert r.stdout == "end\n", r
    assert len(r.stderr.strip().splitlines()) >= 9


def test_7_chroot_escape(daemon):
    out = tries(daemon, """
os.mkdir('d')
out['chroot'] = attempt(os.chroot, 'd')
out['up'] = sorted(os.listdir('/..' * 20)) == sorted(os.listdir('/')) and 'ENOENT'
""")
    denied(out)


def test_7_open_by_handle(daemon):
    """The shocker: a handle of a host file, guessed, is no way to it."""
    denied(tries(daemon, """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
fd = os.open('/usr', os.O_RDONLY)
for n in range(1, 40):
    h = (ctypes.c_uint32 * 4)(8, 1, n, 0)
    r = libc.syscall(304, fd, h, 0)
    out[str(n)] = 'PASSED' if r >= 0 else errno.errorcode[ctypes.get_errno()]
"""))


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", "x" * 5000, "d/" * 300 + "x"])
def test_8_names_of_job_files(daemon, canary, tmp_path, name):
    (tmp_path / "f").write_text("x")
    r = daemon.run("-f", f"{tmp_path}/f:{name}", "--", "true")
    assert r.rc == 125 and r.errors.startswith("sandboxctl: "), r


def test_8_absolute_name_of_a_host_file(daemon, canary, tmp_path):
    (tmp_path / "f").write_text("overwritten")
    for name in (str(canary.file), "../" * 12 + str(canary.file).lstrip("/")):
        assert daemon.run("-f", f"{tmp_path}/f:{name}", "--", "true").rc == 125


@pytest.mark.parametrize("name", [b"../x", b"/etc/x", b"a/../../x", b"a\0b", b"x" * 5000, b"d/" * 300 + b"x"])
@pytest.mark.parametrize("size", [1, 3 << 20])
def test_8_names_on_the_wire(daemon, name, size):
    """Past a client that checks them first: as small files, and as ones that come by the pipe."""
    with daemon.session() as c:
        c.send(wire.run(2, argv=["true"], files=[wire.file_message(name, size=size)]))
        error = c.expect("error")
        assert (error["code"], error["field"]) == ("INVALID_ARGUMENT", "files[0].name"), error


def fetch(daemon, detach, code, get):
    """What the client is given of the files of a job in Python."""
    with daemon.session() as c:
        c.send(wire.run(2, runtime="python", code=code, get=get, detach=detach))
        if not detach:
            return files.Fetched(c, 2)
        job = c.expect("started")["job_id"]
        c.send(wire.get_files(3, job))
        r = files.Fetched(c, 3)
        c.send(wire.wait_job(4, job))
        r.last = c.receive()
        return r


SECRET = "root:"


@pytest.mark.parametrize("detach", [False, True], ids=["attached", "detached"])
def test_9_links_out_of_the_box(daemon, detach):
    """Every way in which a name can be made to lead elsewhere; each is refused by its own name."""
    r = fetch(daemon, detach, b"""
import os
os.symlink('/etc/shadow', 'out'); os.symlink('/etc', 'etc'); os.symlink('/proc/1/root', 'root')
os.symlink('/proc/self/fd', 'fd'); os.symlink('.', 'here'); os.symlink('../../etc/passwd', 'up')
os.mkdir('d'); os.symlink('/etc', 'd/e'); os.symlink('/etc/passwd', 'd/f'); os.symlink('loop', 'loop')
open('good', 'w').write('good')
""", ["out", "etc/shadow", "etc", "root/etc/shadow", "fd/0", "here/good", "up", "d", "*/passwd", "*/*", "loop", "good"])
    assert r.result["status"] == "OK" and r.content == {"good": b"good"}, (r.names, r.errors)
    assert r.modes.keys() == {"d", "good"}
    assert {"out", "etc/shadow", "etc", "root/etc/shadow", "fd/0", "here/good", "up", "d/e", "d/f", "loop"} <= \
        r.errors.keys()
    for name in ("out", "etc/shadow", "etc", "up", "d/e", "d/f", "loop"):
        assert name in r.errors[name] and "symbolic link" in r.errors[name]
    assert not any(SECRET in text for text in r.errors.values())


@pytest.mark.parametrize("detach", [False, True], ids=["attached", "detached"])
def test_10_what_is_no_ordinary_file(daemon, detach):
    """An error for what is none, and no wait for anybody to open the other end."""
    r = fetch(daemon, detach, b"""
import os, socket
os.mkfifo('fifo'); os.mkdir('d'); os.mkfifo('d/fifo')
s = socket.socket(socket.AF_UNIX); s.bind('socket'); s.listen()
for name in ('dev', 'tty'):
    try: os.mknod(name, 0o020666, os.makedev(1, 8))
    except OSError: os.symlink('/dev/random', name)
open('target', 'w').write('linked'); os.link('target', 'hard'); os.mkdir('e'); os.link('target', 'e/hard')
try: os.link('/etc/passwd', 'host')
except OSError: pass
try: os.link('/usr/bin/env', 'env')
except OSError: pass
f = open('sparse', 'w')
try: f.truncate(1 << 40)
except OSError: f.truncate(60 << 20)
import time
if os.fork() == 0:
    os.setsid()
    while True: open('growing', 'a').write('x' * 1000); time.sleep(0.001)
os.mkdir('locked'); open('locked/f', 'w'); os.chmod('locked', 0)
time.sleep(0.1)
""", ["fifo", "socket", "dev", "d", "hard", "e", "host", "env", "sparse", "growing", "locked"])
    assert r.result["status"] in ("OK", "SIGNALED", "EXITED"), r.last
    # A hard link in /box is a file of the job's own: nothing of the host can be linked there.
    assert r.content["hard"] == r.content["e/hard"] == b"linked" and {"host", "env"} <= r.errors.keys()
    assert set(r.content["growing"]) <= {ord("x")}
    assert {"fifo", "socket", "dev", "d/fifo", "host", "sparse", "locked"} <= r.errors.keys(), r.errors
    assert "FilesSize=" in r.errors["sparse"]
    for name in ("fifo", "socket", "d/fifo"):
        assert "FIFO, a socket or a device" in r.errors[name]


@pytest.mark.parametrize("detach", [False, True], ids=["attached", "detached"])
def test_10_a_tree_without_end(daemon, detach):
    """Names, folders and bytes without number: what there is a bound for is named, and the rest comes."""
    r = fetch(daemon, detach, b"""
import os
os.mkdir('wide'); os.mkdir('deep'); os.chdir('deep')
for i in range(100): os.mkdir('d' * 200); os.chdir('d' * 200)
try:
    for i in range(100000): open('/box/wide/' + 'n' * 200 + str(i), 'w')
except OSError: pass
""", ["deep", "wide", "*", "w*/*", "main.py"])
    assert r.result["status"] == "OK", r.last
    assert "4096" in r.errors["wide"] and len(r.names) < 5000
    assert any("32 folders" in e or "4096" in e for n, e in r.errors.items() if n.startswith("deep"))


@pytest.mark.parametrize("detach", [False, True], ids=["attached", "detached"])
def test_10_patterns_that_take_long(daemon, detach):
    """Matching is bounded: init's time is nobody's."""
    name = "a" * 250
    pattern = "*a" * 120 + "*b"
    r = fetch(daemon, detach, f"[open('{name}' + str(i), 'w') for i in range(1000)]".encode(),
              [pattern] * 16 + ["main.py"])
    assert r.result["status"] == "OK" and list(r.errors) == [pattern]
    assert list(r.content) in (["main.py"], [])


def test_10_the_job_cannot_reach_its_collector(daemon):
    """Init has the job's id as its effective one, by which it reads the files: nothing of what a process
    can do to others goes by that, but to slow it down."""
    out = tries(daemon, """
import ctypes, resource, signal
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *args):
    if libc.syscall(number, *args) < 0:
        raise OSError(ctypes.get_errno(), '')
out['kill'] = attempt(os.kill, 1, 0)
out['kill 9'] = attempt(os.kill, 1, 9)
out['tgkill'] = attempt(call, 234, 1, 1, 9)
out['sigqueue'] = attempt(call, 129, 1, 9, (ctypes.c_int * 32)(9, 0, -1))
out['prlimit'] = attempt(resource.prlimit, 1, resource.RLIMIT_NOFILE, (1, 1))
out['prlimit read'] = attempt(resource.prlimit, 1, resource.RLIMIT_NOFILE)
out['ptrace'] = attempt(call, 101, 16, 1, 0, 0)
out['renice up'] = attempt(os.setpriority, os.PRIO_PROCESS, 1, -1)
out['fifo'] = attempt(os.sched_setscheduler, 1, os.SCHED_FIFO, os.sched_param(1))
out['ioprio'] = attempt(call, 251, 1, 1, 0x2001)
out['ioprio idle'] = attempt(call, 251, 1, 1, 0x6000)
out['pidfd'] = attempt(lambda: call(424, os.pidfd_open(1), 9, 0, 0))
out['vm_readv'] = attempt(call, 310, 1, 0, 0, 0, 0, 0)
for n in ('mem', 'fd/3', 'cwd', 'root', 'environ', 'syscall', 'timerslack_ns'):
    out[n] = attempt(open, '/proc/1/' + n)
""")
    denied(out)


def test_11_set_uid_programs(daemon):
    """nosuid, no_new_privs and an empty bounding set: whatever runs stays what it was."""
    r = daemon.bash("for p in /usr/bin/su /usr/bin/mount /usr/bin/passwd /usr/bin/newgrp /usr/bin/ping; do "
                    "[ -u $p ] && grep -q . <($p --version 2>/dev/null); done; "
                    "cp /usr/bin/id /box/id && chmod 6755 /box/id && /box/id -u -r && /box/id -u; "
                    "su -c id </dev/null; newgrp root </dev/null; echo end")
    assert "uid=0" not in r.stdout and "1000\n1000\n" in r.stdout, r
    assert r.stdout.endswith("end\n")


def test_11_file_capabilities(daemon):
    """A job cannot grant them, and none that /usr has takes effect."""
    denied(tries(daemon, """
import struct
open('x', 'w').close(); os.chmod('x', 0o755)
cap = struct.pack('<IIIII', 0x02000001, 0xffffffff, 0, 0xffffffff, 0)
out['setxattr'] = attempt(os.setxattr, 'x', 'security.capability', cap)
"""))


def test_12_device_nodes(daemon):
    denied(tries(daemon, """
import stat
for name, kind, dev in (('mem', stat.S_IFCHR, (1, 1)), ('kmsg', stat.S_IFCHR, (1, 11)),
                        ('sda', stat.S_IFBLK, (8, 0)), ('null', stat.S_IFCHR, (1, 3)),
                        ('vda', stat.S_IFBLK, (254, 0)), ('fuse', stat.S_IFCHR, (10, 229))):
    for folder in ('/tmp', '/box', '/dev/shm', '/dev'):
        out[folder + '/' + name] = attempt(os.mknod, folder + '/' + name, kind | 0o666, os.makedev(*dev))
"""))


def test_12_devices_are_the_listed_ones(daemon):
    r = daemon.run("--", "find", "/dev", "/tmp", "/box", "/etc", "/.sandbox", "-type", "b", "-o",
                   "-type", "c")
    assert sorted(r.stdout.split()) == ["/dev/full", "/dev/null", "/dev/random", "/dev/urandom",
                                        "/dev/zero"]


def test_13_writing_anywhere_else(daemon):
    """Every folder of the tree, not a list of them."""
    r = daemon.python("""
import os
good = ('/tmp', '/box', '/dev/shm')
bad, n = [], 0
for d, dirs, files in os.walk('/', onerror=None):
    if d.startswith(good) or d.startswith('/proc'):
        dirs.clear()
        continue
    n += 1
    try:
        os.close(os.open(d + '/.probe', os.O_CREAT | os.O_WRONLY)); bad.append(d)
    except OSError: pass
    for f in files[:3]:
        p = os.path.join(d, f)
        if os.path.islink(p) or d == '/dev' or p == '/.sandbox/return': continue
        try: os.close(os.open(p, os.O_WRONLY)); bad.append(p)
        except OSError: pass
print(n, bad)
""", "-t", "2min")
    count, _, bad = r.stdout.partition(" ")
    assert int(count) > 100 and bad == "[]\n", r


def test_13_more_ways_to_write(daemon):
    denied(tries(daemon, """
for p in ('/usr/bin/env', '/etc/passwd'):
    out['chmod ' + p] = attempt(os.chmod, p, 0o777)
    out['chown ' + p] = attempt(os.chown, p, 1000, 1000)
    out['utime ' + p] = attempt(os.utime, p)
    out['truncate ' + p] = attempt(os.truncate, p, 0)
    out['unlink ' + p] = attempt(os.unlink, p)
    out['rename ' + p] = attempt(os.rename, p, p + '.old')
    out['xattr ' + p] = attempt(os.setxattr, p, 'user.x', b'y')
    fd = os.open(p, os.O_RDONLY)
    out['reopen ' + p] = attempt(write, '/proc/self/fd/%d' % fd)
"""))


def test_14_crash(daemon):
    """A core dump would run the host's core_pattern helper with the host's rights."""
    before = set(host.pids())
    r = daemon.python("import os, resource; print(resource.getrlimit(resource.RLIMIT_CORE), flush=True);"
                      " os.abort()")
    assert r.status == "SIGNALED" and r.signal == 6 and r.stdout == "(1, 1)\n", r
    time.sleep(0.1)
    names = [host.status(p).get("Name") for p in set(host.pids()) - before]
    assert not any(n and ("core" in n or "crash" in n or "apport" in n) for n in names), names
    files = daemon.run("--", "sh", "-c", "kill -ABRT $$ & wait; ls /box /tmp")
    assert "core" not in files.stdout


def test_15_nothing_of_the_host(daemon):
    """Names and numbers of this host are in none of what a job can read about itself."""
    r = daemon.bash("hostname; cat /proc/self/mountinfo /proc/self/mounts /proc/self/cgroup "
                    "/proc/self/mountstats /proc/sys/kernel/random/boot_id /proc/self/environ "
                    "/etc/hostname /etc/hosts /proc/sys/kernel/hostname /proc/net/unix "
                    "/proc/net/arp /proc/net/fib_trie /proc/sysvipc/* /proc/self/sched "
                    "/proc/loadavg /proc/uptime 2>/dev/null; env")
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    for secret in (os.uname().nodename, boot_id, str(daemon.home), str(daemon.build), "/process_api",
                   "sandboxd-"):
        if len(secret) > 3:
            assert secret not in r.stdout, secret
    assert "/dev/vd" not in r.stdout and "/dev/sd" not in r.stdout
